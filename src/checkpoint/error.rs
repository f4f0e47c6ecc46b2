//! Checkpoint errors.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::piece::StateRef;
use crate::record::{FormError, KeyGroupAssignment};
use crate::state::{StateKind, TypeLayout};

/// An error of taking, storing or restoring a checkpoint.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// A state is of another kind in the checkpoint than in the job.
    #[error("{state} is {saved} state in the checkpoint, and {wanted} state in the job")]
    KindChanged {
        /// The state.
        state: StateRef,
        /// Its kind in the checkpoint.
        saved: StateKind,
        /// Its kind in the job.
        wanted: StateKind,
    },
    /// A state's keys or values are of another type in the checkpoint than in the job.
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
    /// Bytes do not match their state's schema.
    #[error("{state}: {cause}")]
    Malformed {
        /// The state.
        state: StateRef,
        /// What is wrong with them.
        cause: FormError,
    },
    /// The job has another number of key groups than the checkpoint: the first checkpoint fixes it.
    #[error(
        "the checkpoint has {saved} key groups (its max parallelism) and the job {wanted}: \
         set `max_parallelism({saved})`, or none"
    )]
    MaxParallelism {
        /// The number in the checkpoint.
        saved: u32,
        /// The number in the job.
        wanted: u32,
    },
    /// The checkpoint and the job assign keys to key groups differently.
    #[error(
        "the checkpoint's keys are in key groups by `KeyGroupAssignment::{saved:?}`, the job's by `{wanted:?}`: \
         set `key_groups(KeyGroupAssignment::{saved:?})`"
    )]
    Assignment {
        /// The assignment in the checkpoint.
        saved: KeyGroupAssignment,
        /// The assignment in the job.
        wanted: KeyGroupAssignment,
    },
    /// A checkpoint has fewer key groups than the job has subtasks: some subtasks would own none.
    #[error(
        "the checkpoint has {saved} key groups (its max parallelism), the job a parallelism of {parallelism}: \
         set at most {saved}"
    )]
    TooFewKeyGroups {
        /// The number of key groups in the checkpoint.
        saved: u32,
        /// The largest parallelism of the job.
        parallelism: u32,
    },
    /// A directory of checkpoints, or a savepoint, that cannot be opened.
    #[error("cannot open `{}` as a directory of checkpoints: {cause}", directory.display())]
    Directory {
        /// Its path.
        directory: PathBuf,
        /// Why not.
        cause: std::io::Error,
    },
    /// The checkpoint holds state that no operator of the job claims.
    #[error(
        "the checkpoint holds {state}, which the job does not have: \
         give the operator its uid back, or allow state that is not restored"
    )]
    NotRestored {
        /// The state.
        state: StateRef,
    },
    /// The checkpoint holds an operator's state that no operator of the job claims.
    #[error(
        "the checkpoint holds state of operator `{operator}`, which the job does not have: \
         give the operator its uid back, or allow state that is not restored"
    )]
    OperatorGone {
        /// The operator's uid.
        operator: Arc<str>,
    },
    /// The checkpoint holds in-flight records of an edge that has changed since.
    #[error(
        "the checkpoint holds records that were on their way through edge `{edge}` to operator `{operator}`, which \
         spread them by {saved}; in the job the edge is {wanted}, and they cannot be dealt anew: restore from a \
         savepoint or an aligned checkpoint, which have nothing on its way"
    )]
    EdgeChanged {
        /// The operator downstream of the edge.
        operator: Arc<str>,
        /// The edge's uid.
        edge: Arc<str>,
        /// How the edge partitioned records when the checkpoint was taken.
        saved: Arc<str>,
        /// What the edge is in the job.
        wanted: String,
    },
    /// An operator's windows differ from those in the checkpoint.
    #[error(
        "the windows of operator `{operator}` have {saved} in the checkpoint, and {wanted} in the job: \
         give the operator another uid"
    )]
    WindowsChanged {
        /// The operator's uid.
        operator: Arc<str>,
        /// What they are in the checkpoint.
        saved: String,
        /// What they are in the job.
        wanted: String,
    },
    /// The subtasks of an operator had not progressed equally far.
    #[error(
        "some subtasks of operator `{operator}` had fired windows that others had not: \
         this checkpoint can only be restored at parallelism {saved}"
    )]
    FixedParallelism {
        /// The operator's uid.
        operator: Arc<str>,
        /// The parallelism in the checkpoint.
        saved: u32,
    },
    /// A sink's target already has the output of a checkpoint that the job is yet to take.
    #[error(
        "the target has the output of checkpoint {delivered} of subtask {subtask}, and the job goes on from before \
         checkpoint {next}: it was restored from an older one than the target has seen, or two jobs write to the same \
         marker. Go on from checkpoint {delivered} or later, or give this sink another name"
    )]
    TargetAhead {
        /// The subtask that wrote the output.
        subtask: u32,
        /// The last checkpoint whose output was delivered.
        delivered: u64,
        /// The number after that of the checkpoint that the job was restored from.
        next: u64,
    },
    /// The directory is locked by another process.
    #[error(
        "{place} is in use: only one process may write checkpoints there; stop the other one or choose \
         another directory"
    )]
    Locked {
        /// The directory.
        place: String,
    },
    /// The operating system reported an error.
    #[error("cannot {action} `{file}`: {cause}")]
    Storage {
        /// What was attempted.
        action: &'static str,
        /// The file it was attempted on.
        file: String,
        /// Why it failed.
        cause: io::Error,
    },
    /// The disk is full.
    #[error(
        "no space left: {wanted} bytes wanted for `{file}`; free some, or retain fewer checkpoints"
    )]
    NoSpace {
        /// The file that was being written.
        file: String,
        /// How many bytes it needed.
        wanted: u64,
    },
    /// A file is damaged.
    #[error(
        "`{file}` is damaged at byte {offset}: {what}; the checkpoints that need it cannot be used, others can"
    )]
    Damaged {
        /// The file.
        file: String,
        /// The offset of the damage.
        offset: u64,
        /// What is damaged.
        what: &'static str,
    },
    /// A file's format, platform or hashing is not one that this program reads.
    #[error(
        "`{file}` has {what} {found}, and this program reads {wanted}: \
         use the program that wrote it, or a savepoint that this one can read"
    )]
    Foreign {
        /// The file.
        file: String,
        /// What does not fit.
        what: &'static str,
        /// Its value in the file.
        found: String,
        /// Its expected value.
        wanted: String,
    },
    /// A file that a checkpoint needs is missing.
    #[error("`{file}`, which checkpoint {checkpoint} needs, is not there")]
    Missing {
        /// The checkpoint.
        checkpoint: u64,
        /// The file.
        file: String,
    },
    /// There is no such checkpoint.
    #[error("there is no checkpoint {checkpoint} in {place}")]
    Unknown {
        /// The checkpoint.
        checkpoint: u64,
        /// Where it was looked for.
        place: String,
    },
    /// There is no checkpoint at all where one was expected.
    #[error("there is no checkpoint in {place}")]
    Empty {
        /// Where one was looked for.
        place: String,
    },
    /// There are checkpoints, but none is usable.
    #[error(
        "{place} holds {count} checkpoints, none of which can be used; of the newest, {newest}: {cause}"
    )]
    NoneUsable {
        /// The directory.
        place: String,
        /// How many there are.
        count: usize,
        /// The newest of them.
        newest: u64,
        /// Why it cannot be used.
        cause: Arc<CheckpointError>,
    },
    /// A checkpoint to be taken is not newer than the newest one.
    #[error("checkpoint {checkpoint} cannot follow checkpoint {newest}: numbers must grow")]
    NotNewer {
        /// The requested number.
        checkpoint: u64,
        /// The largest number so far.
        newest: u64,
    },
    /// A checkpoint holds changes of a state, but its parent does not hold that state.
    #[error(
        "subtask {subtask} hands over changes of {state}, and the checkpoint before does not hold it: \
         it must be handed over as a whole"
    )]
    NoParent {
        /// The state.
        state: StateRef,
        /// The subtask.
        subtask: u32,
    },
    /// What a subtask handed over for a checkpoint contradicts itself or what other subtasks handed over.
    #[error("subtask {subtask} hands over {state}, but {what}")]
    Inconsistent {
        /// The state.
        state: StateRef,
        /// The subtask.
        subtask: u32,
        /// What is wrong.
        what: &'static str,
    },
    /// A checkpoint cannot be completed because part of it could not be written.
    #[error("checkpoint {checkpoint} cannot be completed: a part of it was not written")]
    Incomplete {
        /// The checkpoint.
        checkpoint: u64,
    },
    /// The target of a savepoint already holds a checkpoint.
    #[error("{place} holds checkpoint {checkpoint} already: choose an empty directory")]
    NotEmpty {
        /// The directory.
        place: String,
        /// The checkpoint that it holds.
        checkpoint: u64,
    },
}

