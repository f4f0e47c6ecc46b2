//! `Committer`: runs the commits and slow writes of sinks off the workers, because they wait for disks and
//! databases.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::{BoxError, OpenContext, Outcome, panic_message};
use crate::checkpoint::Deferred;
use crate::ring::Waker;

/// Work to be done elsewhere; returns whether it failed, or any work of its queue had failed before.
pub(crate) type CommitTask = Box<dyn FnOnce() -> bool + Send>;

/// Runs the work it is given, in order: on a thread of the job, or immediately if there is none, as in a job that is
/// stepped.
#[derive(Clone, Default)]
pub struct Committer(Option<Arc<dyn Fn(CommitTask) + Send + Sync>>);

impl std::fmt::Debug for Committer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Committer").finish_non_exhaustive()
    }
}

impl Committer {
    /// A committer backed by a thread, to which `send` passes the work. A worker notices a failure when it next ends
    /// a batch: the owner of the thread makes sure that this happens soon, even if no input arrives.
    pub(crate) fn new(send: impl Fn(CommitTask) + Send + Sync + 'static) -> Self {
        Committer(Some(Arc::new(send)))
    }
}

/// The state of one writer's commits.
#[derive(Debug, Default)]
struct Commits {
    /// Each is tried, whether or not an earlier one has failed.
    tries_all: bool,
    /// How many are done, counted from the first, up to the first that has failed.
    done: AtomicU64,
    has_failed: AtomicBool,
    ended: Mutex<Ended>,
    changed: Condvar,
    /// Wakes the writer's worker, which may be waiting for room.
    waker: Option<Waker>,
}

#[derive(Debug, Default)]
struct Ended {
    /// Those done, failed, or skipped after a failure.
    count: u64,
    error: Option<BoxError>,
    /// What the error says, for checkpoints that wait for what has failed: the error itself goes to the writer.
    reason: String,
}

impl Commits {
    fn ended(&self) -> MutexGuard<'_, Ended> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until `count` commits have ended.
    fn wait(&self, count: u64) {
        let mut ended = self.ended();
        while ended.count < count {
            let changed = self.changed.wait(ended);
            ended = changed.unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Runs one commit, unless an earlier one has failed and not all are to be tried. Returns whether any has failed.
    fn run(&self, work: impl FnOnce() -> Outcome) -> bool {
        let has_failed = self.has_failed.load(Ordering::Acquire);
        if has_failed && !self.tries_all {
            return true;
        }
        let done = catch_unwind(AssertUnwindSafe(work));
        let done = done.unwrap_or_else(|payload| {
            Err(format!("a commit panicked: {}", panic_message(&*payload)).into())
        });
        match done {
            _ if has_failed => true,
            Ok(()) => {
                self.done.fetch_add(1, Ordering::Release);
                false
            }
            Err(error) => {
                let mut ended = self.ended();
                ended.reason = error.to_string();
                ended.error = Some(error);
                self.has_failed.store(true, Ordering::Release);
                true
            }
        }
    }
}

/// Counts a commit as ended when dropped, whether or not it was done.
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
    /// Creates an empty queue for a writer that is being opened. Once a commit has failed, the later ones are skipped.
    #[must_use]
    pub fn new(cx: &OpenContext) -> Self {
        Self::queue(cx, false)
    }

    /// A queue of commits that do not rely on earlier ones: all are tried, and the first error is kept.
    pub(crate) fn trying_all(cx: &OpenContext) -> Self {
        Self::queue(cx, true)
    }

    fn queue(cx: &OpenContext, tries_all: bool) -> Self {
        let commits = Commits {
            tries_all,
            waker: cx.waker.clone(),
            ..Commits::default()
        };
        CommitQueue {
            committer: cx.checkpointing.committer.clone(),
            commits: Arc::new(commits),
            sent: 0,
        }
    }

    /// Queues a commit behind the earlier ones. Returns its number, from 0.
    ///
    /// # Errors
    /// If it was run immediately and failed: it has no number.
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

    /// Returns how many commits are pending. A writer that is not ready because there are many is asked again when one
    /// is done.
    #[inline]
    #[must_use]
    pub fn under_way(&self) -> u64 {
        self.sent - self.done()
    }

    /// Removes done commits from `pending`: `number` returns the number of an entry's commit, once sent.
    pub fn forget_done<T>(&self, pending: &mut VecDeque<T>, number: impl Fn(&T) -> Option<u64>) {
        let done = self.done();
        pending.retain(|pending| number(pending).is_none_or(|number| number >= done));
    }

    /// Returns work that waits for all commits sent so far, if any are pending: a checkpoint that relies on them
    /// must not complete before.
    #[must_use]
    pub fn until_done(&self) -> Option<Deferred> {
        if self.under_way() == 0 {
            return None;
        }
        let (commits, sent) = (Arc::clone(&self.commits), self.sent);
        Some(Box::new(move || {
            commits.wait(sent);
            match commits.has_failed.load(Ordering::Acquire) {
                true => Err(commits.ended().reason.as_str().into()),
                false => Ok(()),
            }
        }))
    }

    /// Returns the error of a failed commit, once.
    ///
    /// # Errors
    /// That error.
    #[inline]
    pub fn check(&self) -> Outcome {
        if !self.commits.has_failed.load(Ordering::Relaxed) {
            return Ok(());
        }
        self.commits.ended().error.take().map_or(Ok(()), Err)
    }

    /// Waits until every commit has been tried, or skipped after a failure.
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
