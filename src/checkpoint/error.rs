//! Errors of checkpoints.

use std::sync::Arc;

use super::piece::StateRef;
use crate::record::FormError;
use crate::state::{StateKind, TypeLayout};

/// What is wrong with a checkpoint.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// A state comes back as another kind.
    #[error("{state} is {saved} state in the checkpoint, and {wanted} state in the job")]
    KindChanged {
        /// The state.
        state: StateRef,
        /// Its kind in the checkpoint.
        saved: StateKind,
        /// Its kind in the job.
        wanted: StateKind,
    },
    /// The keys or values of a state come back as another type.
    #[error(
        "the {part}s of {state} are {saved} in the checkpoint, and {wanted} in the job: \
         register the state with a migration, or give it another name"
    )]
    TypeChanged {
        /// The state.
        state: StateRef,
        /// `key` or `value`.
        part: &'static str,
        /// The type in the checkpoint.
        saved: Box<TypeLayout>,
        /// The type in the job.
        wanted: Box<TypeLayout>,
    },
    /// Bytes that are not what their state's schema says.
    #[error("{state}: {cause}")]
    Malformed {
        /// The state.
        state: StateRef,
        /// What is wrong with them.
        #[source]
        cause: FormError,
    },
    /// The number of key groups is fixed by the first checkpoint.
    #[error(
        "the checkpoint has {saved} key groups (its max parallelism) and the job {wanted}: \
         set `max_parallelism({saved})`, or none"
    )]
    MaxParallelism {
        /// That of the checkpoint.
        saved: u32,
        /// That of the job.
        wanted: u32,
    },
    /// Files cannot be reached.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// State that no operator of the job takes.
    #[error(
        "the checkpoint holds {state}, which the job does not have: \
         give the operator its uid back, or allow state that is not restored"
    )]
    NotRestored {
        /// The state.
        state: StateRef,
    },
    /// An operator's state that no operator of the job takes.
    #[error(
        "the checkpoint holds state of operator `{operator}`, which the job does not have: \
         give the operator its uid back, or allow state that is not restored"
    )]
    OperatorGone {
        /// The operator's uid.
        operator: Arc<str>,
    },
}
