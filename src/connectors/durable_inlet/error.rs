//! Errors of the log behind a durable inlet.

use std::io;
use std::path::{Path, PathBuf};

/// A durable inlet cannot accept or deliver records.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DurableInletError {
    /// The operating system reported an error.
    #[error("{}: could not {action}: {cause}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What was attempted.
        action: &'static str,
        /// The operating system's error.
        cause: io::Error,
    },
    /// Another inlet has the log open.
    #[error("{} is in use by another inlet: each needs a directory of its own", path.display())]
    InUse {
        /// The log's directory.
        path: PathBuf,
    },
    /// Something in the log differs from what was written, and not just at the torn end.
    #[error(
        "{} is damaged at byte {offset}: what follows was accepted and cannot be told apart; put the file \
         back, or move the log away to begin anew",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The byte offset of the damage.
        offset: u64,
    },
    /// The log was written by another version of this library.
    #[error("{} has format {found}, not {wanted}: read it to its end with the program that wrote it", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// The format of the file.
        found: u32,
        /// The format that this version reads.
        wanted: u32,
    },
    /// The log has records of another type, or of another version of it.
    #[error(
        "{} does not hold records of `{wanted}` as this program has them: read it to its end with the program that \
         wrote it",
        path.display()
    )]
    RecordType {
        /// The file.
        path: PathBuf,
        /// The type that is to be read.
        wanted: &'static str,
    },
    /// The checkpoint was taken of another log.
    #[error(
        "the log in {} is not the one of which the checkpoint was taken: put that one back, or start without the \
         checkpoint",
        path.display()
    )]
    OtherLog {
        /// The directory.
        path: PathBuf,
    },
    /// A record is too large.
    #[error(
        "a record of {size} bytes is too large for a log whose records have {limit} bytes at most"
    )]
    TooLarge {
        /// The encoded size of the record.
        size: usize,
        /// The largest size allowed.
        limit: usize,
    },
    /// A write or sync failed earlier, so what is on the disk is unknown.
    #[error(
        "the log failed before and takes nothing more: make the inlet again, which looks at what is there"
    )]
    Failed,
    /// The checkpoint refers to records that have been removed from the log.
    #[error(
        "the log begins with record {first}, but the checkpoint goes on from {wanted}: go on from a later \
         checkpoint"
    )]
    Removed {
        /// The first record still in the log.
        first: u64,
        /// The record at which the checkpoint resumes.
        wanted: u64,
    },
    /// The checkpoint refers to records beyond the end of the log.
    #[error(
        "the log ends before record {end}, but {wanted} were read before the checkpoint: it is another \
         log, or has lost its end"
    )]
    Shorter {
        /// The number of the next record to be appended.
        end: u64,
        /// The record at which the checkpoint resumes.
        wanted: u64,
    },
}

impl DurableInletError {
    pub(super) fn io(path: &Path, action: &'static str) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_path_buf();
        move |cause| DurableInletError::Io {
            path,
            action,
            cause,
        }
    }

    pub(super) fn damaged(path: &Path, offset: u64) -> Self {
        let path = path.to_path_buf();
        DurableInletError::Damaged { path, offset }
    }
}
