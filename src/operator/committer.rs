//! `Committer`: who does the commits and the slow writes of sinks: not a worker, because they wait for disks and
//! databases.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::{BoxError, OpenContext, Outcome};
use crate::checkpoint::Deferred;
use crate::ring::Waker;

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
    /// Wakes the worker of the writer, which may wait for room.
    waker: Option<Waker>,
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

    /// Waits until so many have ended.
    fn wait(&self, count: u64) {
        let mut ended = self.ended();
        while ended.count < count {
            let changed = self.changed.wait(ended);
            ended = changed.unwrap_or_else(PoisonError::into_inner);
        }
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
        if let Some(waker) = &self.0.waker {
            waker.wake();
        }
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
    /// An empty queue of a writer that opens.
    #[must_use]
    pub fn new(cx: &OpenContext) -> Self {
        let commits = Commits {
            waker: cx.waker.clone(),
            ..Commits::default()
        };
        CommitQueue {
            committer: cx.checkpointing.committer.clone(),
            commits: Arc::new(commits),
            sent: 0,
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

    fn done(&self) -> u64 {
        self.commits.done.load(Ordering::Acquire)
    }

    /// How many are not done. A writer that is not ready while there are many, and says so, is asked again when one
    /// is done.
    #[inline]
    #[must_use]
    pub fn under_way(&self) -> u64 {
        self.sent - self.done()
    }

    /// Forgets what is done, of what was to be committed: `number` gives that of its commit, once it was sent.
    pub fn forget_done<T>(&self, pending: &mut VecDeque<T>, number: impl Fn(&T) -> Option<u64>) {
        let done = self.done();
        pending.retain(|pending| number(pending).is_none_or(|number| number >= done));
    }

    /// Work that waits until all that was given so far is done, if something is not: a checkpoint that counts on it
    /// must not be complete before.
    #[must_use]
    pub fn until_done(&self) -> Option<Deferred> {
        if self.under_way() == 0 {
            return None;
        }
        let (commits, sent) = (Arc::clone(&self.commits), self.sent);
        Some(Box::new(move || {
            commits.wait(sent);
            match commits.has_failed.load(Ordering::Acquire) {
                true => Err("what was to be written before has failed".into()),
                false => Ok(()),
            }
        }))
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
        if self.committer.0.is_some() {
            self.commits.wait(self.sent);
        }
        self.check()
    }
}
