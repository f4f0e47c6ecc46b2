//! A running job as its host sees it: the handle and the result.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::checkpoint::{RealStorage, Storage};
use crate::metrics::{MetricGroup, MetricSample};

use super::checkpointer::StopMode;
use super::deployment::Blueprint;
use super::error::JobError;
use super::job_master::{Command, JobMaster};
use super::job_status::JobStatus;
use super::report::{SubtaskReport, reports};
use super::worker::Event;

/// State shared by the handle and the master.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) name: Arc<str>,
    status: Mutex<JobStatus>,
    pub(super) metrics: MetricGroup,
    ending: Ending,
}

impl Shared {
    pub(super) fn new(name: Arc<str>, metrics: MetricGroup) -> Self {
        Shared {
            name,
            status: Mutex::new(JobStatus::Created),
            metrics,
            ending: Ending::default(),
        }
    }

    pub(super) fn status(&self) -> JobStatus {
        *self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Moves to `next` if that transition is allowed; returns whether it is.
    pub(super) fn advance(&self, next: JobStatus) -> bool {
        let mut status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        let may = status.leads_to(next);
        if may {
            tracing::debug!(job = %self.name, from = ?*status, to = ?next, "job status");
            *status = next;
        }
        may
    }
}

/// Whether the master has ended, and what wakes those who wait for it.
#[derive(Default, Debug)]
struct Ending {
    has_ended: Mutex<bool>,
    changed: Condvar,
}

impl Ending {
    fn has_ended(&self) -> bool {
        *self
            .has_ended
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self) {
        *self
            .has_ended
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }

    /// Waits for the end, at most for `timeout`; returns whether it has come.
    fn wait(&self, timeout: Duration) -> bool {
        let has_ended = self
            .has_ended
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let waited = self
            .changed
            .wait_timeout_while(has_ended, timeout, |has_ended| !*has_ended);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

/// The sum of every metric called `name`; negative values count as zero.
fn total(metrics: &[MetricSample], name: &str) -> u64 {
    let of_name = metrics.iter().filter(|sample| sample.name == name);
    of_name
        .map(|sample| sample.value.max(0).unsigned_abs())
        .sum()
}

/// The result of a finished job.
#[derive(Clone, Debug)]
pub struct JobResult {
    /// Time from the start of the workers to the end of the last one.
    pub duration: Duration,
    /// Every metric, with its final value: that of the last attempt, if the job has restarted.
    pub metrics: Vec<MetricSample>,
}

impl JobResult {
    /// The number of records that the sources emitted, in the last attempt if the job has restarted.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.total("source_records")
    }

    /// The sum of every metric called `name`.
    #[must_use]
    pub fn total(&self, name: &str) -> u64 {
        total(&self.metrics, name)
    }
}

/// A handle to a running job. Dropping it cancels the job and waits for its end.
#[derive(Debug)]
pub struct JobHandle {
    shared: Arc<Shared>,
    events: Sender<Event>,
    master: Option<JoinHandle<Result<JobResult, JobError>>>,
}

impl JobHandle {
    /// The job's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// The job's current state.
    #[must_use]
    pub fn status(&self) -> JobStatus {
        self.shared.status()
    }

    /// Every metric of every subtask, with its latest value. Each attempt counts anew.
    #[must_use]
    pub fn metrics(&self) -> Vec<MetricSample> {
        self.shared.metrics.samples()
    }

    /// A report on every subtask: records, busy, backpressured and idle shares, watermark, ring fill.
    #[must_use]
    pub fn reports(&self) -> Vec<SubtaskReport> {
        reports(&self.metrics())
    }

    /// The sum of every metric called `name` (`source_records`, `records_out`, `late_records` …).
    #[must_use]
    pub fn total(&self, name: &str) -> u64 {
        total(&self.metrics(), name)
    }

    /// Cancels the job: subtasks are closed and emit nothing more. Returns at once.
    pub fn cancel(&self) {
        if self.shared.advance(JobStatus::Cancelling) {
            self.command(Command::Cancel);
        }
    }

    /// Takes a checkpoint now and waits until it is complete.
    ///
    /// # Errors
    /// [`JobError::Checkpoint`] if it cannot be completed, or the job has no checkpoints.
    pub fn checkpoint(&self) -> Result<(), JobError> {
        let (reply, answer) = channel();
        self.command(Command::Checkpoint(reply));
        self.await_answer(&answer)
    }

    /// Takes a savepoint and waits until it is complete: a self-contained copy of all state in a directory of its own,
    /// from which this job, or a modified one, can be restored at any parallelism
    /// ([`RestoreFrom::Path`](super::RestoreFrom::Path)).
    ///
    /// # Errors
    /// [`JobError::Checkpoint`] if it cannot be completed, or the job has no checkpoints.
    pub fn savepoint(&self, directory: impl AsRef<Path>) -> Result<PathBuf, JobError> {
        self.save(directory.as_ref(), StopMode::GoOn)
    }

    /// Takes a savepoint and stops the job there: no later record has any effect, and open windows and pending timers
    /// do not fire, neither of event time nor of processing time. Transactional sinks commit what precedes the
    /// savepoint.
    ///
    /// # Errors
    /// As [`savepoint`](Self::savepoint), and if the job is being stopped or drained already; the job then continues.
    pub fn stop(&self, directory: impl AsRef<Path>) -> Result<PathBuf, JobError> {
        self.save(directory.as_ref(), StopMode::Suspend)
    }

