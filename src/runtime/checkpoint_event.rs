//! Checkpoint events, reported to an observer.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::checkpoint_writer::CheckpointSize;

/// An event in the life of a checkpoint.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum CheckpointEvent {
    /// The job starts from scratch where an earlier run has left checkpoints, which its own will replace.
    /// [`RestoreFrom::Latest`](super::RestoreFrom::Latest) goes on from them instead.
    Replacing {
        /// The number of the newest one.
        newest: u64,
    },
    /// A checkpoint is unusable, so the job goes on from an earlier one. What its sinks have committed since that is
    /// committed again, unless they notice.
    PassedOver {
        /// Its number.
        checkpoint: u64,
        /// Why it is unusable.
        reason: String,
    },
    /// An attempt of the job was restored from this checkpoint. One that became complete while the attempt before
    /// failed may not have been reported as such.
    Restored {
        /// Its number.
        checkpoint: u64,
    },
    /// A checkpoint is complete: it is durable, and the job will restore from it or from a later one.
    Completed {
        /// Its number.
        checkpoint: u64,
        /// Time since its trigger, by the wall clock.
        duration: Duration,
        /// How much was written for it.
        size: CheckpointSize,
    },
    /// A checkpoint was aborted.
    Failed {
        /// Its number.
        checkpoint: u64,
        /// Why.
        reason: String,
    },
}

/// The callback that receives checkpoint events.
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
