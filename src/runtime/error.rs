//! Errors of running jobs.

use std::sync::Arc;

use crate::graph::GraphError;
use crate::operator::{BoxError, OperatorError};

/// Why a job could not run or did not finish.
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
        #[source]
        cause: BoxError,
    },
    /// A subtask failed. The first failure is the cause, those that came after it are kept.
    #[error("job `{job}` failed in subtask {subtask} of `{vertex}`: {cause}")]
    Failed {
        /// The job's name.
        job: Arc<str>,
        /// The vertex's name.
        vertex: Arc<str>,
        /// The subtask's number, from 1.
        subtask: u32,
        /// The first error.
        #[source]
        cause: OperatorError,
        /// Errors of other subtasks, and of closing, in the order in which they arrived.
        suppressed: Vec<OperatorError>,
    },
    /// The job was cancelled.
    #[error("job `{job}` was cancelled")]
    Cancelled {
        /// The job's name.
        job: Arc<str>,
    },
    /// The operating system refused a thread.
    #[error("cannot start a thread: {0}")]
    Thread(#[from] std::io::Error),
}
