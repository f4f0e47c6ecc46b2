//! Errors of user functions, sources and sinks, and how they leave a chain.
//!
//! The data plane returns nothing: a `Result` per operator and record would cost what fusion saves. An
//! error that a user function returns leaves the chain the way a panic does, by unwinding to the
//! subtask, which catches both and fails (the subtask, not the process). Programs compiled
//! with `panic = "abort"` therefore cannot survive a failing function.

use std::sync::Arc;

use crate::checkpoint::CheckpointError;

/// Any error of user code.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What a user function returns: nothing, or the error that fails its subtask.
pub type Outcome = Result<(), BoxError>;

/// An error of user code after which the job fails and does not restart, whatever its
/// [`RestartStrategy`](crate::runtime::RestartStrategy): the same would happen again. Flink's `SuppressRestartsException`.
///
/// ```
/// use thalweg::operator::{Outcome, Unrecoverable};
///
/// fn check(version: u32) -> Outcome {
///     match version {
///         1 => Ok(()),
///         _ => Err(Unrecoverable::new(format!("a record of version {version}")).into()),
///     }
/// }
/// # assert!(check(1).is_ok() && check(2).is_err());
/// ```
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct Unrecoverable(BoxError);

impl Unrecoverable {
    /// Marks an error as one that comes again.
    pub fn new(cause: impl Into<BoxError>) -> Self {
        Unrecoverable(cause.into())
    }
}

/// Why a subtask failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OperatorError {
    /// A user function, source or sink returned an error.
    #[error("operator `{operator}`: {cause}")]
    Function {
        /// The operator's name.
        operator: Arc<str>,
        /// What it returned.
        cause: BoxError,
    },
    /// A user function panicked. Of which operator it is, is not known: a record goes through its chain in one
    /// call. The job's error names the vertex, and what the panic itself has written has the line.
    #[error("subtask panicked: {0}")]
    Panic(String),
    /// State in a checkpoint cannot be restored.
    #[error("operator `{operator}` cannot be restored: {cause}")]
    Restore {
        /// The operator's name.
        operator: Arc<str>,
        /// What is wrong.
        cause: BoxError,
    },
    /// A record without a timestamp reached an operator that needs one.
    #[error(
        "operator `{operator}`: a record has no timestamp (is `timestamps(…)` missing before the window?)"
    )]
    NoTimestamp {
        /// The operator's name.
        operator: Arc<str>,
    },
    /// A window holds more records than can be joined.
    #[error(
        "operator `{operator}`: a window holds over four thousand million records of one input"
    )]
    WindowTooLarge {
        /// The operator's name.
        operator: Arc<str>,
    },
    /// A join without windows holds more records than it can distinguish.
    #[error(
        "operator `{operator}`: over four thousand million records of one input are to be joined"
    )]
    JoinTooLarge {
        /// The operator's name.
        operator: Arc<str>,
    },
    /// A record is larger than a frame may be.
    #[error(
        "a record of {size} bytes does not fit a ring whose frames hold {limit} bytes at most: {}",
        larger_ring(*capacity)
    )]
    RecordTooLarge {
        /// The record's size in bytes.
        size: usize,
        /// The largest payload that the ring takes.
        limit: usize,
        /// The smallest `ring_capacity` that takes the record, if there is one.
        capacity: Option<usize>,
    },
    /// A custom partitioner named a channel that does not exist.
    #[error(
        "the partitioner chose channel {channel} of {channels}, which are counted from 0: it must return less \
         than the number of channels that it is given"
    )]
    NoSuchChannel {
        /// The channel that was named, counted from 0.
        channel: usize,
        /// How many there are.
        channels: usize,
    },
}

impl OperatorError {
    /// An error of the function of `operator`.
    pub fn function(operator: &Arc<str>, cause: BoxError) -> Self {
        OperatorError::Function {
            operator: Arc::clone(operator),
            cause,
        }
    }

    /// A failure to restore the state of `operator`.
    pub fn restore(operator: &Arc<str>, cause: impl Into<BoxError>) -> Self {
        OperatorError::Restore {
            operator: Arc::clone(operator),
            cause: cause.into(),
        }
    }

    /// An error of code of `operator` that was to resume from a checkpoint: a failure to restore if the cause is a
    /// [`CheckpointError`], and one of its function otherwise.
    pub(crate) fn not_resumed(operator: &Arc<str>, cause: BoxError) -> Self {
        match cause.is::<CheckpointError>() {
            true => OperatorError::restore(operator, cause),
            false => OperatorError::function(operator, cause),
        }
    }

    /// Whether the job would fail in the same way again, however often it restarted: state that cannot be restored now
    /// cannot be restored later either, and user code may know as much of its own errors ([`Unrecoverable`]).
    pub(crate) fn is_final(&self) -> bool {
        match self {
            OperatorError::Restore { .. } => true,
            OperatorError::Function { cause, .. } => cause.is::<Unrecoverable>(),
            _ => false,
        }
    }

    /// Recovers the error from the payload with which a subtask unwound.
    #[must_use]
    pub fn from_panic(payload: Box<dyn std::any::Any + Send>) -> Self {
        match payload.downcast::<OperatorError>() {
            Ok(error) => *error,
            Err(other) => OperatorError::Panic(panic_message(&*other)),
        }
    }
}

/// The remedy for a record that fits no ring of the job, but one of this capacity.
fn larger_ring(capacity: Option<usize>) -> String {
    match capacity {
        Some(bytes) => format!("raise `ring_capacity` to {bytes} bytes or more"),
        None => "no ring takes one of 2 GiB: send it in parts".to_owned(),
    }
}

/// What a panic said.
pub(crate) fn panic_message(payload: &(dyn std::any::Any + Send)) -> String {
    let text = payload
        .downcast_ref::<&'static str>()
        .map(|s| (*s).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned())
}

/// Fails the subtask with `error` by unwinding, without a panic message.
#[cold]
pub fn raise(error: OperatorError) -> ! {
    std::panic::resume_unwind(Box::new(error))
}

/// Returns the first error among several outcomes, all of which are evaluated.
pub(crate) fn first_error(
    outcomes: impl Iterator<Item = Result<(), OperatorError>>,
) -> Result<(), OperatorError> {
    let mut first = Ok(());
    for outcome in outcomes {
        first = first.and(outcome);
    }
    first
}
