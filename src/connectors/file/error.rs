//! Errors of reading and writing files.

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
    /// The path of a directory was given where a file is required.
    #[error("{} is a directory: read it with `directory` or `watch`", path.display())]
    IsDirectory {
        /// The path as it was given.
        path: PathBuf,
    },
    /// The path of a file was given where a directory is required.
    #[error("{} is not a directory", path.display())]
    NotDirectory {
        /// The path as it was given.
        path: PathBuf,
    },
    /// A line is not valid UTF-8.
    #[error("{}, line {line}: not valid UTF-8", path.display())]
    NotUtf8 {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
    },
    /// A record does not end within [`Input`](super::Input)'s limit.
    #[error(
        "{}: the record that begins in line {line} does not end within {} bytes: its line end, or a closing quote, may \
         be missing",
        path.display(),
        super::Input::RECORD_MAX
    )]
    TooLong {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
    },
    /// The file is compressed, but the program was built without decompression.
    #[error("{} is compressed: build with the feature `csv` to read `.gz` files", path.display())]
    Compressed {
        /// The file.
        path: PathBuf,
    },
    /// The file ends in the middle of a record.
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
    /// The file is compressed and so cannot be read in independent blocks.
    #[error("{} is compressed and cannot be read in blocks: read it with `LineSource`", path.display())]
    NoBlocks {
        /// The file.
        path: PathBuf,
    },
    /// A mapped file was written to or truncated while it was being read.
    #[error("{} was changed while it was read", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// The file differs from the one that was partly read before the checkpoint.
    #[error(
        "{} was changed since the checkpoint, so what is left of it is not known: put the file back, or \
         start without the checkpoint",
        path.display()
    )]
    ChangedSinceCheckpoint {
        /// The file.
        path: PathBuf,
    },
    /// A part file in a checkpoint is missing, incomplete, or could not be written to disk.
    #[error("{} is lost: what a checkpoint counts as written is not on the disk", path.display())]
    PartLost {
        /// The part file.
        path: PathBuf,
    },
    /// Another sink, of this job or another, writes part files to the directory.
    #[error(
        "{} is in use: another sink writes part files there; stop that job, or give each sink a directory of its own",
        path.display()
    )]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// Another file already has the name of a part file.
    #[error("{} exists already, so a part file cannot get its name: move it away", path.display())]
    PartExists {
        /// The conflicting path.
        path: PathBuf,
    },
    /// The operating system reported an error.
    #[error("{}: could not {action}: {cause}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What was attempted, as a verb phrase.
        action: &'static str,
        /// The operating system's error.
        cause: io::Error,
    },
}

impl FileError {
    /// Converts `cause`, the error of trying to `action` the file at `path`, which is to be read.
    pub(crate) fn input(path: &Path, action: &'static str, cause: io::Error) -> Self {
        match cause.kind() {
            io::ErrorKind::NotFound => FileError::NotFound {
                path: path.to_path_buf(),
            },
            _ => FileError::output(path, action, cause),
        }
    }

    /// Converts `cause`, the error of trying to `action` the file at `path`, which is written and need not have existed.
    pub(crate) fn output(path: &Path, action: &'static str, cause: io::Error) -> Self {
        FileError::Io {
            path: path.to_path_buf(),
            action,
            cause,
        }
    }

    /// Whether the file does not exist.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(self, FileError::NotFound { .. })
    }
}
