//! A running job as its host sees it: the handle, and what the job leaves behind.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::checkpoint::{RealStorage, Storage};
use crate::metrics::{MetricGroup, MetricSample};
use crate::operator::panic_message;

use super::checkpointer::StopMode;
use super::deployment::Blueprint;
use super::error::JobError;
use super::job_status::JobStatus;
use super::master::{Command, Master};
use super::report::{SubtaskReport, reports};
use super::worker::Event;

/// What handle and master share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) name: Arc<str>,
    status: Mutex<JobStatus>,
    pub(super) metrics: MetricGroup,
}

impl Shared {
    pub(super) fn new(name: Arc<str>, metrics: MetricGroup) -> Self {
        Shared {
            name,
            status: Mutex::new(JobStatus::Created),
            metrics,
        }
    }

    pub(super) fn status(&self) -> JobStatus {
        *self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Goes to `next` if that may follow; says whether it did.
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

/// What a finished job leaves behind.
#[derive(Clone, Debug)]
pub struct JobResult {
    /// From the start of the workers to the end of the last one.
    pub duration: Duration,
    /// Every metric, as last written.
    pub metrics: Vec<MetricSample>,
}

impl JobResult {
    /// Records that the sources emitted.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.total("source_records")
    }

    /// The sum of every metric called `name`.
    #[must_use]
    pub fn total(&self, name: &str) -> u64 {
        let of_name = self.metrics.iter().filter(|sample| sample.name == name);
        of_name
            .map(|sample| sample.value.max(0).unsigned_abs())
            .sum()
    }
}

/// A running job, as its host sees it. Dropping it cancels the job and waits for its end.
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

    /// Where the job is in its life.
    #[must_use]
    pub fn status(&self) -> JobStatus {
        self.shared.status()
    }

    /// Every metric of every subtask, as last written.
    #[must_use]
    pub fn metrics(&self) -> Vec<MetricSample> {
        self.shared.metrics.samples()
    }

    /// How every subtask is doing: records, busy, back-pressured and idle shares, watermark, ring fill.
    #[must_use]
    pub fn reports(&self) -> Vec<SubtaskReport> {
        reports(&self.metrics())
    }

    /// The sum of every metric called `name` (`source_records`, `records_out`, `late_records` …).
    #[must_use]
    pub fn total(&self, name: &str) -> i64 {
        self.shared.metrics.total(name)
    }

    /// Cancels the job: subtasks are closed, nothing more is emitted. Returns at once.
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

    /// Takes a savepoint and waits until it is complete: a copy of all state in a directory of its own, from which
    /// this job, or a changed one, can go on at any parallelism
    /// ([`RestoreFrom::Path`](super::RestoreFrom::Path)).
    ///
    /// # Errors
    /// [`JobError::Checkpoint`] if it cannot be completed, or the job has no checkpoints.
    pub fn savepoint(&self, directory: impl AsRef<Path>) -> Result<PathBuf, JobError> {
        self.save(directory.as_ref(), StopMode::GoOn)
    }

    /// Takes a savepoint and ends the job there: no record after it has any effect, and no window or timer fires that
    /// is open, of event time or of processing time. Transactional sinks commit what is before it.
    ///
    /// # Errors
    /// As [`savepoint`](Self::savepoint); the job goes on then.
    pub fn stop(&self, directory: impl AsRef<Path>) -> Result<PathBuf, JobError> {
        self.save(directory.as_ref(), StopMode::Suspend)
    }

    /// Ends the sources as if their input were over, so that every window and event timer fires, then takes a
    /// savepoint and ends the job. Nothing is left to go on with but what comes after.
    ///
    /// # Errors
    /// As [`savepoint`](Self::savepoint).
    pub fn drain(&self, directory: impl AsRef<Path>) -> Result<PathBuf, JobError> {
        self.save(directory.as_ref(), StopMode::Drain)
    }

    fn save(&self, directory: &Path, mode: StopMode) -> Result<PathBuf, JobError> {
        let storage = RealStorage::create(directory).map_err(|cause| JobError::Checkpoint {
            job: Arc::clone(&self.shared.name),
            reason: format!("{}: {cause}", directory.display()),
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
        // A master that has ended answers nobody.
        let _ = self.events.send(Event::Command(command));
    }

    fn await_answer(
        &self,
        answer: &std::sync::mpsc::Receiver<Result<(), String>>,
    ) -> Result<(), JobError> {
        let ended = || Err("the job has ended".to_owned());
        let answer = answer.recv().unwrap_or_else(|_| ended());
        answer.map_err(|reason| JobError::Checkpoint {
            job: Arc::clone(&self.shared.name),
            reason,
        })
    }

    /// Waits for the job's end.
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
            // What the job ended with is of no interest to whoever let go of it.
            let _ = master.join();
        }
    }
}

/// Runs the job. Where code of its user panics that no subtask runs, the job has failed, too: its workers end while the
/// master unwinds.
fn run(shared: &Shared, blueprint: &dyn Blueprint, master: Master) -> Result<JobResult, JobError> {
    let ended = catch_unwind(AssertUnwindSafe(|| {
        let ended = master.run();
        blueprint.job_ended();
        ended
    }));
    ended.unwrap_or_else(|panic| {
        shared.advance(JobStatus::Failing);
        shared.advance(JobStatus::Failed);
        Err(JobError::Panicked {
            job: Arc::clone(&shared.name),
            message: panic_message(&*panic),
        })
    })
}

/// Starts the thread that minds a job.
///
/// # Errors
/// [`JobError::Thread`] if the operating system refuses one.
pub(super) fn mind(
    shared: Arc<Shared>,
    events: Sender<Event>,
    blueprint: Arc<dyn Blueprint>,
    master: Master,
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
