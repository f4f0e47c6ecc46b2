//! `Committer`: who does the commits of sinks: not a worker, because they wait for disks and databases.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::{BoxError, Outcome};

/// Something that is to be done elsewhere; says whether it has failed, or was not done because one before it had.
pub(crate) type Errand = Box<dyn FnOnce() -> bool + Send>;

/// Does what it is given, one after the other: on a thread of the job, or, where there is none, as in a job that is
/// stepped, at once.
#[derive(Clone, Default)]
pub struct Committer(Option<Arc<dyn Fn(Errand) + Send + Sync>>);

impl std::fmt::Debug for Committer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Committer").finish_non_exhaustive()
    }
}

impl Committer {
    /// One that has a thread, which `send` gives its errands. Of one that has failed, a worker learns when it next ends
    /// a batch: whoever has the thread sees to it that this is soon, even where nothing arrives.
    pub(crate) fn new(send: impl Fn(Errand) + Send + Sync + 'static) -> Self {
        Committer(Some(Arc::new(send)))
    }
}

/// What has become of the commits of one writer.
#[derive(Debug, Default)]
struct Commits {
    /// How many are done, from the first on.
    done: AtomicU64,
    has_failed: AtomicBool,
    ended: Mutex<Ended>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Ended {
    /// Done, failed, or behind one that has failed.
    count: u64,
    error: Option<BoxError>,
}

impl Commits {
    fn ended(&self) -> MutexGuard<'_, Ended> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does one, unless one before it has failed. Says whether any has.
    fn run(&self, work: impl FnOnce() -> Outcome) -> bool {
        if self.has_failed.load(Ordering::Acquire) {
            return true;
        }
        let done = catch_unwind(AssertUnwindSafe(work));
        match done.unwrap_or_else(|_| Err("a commit has panicked".into())) {
            Ok(()) => {
                self.done.fetch_add(1, Ordering::Release);
                false
            }
            Err(error) => {
                self.ended().error = Some(error);
                self.has_failed.store(true, Ordering::Release);
                true
            }
        }
    }
}

/// Counts a commit as ended when it is gone, whether or not it was done.
struct End(Arc<Commits>);

impl Drop for End {
    fn drop(&mut self) {
        self.0.ended().count += 1;
        self.0.changed.notify_all();
    }
}

/// The commits of one writer, in order.
#[derive(Debug, Default)]
pub struct CommitQueue {
    committer: Committer,
    commits: Arc<Commits>,
    sent: u64,
}

impl CommitQueue {
    /// An empty queue in front of a committer.
    #[must_use]
    pub fn new(committer: &Committer) -> Self {
        CommitQueue {
            committer: committer.clone(),
            ..CommitQueue::default()
        }
    }

    /// Has a commit done behind those that were given before, unless one of them fails. Gives its number, from 0 on.
    ///
    /// # Errors
    /// Where it was done at once, and failed: it has no number.
    pub fn send(
        &mut self,
        work: impl FnOnce() -> Outcome + Send + 'static,
    ) -> Result<u64, BoxError> {
        match &self.committer.0 {
            Some(send) => {
                let end = End(Arc::clone(&self.commits));
                send(Box::new(move || end.0.run(work)));
            }
            None => {
                work()?;
                self.commits.done.fetch_add(1, Ordering::Release);
            }
        }
        self.sent += 1;
        Ok(self.sent - 1)
    }

    /// How many are done, from the first on.
    #[must_use]
    pub fn done(&self) -> u64 {
        self.commits.done.load(Ordering::Acquire)
    }

    /// The error of one that has failed, once.
    ///
    /// # Errors
    /// This one.
    #[inline]
    pub fn check(&self) -> Outcome {
        if !self.commits.has_failed.load(Ordering::Relaxed) {
            return Ok(());
        }
        self.commits.ended().error.take().map_or(Ok(()), Err)
    }

    /// Waits until every commit is done or will not be.
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub fn wait(&self) -> Outcome {
        let mut ended = self.commits.ended();
        while self.committer.0.is_some() && ended.count < self.sent {
            let changed = self.commits.changed.wait(ended);
            ended = changed.unwrap_or_else(PoisonError::into_inner);
        }
        drop(ended);
        self.check()
    }
}
