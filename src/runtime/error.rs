//! Errors of running jobs.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::checkpoint::CheckpointError;
use crate::graph::GraphError;
use crate::operator::{BoxError, OperatorError, panic_message};

/// Why a job could not run or did not finish.
///
/// As for all errors of this crate, the message is complete: it ends with the cause, which is a field of the error and
/// not its [`source`](std::error::Error::source), lest reports of the whole chain say it twice.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JobError {
    /// The graph cannot run.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// A source could not start.
    #[error("source `{source_name}`: {cause}")]
    Source {
        /// The source's name.
        source_name: Arc<str>,
        /// What it returned.
        cause: BoxError,
    },
    /// A subtask failed. The first failure is the cause; later ones are kept as suppressed.
    #[error("job `{job}` failed in subtask {} of `{vertex}`: {cause}", subtask + 1)]
    Failed {
        /// The job's name.
        job: Arc<str>,
        /// The vertex's name.
        vertex: Arc<str>,
        /// The subtask's index, from 0; the message counts from 1.
        subtask: u32,
        /// The first error.
        cause: OperatorError,
        /// Errors of other subtasks, and of closing, in the order in which they arrived.
        suppressed: Vec<OperatorError>,
    },
    /// The place where the job keeps its checkpoints cannot be used.
    #[error("job `{job}` cannot keep checkpoints: {cause}")]
    Store {
        /// The job's name.
        job: Arc<str>,
        /// What is wrong.
        cause: Box<CheckpointError>,
    },
    /// The job cannot be restored from the given checkpoint.
    #[error("job `{job}` cannot be restored: {cause}")]
    Restore {
        /// The job's name.
        job: Arc<str>,
        /// What is wrong.
        cause: Box<CheckpointError>,
    },
    /// The job is to restore its latest checkpoint, but no place to keep checkpoints is configured.
    #[error(
        "job `{0}` is to go on from its latest checkpoint and takes none: \
         say where they are with `.checkpoints(…)`"
    )]
    NoCheckpoints(Arc<str>),
    /// A requested checkpoint or savepoint could not be completed, or too many checkpoints have failed.
    #[error("job `{job}`: {reason}")]
    Checkpoint {
        /// The job's name.
        job: Arc<str>,
        /// What is wrong.
        reason: String,
    },
    /// Code of the job's user panicked where no subtask runs it: an observer of checkpoints, or a source or sink that
    /// makes its readers or writers, or a closure that is copied for a subtask.
    #[error("job `{job}` panicked outside of its subtasks: {message}")]
    Panicked {
        /// The job's name.
        job: Arc<str>,
        /// The panic's message.
        message: String,
    },
    /// The job was cancelled.
    #[error("job `{job}` was cancelled")]
    Cancelled {
        /// The job's name.
        job: Arc<str>,
    },
    /// The operating system refused a thread.
    #[error("cannot start a thread: {0}")]
    Thread(std::io::Error),
}

impl JobError {
    pub(crate) fn restore(job: &Arc<str>, cause: CheckpointError) -> Self {
        JobError::Restore {
            job: Arc::clone(job),
            cause: Box::new(cause),
        }
    }

    /// A checkpoint or savepoint that could not be completed.
    pub(crate) fn checkpoint(job: &Arc<str>, reason: impl Into<String>) -> Self {
        JobError::Checkpoint {
            job: Arc::clone(job),
            reason: reason.into(),
        }
    }

    /// Runs what may call user code that no subtask runs; a panic becomes the job's error.
    pub(crate) fn or_panicked<T>(
        job: &Arc<str>,
        run: impl FnOnce() -> Result<T, JobError>,
    ) -> Result<T, JobError> {
        let ran = catch_unwind(AssertUnwindSafe(run));
        ran.unwrap_or_else(|panic| Err(JobError::panicked(job, &*panic)))
    }

    /// The error of a panic with this payload, of code that no subtask runs.
    pub(crate) fn panicked(job: &Arc<str>, payload: &(dyn Any + Send)) -> Self {
        JobError::Panicked {
            job: Arc::clone(job),
            message: panic_message(payload),
        }
    }
}
