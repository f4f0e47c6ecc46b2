//! Errors of checkpoints.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::piece::StateRef;
use crate::record::{FormError, KeyGroupAssignment};
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
    /// A checkpoint and the job take keys to other key groups.
    #[error(
        "the checkpoint's keys are in key groups by `KeyGroupAssignment::{saved:?}`, the job's by `{wanted:?}`: \
         set `key_groups(KeyGroupAssignment::{saved:?})`"
    )]
    Assignment {
        /// That of the checkpoint.
        saved: KeyGroupAssignment,
        /// That of the job.
        wanted: KeyGroupAssignment,
    },
    /// A checkpoint has fewer key groups than the job has subtasks: some would own none.
    #[error(
        "the checkpoint has {saved} key groups (its max parallelism), the job a parallelism of {parallelism}: \
         set at most {saved}"
    )]
    TooFewKeyGroups {
        /// The key groups of the checkpoint.
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
        #[source]
        cause: std::io::Error,
    },
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
    /// Records were on their way through an edge that is not the same any more.
    #[error(
        "the checkpoint holds records that were on their way through edge `{edge}` to operator `{operator}`, which \
         spread them by {saved}; in the job the edge is {wanted}, and they cannot be dealt anew: restore from a \
         savepoint or an aligned checkpoint, which have nothing on its way"
    )]
    EdgeChanged {
        /// The operator behind the edge.
        operator: Arc<str>,
        /// The edge's uid.
        edge: Arc<str>,
        /// How the edge spread records when the checkpoint was taken.
        saved: Arc<str>,
        /// What it is in the job.
        wanted: String,
    },
    /// An operator's windows are not those of the checkpoint.
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
    /// The subtasks of an operator had not come equally far.
    #[error(
        "some subtasks of operator `{operator}` had fired windows that others had not: \
         this checkpoint can only be restored at parallelism {saved}"
    )]
    FixedParallelism {
        /// The operator's uid.
        operator: Arc<str>,
        /// The parallelism of the checkpoint.
        saved: u32,
    },
    /// The directory is in use.
    #[error(
        "{place} is in use: only one process may write checkpoints there; stop the other one or choose \
         another directory"
    )]
    Locked {
        /// The directory.
        place: String,
    },
    /// The system refused something.
    #[error("cannot {action} `{file}`: {cause}")]
    Storage {
        /// What was to be done.
        action: &'static str,
        /// With which file.
        file: String,
        /// Why it cannot be done.
        #[source]
        cause: io::Error,
    },
    /// The disk is full.
    #[error(
        "no space left: {wanted} bytes wanted for `{file}`; free some, or retain fewer checkpoints"
    )]
    NoSpace {
        /// The file that was being written.
        file: String,
        /// How many bytes it was to get.
        wanted: u64,
    },
    /// A file is not as it was written.
    #[error(
        "`{file}` is damaged at byte {offset}: {what}; the checkpoints that need it cannot be used, others can"
    )]
    Damaged {
        /// The file.
        file: String,
        /// Where it is damaged.
        offset: u64,
        /// How.
        what: &'static str,
    },
    /// A file was written by something that writes other files.
    #[error(
        "`{file}` has {what} {found}, and this program reads {wanted}: \
         use the program that wrote it, or a savepoint that this one can read"
    )]
    Foreign {
        /// The file.
        file: String,
        /// What does not fit.
        what: &'static str,
        /// What it is in the file.
        found: String,
        /// What it should be.
        wanted: String,
    },
    /// A file that a checkpoint needs is not there.
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
    /// There is no checkpoint at all where there should be one.
    #[error("there is no checkpoint in {place}")]
    Empty {
        /// Where one was looked for.
        place: String,
    },
    /// There are checkpoints, and none of them can be used.
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
        #[source]
        cause: Arc<CheckpointError>,
    },
    /// A checkpoint that is to be taken is not newer than one that was.
    #[error("checkpoint {checkpoint} cannot follow checkpoint {newest}: numbers must grow")]
    NotNewer {
        /// The number that was asked for.
        checkpoint: u64,
        /// The largest that there is.
        newest: u64,
    },
    /// What changed is to be kept, but not what it changed.
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
    /// A subtask's parts of a checkpoint contradict each other or what others hand over.
    #[error("subtask {subtask} hands over {state}, but {what}")]
    Inconsistent {
        /// The state.
        state: StateRef,
        /// The subtask.
        subtask: u32,
        /// What is wrong.
        what: &'static str,
    },
    /// A checkpoint cannot be completed because a part of it could not be written.
    #[error("checkpoint {checkpoint} cannot be completed: a part of it was not written")]
    Incomplete {
        /// The checkpoint.
        checkpoint: u64,
    },
    /// A savepoint is to be written where there is something already.
    #[error("{place} holds checkpoint {checkpoint} already: choose an empty directory")]
    NotEmpty {
        /// The directory.
        place: String,
        /// What is there.
        checkpoint: u64,
    },
}

impl CheckpointError {
    /// Whether a file is not what it was or never was one for this program, for good: then an older checkpoint is
    /// better than none. A sector that cannot be read is such damage; a lack of memory or of rights is not.
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

    /// The error of an access to a file, from what the system says.
    pub(super) fn storage(action: &'static str, file: &str, cause: io::Error) -> Self {
        CheckpointError::Storage {
            action,
            file: file.to_owned(),
            cause,
        }
    }

    /// The error of a write of so many bytes.
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
