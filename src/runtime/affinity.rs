//! Cores: how many the process may use, and pinning a worker to one of them.

use std::sync::OnceLock;

use core_affinity::CoreId;

/// The cores in the affinity mask that the process started with (a container's share, `taskset`).
///
/// Read once, before the first worker is pinned: threads inherit the mask of the thread that spawns
/// them, so a later reading could find a worker's own single core.
fn allowed() -> &'static [CoreId] {
    static CORES: OnceLock<Vec<CoreId>> = OnceLock::new();
    CORES.get_or_init(|| core_affinity::get_core_ids().unwrap_or_default())
}

/// How many cores the process may use; 1 at least.
pub(crate) fn core_count() -> u32 {
    u32::try_from(allowed().len()).unwrap_or(u32::MAX).max(1)
}

/// Pins the calling thread for `worker` to a core, workers going round the allowed cores.
///
/// Where that is not permitted the thread stays unpinned: a job must run there too.
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
