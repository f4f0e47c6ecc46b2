//! Cores: how many the process may use, and how workers are pinned to them.

use std::sync::OnceLock;

use core_affinity::CoreId;

/// The cores in the affinity mask with which the process started (a container's share, `taskset`).
///
/// Read once, before the first worker is pinned: threads inherit the mask of the thread that spawns
/// them, so a later reading could find a worker's own single core.
fn allowed() -> &'static [CoreId] {
    static CORES: OnceLock<Vec<CoreId>> = OnceLock::new();
    CORES.get_or_init(|| core_affinity::get_core_ids().unwrap_or_default())
}

/// How many cores the process may use; at least 1.
pub(crate) fn core_count() -> u32 {
    u32::try_from(allowed().len()).unwrap_or(u32::MAX).max(1)
}

/// Pins the calling thread, for `worker`, to a core; workers are assigned to the allowed cores round-robin.
///
/// Where pinning is not permitted the thread stays unpinned: a job must run there too.
pub(crate) fn pin(worker: u32) {
    let cores = allowed();
    if let Some(core) = cores.get(worker as usize % cores.len().max(1))
        && !core_affinity::set_for_current(*core)
    {
        tracing::debug!(
            worker,
            core = core.id,
            "pinning is not permitted; the worker runs unpinned"
        );
    }
}
