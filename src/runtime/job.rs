//! A running job as its host sees it: the handle, and what the job leaves behind.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::checkpoint::{RealStorage, Storage};
use crate::metrics::{MetricGroup, MetricSample};

use super::checkpointer::StopMode;
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

/// Whether the master has come to its end, and a bell for those who wait for it.
#[derive(Default, Debug)]
struct Ending {
    has_ended: Mutex<bool>,
    bell: Condvar,
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
        self.bell.notify_all();
    }

    /// Waits for the end, but no longer than `timeout`; says whether it has come.
    fn wait(&self, timeout: Duration) -> bool {
        let has_ended = self
            .has_ended
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let waited = self
            .bell
            .wait_timeout_while(has_ended, timeout, |has_ended| !*has_ended);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

/// Says that the master has ended when it goes, also if a panic takes it.
struct EndsWithMaster(Arc<Shared>);

impl Drop for EndsWithMaster {
    fn drop(&mut self) {
        self.0.ending.end();
    }
}

/// The sum of every metric called `name`. What is below zero has not been counted.
fn total(metrics: &[MetricSample], name: &str) -> u64 {
    let of_name = metrics.iter().filter(|sample| sample.name == name);
    of_name
        .map(|sample| sample.value.max(0).unsigned_abs())
        .sum()
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
        total(&self.metrics, name)
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
    pub fn total(&self, name: &str) -> u64 {
        total(&self.metrics(), name)
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

    /// Whether the job has come to its end, whichever: then [`wait`](Self::wait) does not wait.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.shared.ending.has_ended()
    }

    /// Waits for the job's end, but no longer than `timeout`; says whether it has come. What the job ended with
    /// is what [`wait`](Self::wait) then gives.
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

/// Starts the thread that minds a job.
///
/// # Errors
/// [`JobError::Thread`] if the operating system refuses one.
pub(super) fn mind(
    shared: Arc<Shared>,
    events: Sender<Event>,
    master: Master,
) -> Result<JobHandle, JobError> {
    // Workers are started by the master, which is never pinned: threads inherit the mask of the thread that
    // starts them.
    let end = EndsWithMaster(Arc::clone(&shared));
    let run = move || {
        let _end = end;
        master.run()
    };
    let master = std::thread::Builder::new()
        .name("thalweg-master".to_owned())
        .spawn(run)?;
    Ok(JobHandle {
        shared,
        events,
        master: Some(master),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_master_that_panics_has_ended() {
        let shared = Arc::new(Shared::new("job".into(), MetricGroup::new()));
        assert!(!shared.ending.has_ended() && !shared.ending.wait(Duration::ZERO));
        let end = EndsWithMaster(Arc::clone(&shared));
        let master = std::thread::spawn(move || {
            let _end = end;
            panic!("a master that fails");
        });
        assert!(shared.ending.wait(Duration::MAX));
        assert!(shared.ending.has_ended() && master.join().is_err());
    }
}
