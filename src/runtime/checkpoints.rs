//! How a job takes checkpoints: the user's settings.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::checkpoint::{Restored, Storage};

use super::checkpoint_event::{CheckpointEvent, CheckpointObserver};

/// When checkpoints are taken, and with which guarantees.
#[derive(Clone, Debug)]
pub(crate) struct CheckpointSettings {
    pub(crate) interval: Option<Duration>,
    pub(crate) min_pause: Duration,
    pub(crate) timeout: Duration,
    pub(crate) max_concurrent: usize,
    pub(crate) tolerable_failures: u32,
    pub(crate) at_least_once: bool,
    /// How long a checkpoint's barriers are aligned before they overtake; `None`: forever.
    pub(crate) unaligned_after: Option<Duration>,
    pub(crate) observer: Option<CheckpointObserver>,
}

impl CheckpointSettings {
    /// How many may be in progress at once. Only one if barriers may overtake (Flink's rule); and only one without
    /// alignment, where all barriers of a checkpoint could arrive before those of an earlier one that its deltas are
    /// based on.
    pub(crate) fn concurrent(&self) -> usize {
        if self.at_least_once || self.unaligned_after.is_some() {
            1
        } else {
            self.max_concurrent
        }
    }

    /// Reports an event to the observer, if there is one.
    pub(crate) fn tell(&self, event: &CheckpointEvent) {
        if let Some(observer) = &self.observer {
            observer.tell(event);
        }
    }

    /// Reports from which checkpoint an attempt is restored, after those that were passed over for it.
    pub(crate) fn tell_restored(&self, restored: &Restored) {
        for rejected in restored.passed_over() {
            self.tell(&CheckpointEvent::PassedOver {
                checkpoint: rejected.checkpoint,
                reason: rejected.cause.to_string(),
            });
        }
        self.tell(&CheckpointEvent::Restored {
            checkpoint: restored.checkpoint(),
        });
    }
}

impl Default for CheckpointSettings {
    fn default() -> Self {
        CheckpointSettings {
            interval: None,
            min_pause: Duration::ZERO,
            timeout: Duration::from_secs(600),
            max_concurrent: 1,
            tolerable_failures: 0,
            at_least_once: false,
            unaligned_after: None,
            observer: None,
        }
    }
}

/// Where checkpoints are kept.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    Directory(PathBuf),
    Storage(Arc<dyn Storage>),
}

/// What happens to the checkpoints of a job that was cancelled.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Retention {
    /// They are retained, as those of a failed job are.
    #[default]
    RetainOnCancellation,
    /// They are deleted.
    DeleteOnCancellation,
}

/// How a job takes checkpoints: how often, where to, and with which guarantees.
///
/// ```
/// use std::time::Duration;
/// use thalweg::prelude::*;
///
/// let env = Environment::new().checkpoints(
///     Checkpoints::every(Duration::from_secs(1)).to("state/").retained(3).tolerable_failures(2),
/// );
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Checkpoints {
    pub(crate) settings: CheckpointSettings,
    pub(crate) place: Place,
    pub(crate) retained: usize,
    pub(crate) retention: Retention,
}

impl Checkpoints {
    /// Takes a checkpoint every `interval`, in `checkpoints/` unless set otherwise.
    pub fn every(interval: Duration) -> Self {
        let mut checkpoints = Self::on_request();
        checkpoints.settings.interval = Some(interval.max(Duration::from_millis(1)));
        checkpoints
    }

    /// Takes checkpoints and savepoints only on request, and a checkpoint at the end.
    pub fn on_request() -> Self {
        Checkpoints {
            settings: CheckpointSettings::default(),
            place: Place::Directory("checkpoints".into()),
            retained: 1,
            retention: Retention::default(),
        }
    }

    fn set(mut self, set: impl FnOnce(&mut CheckpointSettings)) -> Self {
        set(&mut self.settings);
        self
    }

    /// The directory for checkpoints, created if it does not exist. Only one job at a time may use it.
    pub fn to(mut self, directory: impl Into<PathBuf>) -> Self {
        self.place = Place::Directory(directory.into());
        self
    }

    /// The storage for checkpoints, in place of a directory.
    pub fn to_storage(mut self, storage: Arc<dyn Storage>) -> Self {
        self.place = Place::Storage(storage);
        self
    }

    /// The minimum pause between the end of one checkpoint and the start of the next. Default: none.
    pub fn min_pause(self, pause: Duration) -> Self {
        self.set(|settings| settings.min_pause = pause)
    }

    /// How long after its trigger an incomplete checkpoint is aborted. Default: ten minutes.
    pub fn timeout(self, timeout: Duration) -> Self {
        self.set(|settings| settings.timeout = timeout)
    }

    /// How many may be in progress at once. Default: one. Always one if barriers may overtake
    /// ([`unaligned`](Self::unaligned)), and with [at least once](Self::at_least_once). A subtask still writes one
    /// after the other: the gain is that the barriers of the next one already travel while the previous one is being
    /// aligned and written elsewhere.
    pub fn max_concurrent(self, checkpoints: usize) -> Self {
        self.set(|settings| settings.max_concurrent = checkpoints.max(1))
    }

    /// How many consecutive failures are tolerated before the job fails. Default: none.
    pub fn tolerable_failures(self, failures: u32) -> Self {
        self.set(|settings| settings.tolerable_failures = failures)
    }

    /// How many complete checkpoints are retained. Default: the last one.
    pub fn retained(mut self, checkpoints: usize) -> Self {
        self.retained = checkpoints.max(1);
        self
    }

    /// What happens to them when the job is cancelled. Default: they are retained.
    pub fn on_cancellation(mut self, retention: Retention) -> Self {
        self.retention = retention;
        self
    }

    /// Does not align barriers: an input whose barrier has arrived is read on while the others are awaited. After a
    /// failure, the records read in between are processed twice.
    pub fn at_least_once(self) -> Self {
        self.set(|settings| settings.at_least_once = true)
    }

    /// Lets barriers overtake the data in flight between subtasks, which becomes part of the checkpoint (Flink's
    /// unaligned checkpoints). A checkpoint then does not wait for records in full rings, but stores their bytes.
    /// Barriers stay aligned on forward, broadcast and custom edges, where a region reads what it has sent to another
    /// one, for savepoints, and with [`at_least_once`](Self::at_least_once). An operator that reads such an edge and
    /// another one waits for the aligned barrier.
    pub fn unaligned(self) -> Self {
        self.unaligned_after(Duration::ZERO)
    }

    /// Like [`unaligned`](Self::unaligned), but only once alignment has taken longer than `timeout`.
    pub fn unaligned_after(self, timeout: Duration) -> Self {
        self.set(|settings| settings.unaligned_after = Some(timeout))
    }

    /// Calls `observe` for each checkpoint event, on the job master's thread. A completed checkpoint is reported before
    /// any sink is notified, so that the report stays true whatever happens next. The callback must be quick.
    pub fn observed_by(self, observe: impl Fn(&CheckpointEvent) + Send + Sync + 'static) -> Self {
        self.set(|settings| settings.observer = Some(CheckpointObserver::new(observe)))
    }
}

/// What a job restores its state from.
#[derive(Clone, Debug, Default)]
pub enum RestoreFrom {
    /// Nothing: the job starts from scratch. Its checkpoint numbers continue from those in the directory.
    #[default]
    Nothing,
    /// The last complete checkpoint in its own directory; from scratch if there is none.
    Latest,
    /// A savepoint, or the last complete checkpoint in another job's directory.
    Path(PathBuf),
    /// The same, in a storage that is no directory, or not only that.
    Storage(Arc<dyn Storage>),
}
