//! What goes wrong with files.

use std::io;
use std::path::{Path, PathBuf};

/// A file or directory could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// There is nothing at the path.
    #[error("The provided file path {} does not exist.", path.display())]
    NotFound {
        /// The path as it was given.
        path: PathBuf,
    },
    /// A directory stands where a file was asked for.
    #[error("{} is a directory: read it with `directory` or `watch`", path.display())]
    IsDirectory {
        /// The path as it was given.
        path: PathBuf,
    },
    /// A file stands where a directory was asked for.
    #[error("{} is not a directory", path.display())]
    NotDirectory {
        /// The path as it was given.
        path: PathBuf,
    },
    /// A line is not text.
    #[error("{}, line {line}: not valid UTF-8", path.display())]
    NotUtf8 {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
    },
    /// A compressed file in a program that was built without decompression.
    #[error("{} is compressed: build with the feature `csv` to read `.gz` files", path.display())]
    Compressed {
        /// The file.
        path: PathBuf,
    },
    /// A file of records that ends in a part of one.
    #[error(
        "{} has {size} bytes, which is no whole number of records of {record_size} bytes: it is cut \
         off, or holds other records",
        path.display()
    )]
    NotWholeRecords {
        /// The file.
        path: PathBuf,
        /// Its size in bytes.
        size: u64,
        /// The size of a record in bytes.
        record_size: u64,
    },
    /// A compressed file, which has no blocks that could be read one without the other.
    #[error("{} is compressed and cannot be read in blocks: read it with `LineSource`", path.display())]
    NoBlocks {
        /// The file.
        path: PathBuf,
    },
    /// A mapped file was written to or truncated while it was read.
    #[error("{} was changed while it was read", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// A file is not the one of which a part was read before the checkpoint.
    #[error(
        "{} was changed since the checkpoint, so what is left of it is not known: put the file back, or \
         start without the checkpoint",
        path.display()
    )]
    ChangedSinceCheckpoint {
        /// The file.
        path: PathBuf,
    },
    /// A part file of a checkpoint is not there, or not whole, or the disk refused it.
    #[error("{} is lost: what a checkpoint counts as written is not on the disk", path.display())]
    PartLost {
        /// The part file.
        path: PathBuf,
    },
    /// There is another file by the name of a part.
    #[error("{} exists already, so a part file cannot get its name: move it away", path.display())]
    PartExists {
        /// The name.
        path: PathBuf,
    },
    /// The operating system refused.
    #[error("{}: could not {action}: {cause}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What was tried, as a verb.
        action: &'static str,
        /// What the operating system said.
        #[source]
        cause: io::Error,
    },
}

impl FileError {
    /// Trying to `action` the file at `path` gave `cause`.
    pub(crate) fn io(path: &Path, action: &'static str, cause: io::Error) -> Self {
        let path = path.to_path_buf();
        if cause.kind() == io::ErrorKind::NotFound {
            return FileError::NotFound { path };
        }
        FileError::Io {
            path,
            action,
            cause,
        }
    }

    /// Whether the file is not there.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(self, FileError::NotFound { .. })
    }
}
