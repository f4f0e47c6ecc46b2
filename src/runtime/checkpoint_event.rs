//! What becomes of a job's checkpoints, told to whoever wants to know.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::checkpoint_writer::CheckpointSize;

/// Something that has become of a checkpoint.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum CheckpointEvent {
    /// An attempt at the job goes on from this checkpoint.
    Restored {
        /// Its number.
        checkpoint: u64,
    },
    /// A checkpoint is complete: it is on the disk, and the job will go on from it or from a later one.
    Completed {
        /// Its number.
        checkpoint: u64,
        /// From its trigger, by the wall clock.
        duration: Duration,
        /// What was written for it.
        size: CheckpointSize,
    },
    /// A checkpoint was given up.
    Failed {
        /// Its number.
        checkpoint: u64,
        /// Why.
        reason: String,
    },
}

/// Who wants to know.
#[derive(Clone)]
pub(crate) struct CheckpointObserver(Arc<dyn Fn(&CheckpointEvent) + Send + Sync>);

impl CheckpointObserver {
    pub(super) fn new(observe: impl Fn(&CheckpointEvent) + Send + Sync + 'static) -> Self {
        CheckpointObserver(Arc::new(observe))
    }

    pub(super) fn tell(&self, event: &CheckpointEvent) {
        (self.0)(event);
    }
}

impl fmt::Debug for CheckpointObserver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CheckpointObserver")
    }
}
