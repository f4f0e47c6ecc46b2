//! What goes wrong with a log of accepted records.

use std::io;
use std::path::{Path, PathBuf};

/// A durable inlet cannot take or give records.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DurableInletError {
    /// The operating system refused.
    #[error("{}: could not {action}: {cause}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// What the operating system said.
        #[source]
        cause: io::Error,
    },
    /// Another inlet has the log open.
    #[error("{} is in use by another inlet: each needs a directory of its own", path.display())]
    InUse {
        /// The log's directory.
        path: PathBuf,
    },
    /// Something in the log is not what was written, and it is not its end.
    #[error(
        "{} is damaged at byte {offset}: what follows was accepted and cannot be told apart; put the file \
         back, or move the log away to begin anew",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where in it.
        offset: u64,
    },
    /// The log was written by another version of the program's record type, or of this library.
    #[error("{} has {what} {found}, not {wanted}: read it to its end with the program that wrote it", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// Whose version differs.
        what: &'static str,
        /// The file's.
        found: u32,
        /// The program's.
        wanted: u32,
    },
    /// A record is too large.
    #[error(
        "a record of {size} bytes is too large for a log whose records have {limit} bytes at most"
    )]
    TooLarge {
        /// Its encoded size.
        size: usize,
        /// The largest.
        limit: usize,
    },
    /// A write or sync failed before: what is on the disk is not known.
    #[error(
        "the log failed before and takes nothing more: make the inlet again, which looks at what is there"
    )]
    Failed,
    /// The checkpoint is older than what the log still has.
    #[error(
        "the log begins with record {first}, but the checkpoint goes on from {wanted}: go on from a later \
         checkpoint"
    )]
    Removed {
        /// The first record that there is.
        first: u64,
        /// The one that was asked for.
        wanted: u64,
    },
    /// The checkpoint is later than what the log has.
    #[error(
        "the log ends before record {end}, but {wanted} were read before the checkpoint: it is another \
         log, or has lost its end"
    )]
    Shorter {
        /// The number of the record that will come next.
        end: u64,
        /// The one that was asked for.
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
