//! A file that is complete or absent: written to a temporary file and renamed, or compared with the existing one.
//!
//! A new file is written under a hidden name and renamed when it is complete. So an interrupted run leaves nothing
//! that looks like a complete file, and a job that has mapped the old file keeps it. A file that already exists is
//! not written but compared with what would be, so that running the same command again verifies the inputs and
//! modifies nothing.
//!
//! When a file is complete, it leaves the page cache, where writing and comparing put it in small pages, scattered over
//! the memory. Who maps it next reads it into huge pages if the file system has those, and everyone after that has
//! them, too: benchmarks are then faster by up to a third, and steadier.

use std::fs::{self, File};
use std::io::{self, BufReader, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use indicatif::ProgressBar;
use xxhash_rust::xxh3::Xxh3Default;

use crate::error::Failure;

/// The number of bytes that are buffered before they are written.
pub(super) const BUFFER_SIZE: usize = 1 << 20;

/// An input file under construction. If dropped before it is finished, it leaves the previous state.
pub(super) struct InputFile<'a> {
    path: PathBuf,
    target: Target,
    /// Bytes that have not been written yet.
    buffer: Vec<u8>,
    buffer_size: usize,
    bytes: u64,
    hash: Xxh3Default,
    progress: &'a ProgressBar,
}

/// Where the bytes go.
#[derive(Debug)]
enum Target {
    /// To a file that is renamed when it is complete.
    New { file: File, aside: Aside },
    /// Nowhere: they are compared with the existing file.
    Old {
        file: BufReader<File>,
        found: Vec<u8>,
    },
}

/// The hidden name of an unfinished file, removed on drop unless the file was renamed.
#[derive(Debug)]
struct Aside(PathBuf);

impl Drop for Aside {
    fn drop(&mut self) {
        // After a rename there is nothing to remove; after an error the next run overwrites it.
        let _ = fs::remove_file(&self.0);
    }
}

/// The result of writing a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Finished {
    pub(super) bytes: u64,
    /// XXH3 of the whole file.
    pub(super) hash: u64,
    /// Whether the file already existed with these bytes.
    pub(super) was_there: bool,
}

impl<'a> InputFile<'a> {
    /// Starts the file at `path`. If it exists, compares with it, or replaces it if `replaces` is set.
    ///
    /// # Errors
    /// If it can be neither created nor read.
    pub(super) fn begin(
        path: PathBuf,
        replaces: bool,
        progress: &'a ProgressBar,
    ) -> Result<Self, Failure> {
        let target = match fs::metadata(&path) {
            Ok(found) if found.is_dir() => {
                let path = path.display();
                return Err(Failure::new(format_args!(
                    "{path} is a directory: move it away"
                )));
            }
            Ok(_) if !replaces => Target::compare(&path)?,
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(cannot("read", &path, error));
            }
            _ => Target::create(&path)?,
        };
        Ok(InputFile {
            path,
            target,
            buffer: Vec::with_capacity(BUFFER_SIZE),
            buffer_size: BUFFER_SIZE,
            bytes: 0,
            hash: Xxh3Default::new(),
            progress,
        })
    }

    /// Buffers `size` bytes before writing instead of [`BUFFER_SIZE`].
    #[cfg(test)]
    fn buffer_size(self, size: usize) -> Self {
        InputFile {
            buffer_size: size,
            ..self
        }
    }

    /// Appends bytes.
    ///
    /// # Errors
    /// If they cannot be written, or differ from the existing file.
    #[inline]
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() < self.buffer_size {
            return Ok(());
        }
        self.flush()
    }

    fn flush(&mut self) -> Result<(), Failure> {
        let bytes = &self.buffer;
        match &mut self.target {
            Target::New { file, aside } => {
                file.write_all(bytes)
                    .map_err(|error| cannot("write", &aside.0, error))?;
            }
            Target::Old { file, found } => {
                found.clear();
                let read = file.by_ref().take(bytes.len() as u64).read_to_end(found);
                read.map_err(|error| cannot("read", &self.path, error))?;
                if found != bytes {
                    let same = found.iter().zip(bytes).take_while(|(old, new)| old == new);
                    return Err(differs(&self.path, self.bytes + same.count() as u64));
                }
            }
        }
        self.hash.update(bytes);
        self.bytes += bytes.len() as u64;
        self.progress.inc(bytes.len() as u64);
        self.buffer.clear();
        Ok(())
    }

    /// Completes the file and gives it its name.
    ///
    /// # Errors
    /// See [`push`](InputFile::push); also if the file cannot be renamed, or if the existing file is longer.
    pub(super) fn finish(mut self) -> Result<Finished, Failure> {
        self.flush()?;
        let was_there = match &mut self.target {
            Target::New { file, aside } => {
                let size = file.metadata().map(|file| file.len());
                let size = size.map_err(|error| cannot("write", &aside.0, error))?;
                if size != self.bytes {
                    let error = io::Error::other("somebody else writes to it");
                    return Err(cannot("write", &aside.0, error));
                }
                leave_cache(file).map_err(|error| cannot("write", &aside.0, error))?;
                fs::rename(&aside.0, &self.path)
                    .map_err(|error| cannot("write", &self.path, error))?;
                false
            }
            Target::Old { file, .. } => {
                let mut rest = [0];
                match file.read(&mut rest) {
                    Ok(0) => {}
                    Ok(_) => return Err(differs(&self.path, self.bytes)),
                    Err(error) => return Err(cannot("read", &self.path, error)),
                }
                leave_cache(file.get_ref()).map_err(|error| cannot("read", &self.path, error))?;
                true
            }
        };
        Ok(Finished {
            bytes: self.bytes,
            hash: self.hash.digest(),
            was_there,
        })
    }
}

