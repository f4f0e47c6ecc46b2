//! The files that a sink's subtasks write into one directory.
//!
//! A part is written as `.part-<subtask>-<n>.inprogress`, which readers of the directory overlook,
//! and gets its name `part-<subtask>-<n>` when it is whole. `n` is the first number that is free,
//! so no file is ever overwritten; parts that a failed attempt left unfinished stay hidden.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use super::FileError;

/// Where one subtask's parts go.
#[derive(Clone, Debug)]
pub(crate) struct PartFiles {
    directory: PathBuf,
    subtask: u32,
    /// With its dot; may be empty.
    extension: String,
}

impl PartFiles {
    /// Parts in `directory` whose names end in `extension`.
    pub(crate) fn new(directory: &Path, subtask: u32, extension: &str) -> Self {
        PartFiles {
            directory: directory.to_path_buf(),
            subtask,
            extension: extension.to_owned(),
        }
    }

    /// Makes the directory if it is not there.
    pub(crate) fn create_directory(&self) -> Result<(), FileError> {
        fs::create_dir_all(&self.directory)
            .map_err(|cause| FileError::io(&self.directory, "create it", cause))
    }

    /// Starts a part.
    pub(crate) fn create(&self) -> Result<PartFile, FileError> {
        for number in 0_u64.. {
            let name = format!("part-{}-{number}{}", self.subtask, self.extension);
            let unfinished = self.directory.join(format!(".{name}.inprogress"));
            let finished = self.directory.join(name);
            // Who holds the hidden name holds the number: only then is the look at the other of
            // use.
            let file = match File::create_new(&unfinished) {
                Err(cause) if cause.kind() == ErrorKind::AlreadyExists => continue,
                file => file.map_err(|cause| FileError::io(&unfinished, "create it", cause))?,
            };
            if !finished.exists() {
                return Ok(PartFile {
                    file,
                    unfinished,
                    finished,
                });
            }
            fs::remove_file(&unfinished)
                .map_err(|cause| FileError::io(&unfinished, "remove it", cause))?;
        }
        unreachable!("a directory holds fewer files than there are numbers")
    }
}

/// A part that is not finished yet. Dropping it leaves it hidden.
#[derive(Debug)]
pub(crate) struct PartFile {
    file: File,
    unfinished: PathBuf,
    finished: PathBuf,
}

impl PartFile {
    /// The part's path while it is written.
    pub(crate) fn path(&self) -> &Path {
        &self.unfinished
    }

    /// Makes the part durable and gives it its name.
    pub(crate) fn finish(self) -> Result<PathBuf, FileError> {
        let synced = self.file.sync_all();
        synced.map_err(|cause| FileError::io(&self.unfinished, "sync it", cause))?;
        fs::rename(&self.unfinished, &self.finished)
            .map_err(|cause| FileError::io(&self.unfinished, "rename it", cause))?;
        Ok(self.finished)
    }
}

impl Write for PartFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