    /// Ends the sources as if their input were over, so that every window and event-time timer fires, then takes a
    /// savepoint and ends the job. A job restored from it starts with no open windows and processes only later input.
    ///
    /// # Errors
    /// As [`savepoint`](Self::savepoint), and if the job is being stopped or drained already. If only the savepoint
    /// cannot be written, the job ends all the same, as its input is over, with a last checkpoint of its own. If the job
    /// fails meanwhile and restarts, it reads on.
    pub fn drain(&self, directory: impl AsRef<Path>) -> Result<PathBuf, JobError> {
        self.save(directory.as_ref(), StopMode::Drain)
    }

    fn save(&self, directory: &Path, mode: StopMode) -> Result<PathBuf, JobError> {
        if self.is_finished() {
            return Err(self.has_ended());
        }
        let storage = RealStorage::create(directory).map_err(|cause| {
            let reason = format!("{}: {cause}", directory.display());
            JobError::checkpoint(&self.shared.name, reason)
        })?;
        let (reply, answer) = channel();
        let target: Arc<dyn Storage> = Arc::new(storage);
        self.command(Command::Savepoint {
            target,
            mode,
            reply,
        });
        self.await_answer(&answer)?;
        Ok(directory.to_owned())
    }

    fn command(&self, command: Command) {
        // A master that has ended drops the reply sender: there will be no answer.
        let _ = self.events.send(Event::Command(command));
    }

    fn await_answer(
        &self,
        answer: &std::sync::mpsc::Receiver<Result<(), String>>,
    ) -> Result<(), JobError> {
        let answer = answer.recv().map_err(|_| self.has_ended())?;
        answer.map_err(|reason| JobError::checkpoint(&self.shared.name, reason))
    }

    fn has_ended(&self) -> JobError {
        JobError::checkpoint(&self.shared.name, "the job has ended")
    }

    /// Returns whether the job has ended, however it did: then [`wait`](Self::wait) returns at once.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.shared.ending.has_ended()
    }

    /// Waits for the job to end, at most for `timeout`; returns whether it has ended. [`wait`](Self::wait) then returns
    /// its result.
    ///
    /// ```
    /// use thalweg::prelude::*;
    ///
    /// let (mut numbers, source) = inlet::<u64>(1 << 16);
    /// let env = Environment::new();
    /// env.source("numbers", source).sink("nowhere", Discard::new());
    /// let job = env.spawn("numbers")?;
    ///
    /// numbers.push(&7)?;
    /// assert!(!job.wait_timeout(millis(10)), "more numbers may come");
    /// drop(numbers);
    /// while !job.wait_timeout(secs(1)) {
    ///     println!("{} numbers so far", job.total("source_records"));
    /// }
    /// assert!(job.is_finished());
    /// assert_eq!(job.wait()?.records(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn wait_timeout(&self, timeout: Duration) -> bool {
        self.shared.ending.wait(timeout)
    }

    /// Waits for the job to end.
    ///
    /// # Errors
    /// [`JobError::Failed`] with the root cause, or [`JobError::Cancelled`].
    pub fn wait(mut self) -> Result<JobResult, JobError> {
        let master = self
            .master
            .take()
            .expect("only `wait` and `drop` take the master");
        match master.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}

impl Drop for JobHandle {
    fn drop(&mut self) {
        if let Some(master) = self.master.take() {
            self.cancel();
            // Whoever drops the handle is not interested in how the job ended.
            let _ = master.join();
        }
    }
}

/// Runs the job. If code of the host panics that no subtask runs, the job has failed too: its workers end while the
/// master unwinds.
fn run(
    shared: &Shared,
    blueprint: &dyn Blueprint,
    master: JobMaster,
) -> Result<JobResult, JobError> {
    let ended = catch_unwind(AssertUnwindSafe(|| master.run()));
    let told = catch_unwind(AssertUnwindSafe(|| blueprint.job_ended()));
    let ended = ended.and_then(|ended| told.map(|()| ended));
    let ended = ended.unwrap_or_else(|panic| {
        shared.advance(JobStatus::Failing);
        shared.advance(JobStatus::Failed);
        Err(JobError::panicked(&shared.name, &*panic))
    });
    shared.ending.end();
    ended
}

/// Starts the thread that supervises a job.
///
/// # Errors
/// [`JobError::Thread`] if the operating system refuses one.
pub(super) fn start_thread(
    shared: Arc<Shared>,
    events: Sender<Event>,
    blueprint: Arc<dyn Blueprint>,
    master: JobMaster,
) -> Result<JobHandle, JobError> {
    // Workers are started by the master, which is never pinned: threads inherit the mask of the thread that
    // starts them.
    let master = std::thread::Builder::new()
        .name("thalweg-master".to_owned())
        .spawn({
            let shared = Arc::clone(&shared);
            move || run(&shared, &*blueprint, master)
        })
        .map_err(JobError::Thread)?;
    Ok(JobHandle {
        shared,
        events,
        master: Some(master),
    })
}