impl Target {
    fn compare(path: &Path) -> Result<Target, Failure> {
        let file = File::open(path).map_err(|error| cannot("read", path, error))?;
        Ok(Target::Old {
            file: BufReader::with_capacity(BUFFER_SIZE, file),
            found: Vec::new(),
        })
    }

    fn create(path: &Path) -> Result<Target, Failure> {
        let mut name = std::ffi::OsString::from(".");
        name.push(path.file_name().unwrap_or_default());
        name.push(".partial");
        let aside = path.with_file_name(name);
        let file = File::create(&aside).map_err(|error| cannot("write", &aside, error))?;
        let aside = Aside(aside);
        Ok(Target::New { file, aside })
    }
}

/// Removes a file from the page cache, which takes writing it to the disk.
fn leave_cache(file: &File) -> io::Result<()> {
    file.sync_data()?;
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{Advice, fadvise};
        // A file system that does not know the advice keeps the file where it is.
        let _ = fadvise(file, 0, None, Advice::DontNeed);
    }
    Ok(())
}

/// The failure of an operation on a file.
pub(super) fn cannot(what: &str, path: &Path, error: io::Error) -> Failure {
    Failure::new(format_args!("cannot {what} {}: {error}", path.display()))
}

/// The failure that a file does not contain what would be written to it.
fn differs(path: &Path, byte: u64) -> Failure {
    Failure::new(format_args!(
        "{} holds other data than these options make (from byte {byte} on): --force replaces it, \
         --suffix keeps both",
        path.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(path: &Path, parts: &[&[u8]], buffer_size: usize) -> Finished {
        let progress = ProgressBar::hidden();
        let file = InputFile::begin(path.to_path_buf(), false, &progress).expect("begins");
        let mut file = file.buffer_size(buffer_size);
        for part in parts {
            file.push(part).expect("written");
        }
        let finished = file.finish().expect("finished");
        assert_eq!(progress.position(), finished.bytes);
        finished
    }

    #[test]
    fn bytes_do_not_depend_on_the_buffer() {
        let directory = tempfile::tempdir().expect("a directory");
        let parts: Vec<Vec<u8>> = (0..100_u8).map(|n| vec![n; usize::from(n % 13)]).collect();
        let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
        for buffer_size in [1, 7, 64, 1 << 20] {
            let path = directory.path().join(format!("file-{buffer_size}"));
            let new = write(&path, &parts, buffer_size);
            assert_eq!(fs::read(&path).expect("there"), parts.concat());
            let old = write(&path, &parts, 1000 - buffer_size.min(999));
            assert_eq!(
                old,
                Finished {
                    was_there: true,
                    ..new
                }
            );
        }
        let names = fs::read_dir(directory.path()).expect("readable");
        assert_eq!(names.count(), 4, "nothing else is left");
    }

    #[test]
    fn file_with_other_bytes_is_kept_and_the_first_difference_is_told() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("file");
        let progress = ProgressBar::hidden();
        for (there, byte) in [("abcdef", 4), ("abcd", 4), ("abcdxyz", 4), ("abcdXf", 4)] {
            fs::write(&path, there).expect("written");
            let file = InputFile::begin(path.clone(), false, &progress).expect("begins");
            let mut file = file.buffer_size(3);
            let new = if there == "abcdef" { "abcd" } else { "abcdef" };
            let pushed = new.bytes().try_for_each(|new| file.push(&[new]));
            let outcome = pushed.and_then(|()| file.finish());
            let message = format!("{:?}", outcome.expect_err("it differs"));
            assert!(
                message.contains(&format!("from byte {byte} on")),
                "{message}"
            );
            assert_eq!(fs::read_to_string(&path).expect("there"), there);
        }
    }

    #[test]
    fn unfinished_file_leaves_what_was_there() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("file");
        fs::write(&path, "old").expect("written");
        let progress = ProgressBar::hidden();
        let file = InputFile::begin(path.clone(), true, &progress).expect("begins");
        let mut file = file.buffer_size(1);
        file.push(b"new").expect("written");
        assert_eq!(fs::read_dir(directory.path()).expect("readable").count(), 2);
        drop(file);
        assert_eq!(fs::read_to_string(&path).expect("there"), "old");
        assert_eq!(fs::read_dir(directory.path()).expect("readable").count(), 1);
    }
}