impl CheckpointError {
    /// Whether a file is permanently unusable, because it is damaged or was never one that this program reads: then an
    /// older checkpoint is better than none. An unreadable sector counts as damage; a lack of memory or permissions
    /// does not.
    pub(super) fn is_damage(&self) -> bool {
        match self {
            CheckpointError::Damaged { .. }
            | CheckpointError::Foreign { .. }
            | CheckpointError::Missing { .. } => true,
            CheckpointError::Storage { cause, .. } => {
                let is_gone = cause.kind() == io::ErrorKind::NotFound;
                is_gone || cause.raw_os_error() == Some(libc::EIO)
            }
            _ => false,
        }
    }

    /// The error of a file access that failed with `cause`.
    pub(super) fn storage(action: &'static str, file: &str, cause: io::Error) -> Self {
        CheckpointError::Storage {
            action,
            file: file.to_owned(),
            cause,
        }
    }

    /// The error of a write of `wanted` bytes.
    pub(super) fn write(action: &'static str, file: &str, wanted: u64, cause: io::Error) -> Self {
        match cause.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => CheckpointError::NoSpace {
                file: file.to_owned(),
                wanted,
            },
            _ => CheckpointError::storage(action, file, cause),
        }
    }

    pub(super) fn damaged(file: &str, offset: u64, what: &'static str) -> Self {
        CheckpointError::Damaged {
            file: file.to_owned(),
            offset,
            what,
        }
    }
}
