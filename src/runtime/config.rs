//! How a job runs: workers, waiting, rings, key groups, time.

use crate::record::KeyGroupAssignment;
use crate::ring::WaitStrategy;
use crate::time::Clock;

use super::batch::BatchSize;
use super::checkpoints::{Checkpoints, RestoreFrom};
use super::restart::RestartStrategy;

/// Settings of a job's runtime; every one has a default that suits an embedded service.
#[derive(Clone, Debug)]
pub struct Config {
    /// Number of workers; `None`: one for each core that the process may use, and not more than the
    /// job has slots.
    pub workers: Option<u32>,
    /// Whether workers are pinned to cores. Where pinning is not permitted, they run unpinned.
    pub pin: bool,
    /// What a worker does when it has nothing to do.
    pub wait: WaitStrategy,
    /// Size of each ring in bytes; a record may take a quarter of it.
    pub ring_capacity: usize,
    /// How many records a subtask may take in one turn.
    pub batch: BatchSize,
    /// How keys find their key group.
    pub key_groups: KeyGroupAssignment,
    /// Number of key groups; `None`: Flink's default for the job's largest parallelism.
    pub max_parallelism: Option<u32>,
    /// How checkpoints are taken, if they are.
    pub checkpoints: Option<Checkpoints>,
    /// What the job goes on from.
    pub restore: RestoreFrom,
    /// Whether state of that checkpoint may be left behind that no operator takes.
    pub allow_non_restored: bool,
    /// Whether it starts again when it fails; `None`: with checkpoints ever later, without them never.
    pub restart: Option<RestartStrategy>,
    /// Where processing time comes from.
    pub clock: Clock,
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
