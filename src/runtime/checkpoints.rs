//! How a job takes checkpoints: what a user sets.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::checkpoint::Storage;

use super::checkpoint_event::{CheckpointEvent, CheckpointObserver};

/// When checkpoints are taken and what they must be.
#[derive(Clone, Debug)]
pub(crate) struct CheckpointSettings {
    pub(crate) interval: Option<Duration>,
    pub(crate) min_pause: Duration,
    pub(crate) timeout: Duration,
    pub(crate) max_concurrent: usize,
    pub(crate) tolerable_failures: u32,
    pub(crate) at_least_once: bool,
    /// How long a checkpoint's barriers stay in line before they overtake; for ever, if it is none.
    pub(crate) unaligned_after: Option<Duration>,
    pub(crate) observer: Option<CheckpointObserver>,
}

impl CheckpointSettings {
    /// How many may be under way at once: one where barriers may overtake (Flink's rule), and where nobody waits for
    /// them, as a barrier then could arrive in full before one of an earlier checkpoint, whose changes its own stand on.
    pub(crate) fn concurrent(&self) -> usize {
        if self.at_least_once || self.unaligned_after.is_some() {
            1
        } else {
            self.max_concurrent
        }
    }

    /// Tells whoever wants to know.
    pub(crate) fn tell(&self, event: &CheckpointEvent) {
        if let Some(observer) = &self.observer {
            observer.tell(event);
        }
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

/// What becomes of the checkpoints of a job that was cancelled.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Retention {
    /// They stay, as those of a job that failed do.
    #[default]
    RetainOnCancellation,
    /// They go with the job.
    DeleteOnCancellation,
}

/// How a job takes checkpoints: how often, where, and what they must be.
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
    /// A checkpoint every `interval`, kept in `checkpoints/` unless told otherwise.
    pub fn every(interval: Duration) -> Self {
        let mut checkpoints = Self::on_request();
        checkpoints.settings.interval = Some(interval.max(Duration::from_millis(1)));
        checkpoints
    }

    /// Only when somebody asks for a checkpoint or savepoint, and at the end.
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

    /// The directory that they are kept in; it is made if there is none. One job at a time may use it.
    pub fn to(mut self, directory: impl Into<PathBuf>) -> Self {
        self.place = Place::Directory(directory.into());
        self
    }

    /// Where they are kept, in place of a directory.
    pub fn to_storage(mut self, storage: Arc<dyn Storage>) -> Self {
        self.place = Place::Storage(storage);
        self
    }

    /// How long to wait after the end of one before the next begins. Default: not at all.
    pub fn min_pause(self, pause: Duration) -> Self {
        self.set(|settings| settings.min_pause = pause)
    }

    /// How long after its trigger one is given up that is not complete. Default: ten minutes.
    pub fn timeout(self, timeout: Duration) -> Self {
        self.set(|settings| settings.timeout = timeout)
    }

    /// How many may be under way at once. Default: one, which it stays where barriers may overtake
    /// ([`unaligned`](Self::unaligned)) and [at least once](Self::at_least_once). A subtask still writes one after the
    /// other: what is gained is that barriers of the next are on their way while the one before is aligned and written
    /// elsewhere.
    pub fn max_concurrent(self, checkpoints: usize) -> Self {
        self.set(|settings| settings.max_concurrent = checkpoints.max(1))
    }

    /// How many may fail in a row without failing the job. Default: none.
    pub fn tolerable_failures(self, failures: u32) -> Self {
        self.set(|settings| settings.tolerable_failures = failures)
    }

    /// How many complete ones are kept. Default: the last one.
    pub fn retained(mut self, checkpoints: usize) -> Self {
        self.retained = checkpoints.max(1);
        self
    }

    /// What becomes of them when the job is cancelled. Default: they stay.
    pub fn on_cancellation(mut self, retention: Retention) -> Self {
        self.retention = retention;
        self
    }

    /// Does not hold inputs back whose barrier has come while others are waited for: records between the two
    /// are counted twice after a failure.
    pub fn at_least_once(self) -> Self {
        self.set(|settings| settings.at_least_once = true)
    }

    /// Has barriers overtake what is on its way between subtasks, which becomes part of the checkpoint (Flink's
    /// unaligned checkpoints): a checkpoint then does not wait for records that wait in full rings, and costs
    /// their bytes. Not through forward, broadcast and custom edges, where barriers stay in line; nor for savepoints,
    /// nor with [`at_least_once`](Self::at_least_once).
    pub fn unaligned(self) -> Self {
        self.unaligned_after(Duration::ZERO)
    }

    /// As [`unaligned`](Self::unaligned), but only once a checkpoint has waited so long for its barriers.
    pub fn unaligned_after(self, timeout: Duration) -> Self {
        self.set(|settings| settings.unaligned_after = Some(timeout))
    }

    /// Has `observe` told what becomes of them, on the thread that minds the job: of a complete one before any
    /// sink is, so that what was told stays true whatever happens next. It must not take long.
    pub fn observed_by(self, observe: impl Fn(&CheckpointEvent) + Send + Sync + 'static) -> Self {
        self.set(|settings| settings.observer = Some(CheckpointObserver::new(observe)))
    }
}

/// What a job goes on from.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum RestoreFrom {
    /// Nothing: it starts anew, and its checkpoints go on counting where the directory's left off.
    #[default]
    Nothing,
    /// The last complete checkpoint in its own directory; it starts anew where there is none.
    Latest,
    /// A savepoint, or another job's directory of checkpoints: the last complete one in it.
    Path(PathBuf),
}
