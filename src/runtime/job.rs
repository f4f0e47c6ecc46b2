//! A running job: its master thread, its states, and the handle that a host holds.

use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::metrics::{MetricGroup, MetricSample};
use crate::operator::{OperatorError, SubtaskInfo};

use super::config::Config;
use super::deployment::WorkerParts;
use super::error::JobError;
use super::mailbox::{Letter, Post, mailbox};
use super::report::{SubtaskReport, reports};
use super::worker::{Event, Worker};

/// Where a job is in its life (Flink's `JobStatus`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum JobStatus {
    /// Built, not yet running.
    Created,
    /// Its subtasks run.
    Running,
    /// A subtask failed; the others are being closed.
    Failing,
    /// Ended by a failure.
    Failed,
    /// Being closed from outside.
    Cancelling,
    /// Closed from outside.
    Canceled,
    /// Every input came to its end.
    Finished,
}

impl JobStatus {
    /// Whether nothing follows this state.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        matches!(
            self,
            JobStatus::Failed | JobStatus::Canceled | JobStatus::Finished
        )
    }

    /// Whether `next` may follow this state.
    fn leads_to(self, next: JobStatus) -> bool {
        use JobStatus::{Canceled, Cancelling, Created, Failed, Failing, Finished, Running};
        match self {
            Created => matches!(next, Running | Failing | Cancelling),
            Running => matches!(next, Finished | Failing | Cancelling),
            Failing => matches!(next, Failed | Cancelling),
            Cancelling => matches!(next, Canceled | Failed),
            Failed | Canceled | Finished => false,
        }
    }
}

/// What handle and master share.
#[derive(Debug)]
struct Shared {
    name: Arc<str>,
    status: Mutex<JobStatus>,
    metrics: MetricGroup,
    posts: Vec<Post>,
}

impl Shared {
    fn status(&self) -> JobStatus {
        *self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Goes to `next` if that may follow; says whether it did.
    fn advance(&self, next: JobStatus) -> bool {
        let mut status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        let may = status.leads_to(next);
        if may {
            tracing::debug!(job = %self.name, from = ?*status, to = ?next, "job status");
            *status = next;
        }
        may
    }

    fn cancel_subtasks(&self) {
        self.posts.iter().for_each(|post| post.send(Letter::Cancel));
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
            self.shared.cancel_subtasks();
        }
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

/// Starts the workers of a deployed job, and the thread that minds them.
///
/// # Errors
/// [`JobError::Thread`] if the operating system refuses one.
pub(crate) fn start(
    name: Arc<str>,
    parts: Vec<WorkerParts>,
    metrics: MetricGroup,
    config: Config,
) -> Result<JobHandle, JobError> {
    let (events, inbox) = channel();
    let mut workers = Vec::new();
    let mut posts = Vec::new();
    for (index, part) in (0..).zip(parts) {
        let (post, mailbox) = mailbox(part.waker);
        posts.push(post);
        let (parker, subtasks, events) = (part.parker, part.subtasks, events.clone());
        workers.push(Worker {
            index,
            subtasks,
            mailbox,
            parker,
            events,
        });
    }
    let status = Mutex::new(JobStatus::Created);
    let shared = Arc::new(Shared {
        name,
        status,
        metrics,
        posts,
    });
    let master = Master {
        shared: Arc::clone(&shared),
        inbox,
        failure: None,
        suppressed: Vec::new(),
    };
    // Workers are started by the master, which is never pinned: threads inherit the mask of the
    // thread that starts them.
    let master = std::thread::Builder::new()
        .name("thalweg-master".to_owned())
        .spawn(move || master.run(workers, config))?;
    Ok(JobHandle {
        shared,
        master: Some(master),
    })
}

/// The thread that minds a job: starts its workers, hears of failures, decides how the job ends.
struct Master {
    shared: Arc<Shared>,
    inbox: Receiver<Event>,
    failure: Option<(SubtaskInfo, OperatorError)>,
    suppressed: Vec<OperatorError>,
}

impl Master {
    fn run(mut self, workers: Vec<Worker>, config: Config) -> Result<JobResult, JobError> {
        let started = Instant::now();
        let config = Arc::new(config);
        let mut threads = Vec::new();
        self.shared.advance(JobStatus::Running);
        for worker in workers {
            let config = Arc::clone(&config);
            let builder = std::thread::Builder::new().name(format!("thalweg-{}", worker.index));
            match builder.spawn(move || worker.run(&config)) {
                Ok(thread) => threads.push(thread),
                Err(refused) => {
                    self.shared.cancel_subtasks();
                    threads.into_iter().for_each(|thread| drop(thread.join()));
                    self.shared.advance(JobStatus::Failing);
                    self.shared.advance(JobStatus::Failed);
                    return Err(refused.into());
                }
            }
        }
        self.mind(threads.len());
        threads.into_iter().for_each(|thread| drop(thread.join()));
        self.conclude(started.elapsed())
    }

    /// Hears the workers until all have ended.
    fn mind(&mut self, mut running: usize) {
        while running > 0 {
            match self.inbox.recv() {
                Ok(Event::Ended) => running -= 1,
                Ok(Event::Failed { subtask, error }) => self.fail(subtask, error),
                Err(_) => return,
            }
        }
    }

    fn fail(&mut self, subtask: SubtaskInfo, error: OperatorError) {
        tracing::error!(vertex = %subtask.vertex, subtask = subtask.index, %error, "subtask failed");
        if self.failure.is_some() {
            self.suppressed.push(error);
            return;
        }
        self.failure = Some((subtask, error));
        if self.shared.advance(JobStatus::Failing) {
            self.shared.cancel_subtasks();
        }
    }

    fn conclude(self, duration: Duration) -> Result<JobResult, JobError> {
        let job = Arc::clone(&self.shared.name);
        match self.shared.status() {
            JobStatus::Failing => {
                self.shared.advance(JobStatus::Failed);
            }
            JobStatus::Cancelling => {
                self.shared.advance(JobStatus::Canceled);
            }
            _ => {
                self.shared.advance(JobStatus::Finished);
            }
        }
        match self.failure {
            Some((subtask, cause)) => Err(JobError::Failed {
                job,
                vertex: subtask.vertex,
                subtask: subtask.index + 1,
                cause,
                suppressed: self.suppressed,
            }),
            None if self.shared.status() == JobStatus::Canceled => Err(JobError::Cancelled { job }),
            None => Ok(JobResult {
                duration,
                metrics: self.shared.metrics.samples(),
            }),
        }
    }
}
