//! How a job runs: workers, waiting, rings, key groups, time.

use crate::record::KeyGroupAssignment;
use crate::ring::WaitStrategy;
use crate::time::Clock;

use super::batch::BatchSize;
use super::checkpoints::{Checkpoints, RestoreFrom};
use super::restart::RestartStrategy;

/// Settings of a job's runtime; every default suits an embedded service.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// Number of workers; `None`: one per core that the process may use, but no more than the
    /// job has slots.
    pub(crate) workers: Option<u32>,
    /// Whether workers are pinned to cores. Where pinning is not permitted, they run unpinned.
    pub(crate) pin: bool,
    /// What a worker does when it has no work.
    pub(crate) wait: WaitStrategy,
    /// Size of each ring in bytes; a record may occupy up to a quarter of it.
    pub(crate) ring_capacity: usize,
    /// How many records a subtask may take in one turn.
    pub(crate) batch: BatchSize,
    /// How keys map to key groups.
    pub(crate) key_groups: KeyGroupAssignment,
    /// Number of key groups; `None`: Flink's default for the job's largest parallelism.
    pub(crate) max_parallelism: Option<u32>,
    /// How checkpoints are taken, if they are.
    pub(crate) checkpoints: Option<Checkpoints>,
    /// What the job restores its state from.
    pub(crate) restore: RestoreFrom,
    /// Whether state in that checkpoint that no operator claims may be dropped.
    pub(crate) allow_non_restored: bool,
    /// Whether and when it restarts after a failure; `None`: with checkpoints after growing delays, without them never.
    pub(crate) restart: Option<RestartStrategy>,
    /// Where processing time comes from.
    pub(crate) clock: Clock,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            workers: None,
            pin: true,
            wait: WaitStrategy::default(),
            ring_capacity: 128 * 1024,
            batch: BatchSize::Adaptive,
            key_groups: KeyGroupAssignment::Hash,
            max_parallelism: None,
            checkpoints: None,
            restore: RestoreFrom::default(),
            allow_non_restored: false,
            restart: None,
            clock: Clock::System,
        }
    }
}
