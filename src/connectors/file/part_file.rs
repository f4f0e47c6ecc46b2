//! The part files of a sink, as transactions: hidden while they are written, visible when they are committed.
//!
//! ```text
//! .part-<subtask>-<n>.inprogress            being written
//! .part-<subtask>-<n>.<checkpoint>.pending  whole, kept in that checkpoint, not yet committed
//! part-<subtask>-<n>                        committed: it never changes again
//! ```
//! `n` is larger than that of any part of the subtask in the directory, whatever attempt or run it is from,
//! so no file is ever overwritten. What a checkpoint keeps are the last two names and the part's size.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::connectors::transaction::{TransactionError, TwoPhaseCommit, Work};
use crate::operator::{BoxError, OpenContext, Outcome};
use crate::seeded_bugs::seeded;
use crate::time::Timestamp;

use super::FileError;
use super::file_sink::FileEncoder;

/// Bytes that a writer holds at most before it writes them.
const BUFFER_SIZE: usize = 128 * 1024;

/// The last of a hidden name.
const IN_PROGRESS: &str = "inprogress";
const PENDING: &str = "pending";

/// Where one subtask's parts go.
#[derive(Debug)]
pub struct PartFiles<E> {
    directory: PathBuf,
    index: u32,
    parallelism: u32,
    /// With its dot; may be empty.
    extension: Arc<str>,
    encoder: E,
    /// The number of the next part.
    next: u64,
    /// The checkpoint that the job went on from.
    restored: Option<u64>,
    /// Bytes that are not written yet.
    buffer: Vec<u8>,
    /// The parts that wait for the disk, by their pending names.
    unsynced: HashMap<String, Arc<Unsynced>>,
}

/// A part that waits for the disk.
#[derive(Debug)]
struct Unsynced {
    file: File,
    path: PathBuf,
    synced: AtomicBool,
    failed: AtomicBool,
}

/// A part that is being written.
#[derive(Default, Debug)]
pub struct Part {
    /// Something was encoded for it.
    begun: bool,
    /// Once there are bytes to write.
    file: Option<(File, u64)>,
    size: u64,
}

/// A part that can be committed.
struct Handle<'a> {
    pending: &'a str,
    committed: &'a str,
    size: u64,
}

impl<'a> Handle<'a> {
    /// Reads what [`write`](Self::write) wrote.
    fn read(bytes: &'a [u8]) -> Result<Self, TransactionError> {
        let text = std::str::from_utf8(bytes).map_err(|_| TransactionError)?;
        let mut parts = text.split('/');
        let (Some(pending), Some(committed), Some(size), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(TransactionError);
        };
        let size = size.parse().map_err(|_| TransactionError)?;
        Ok(Handle {
            pending,
            committed,
            size,
        })
    }

    /// The names, apart by what no name has.
    fn write(&self) -> Vec<u8> {
        format!("{}/{}/{}", self.pending, self.committed, self.size).into_bytes()
    }
}

/// The subtask, the number and the hidden state in the name of a part.
fn parse(name: &str) -> Option<(u32, u64, Option<&str>)> {
    let hidden = name.strip_prefix('.');
    let rest = hidden.unwrap_or(name).strip_prefix("part-")?;
    let (subtask, rest) = rest.split_once('-')?;
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let (number, rest) = rest.split_at(digits);
    let state = hidden.and(rest.rsplit('.').next());
    Some((subtask.parse().ok()?, number.parse().ok()?, state))
}

/// The checkpoint in the name of a pending part.
fn checkpoint_of(name: &str) -> Option<u64> {
    name.rsplit('.').nth(1)?.parse().ok()
}

impl<E> PartFiles<E> {
    /// Parts in `directory` whose names end in `extension`.
    pub(super) fn new(
        directory: &Path,
        extension: &Arc<str>,
        encoder: E,
        (index, parallelism): (u32, u32),
    ) -> Self {
        PartFiles {
            directory: directory.to_path_buf(),
            index,
            parallelism,
            extension: Arc::clone(extension),
            encoder,
            next: 0,
            restored: None,
            buffer: Vec::new(),
            unsynced: HashMap::new(),
        }
    }

    fn committed_name(&self, number: u64) -> String {
        format!("part-{}-{number}{}", self.index, self.extension)
    }

    fn in_progress(&self, number: u64) -> PathBuf {
        let name = self.committed_name(number);
        self.directory.join(format!(".{name}.{IN_PROGRESS}"))
    }

    /// Makes the directory if it is not there, so that it lasts.
    fn create_directory(&self) -> Result<(), FileError> {
        let missing: Vec<_> = self
            .directory
            .ancestors()
            .take_while(|a| !a.exists())
            .collect();
        fs::create_dir_all(&self.directory)
            .map_err(|cause| FileError::io(&self.directory, "create it", cause))?;
        for parent in missing.iter().filter_map(|made| made.parent()) {
            let here = parent.as_os_str().is_empty();
            Self::sync_directory(if here { Path::new(".") } else { parent })?;
        }
        Ok(())
    }

    /// The names of parts in the directory.
    fn names(&self) -> Result<Vec<String>, FileError> {
        let failed = |cause| FileError::io(&self.directory, "list it", cause);
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.directory).map_err(failed)? {
            // What is no text is no part.
            names.extend(entry.map_err(failed)?.file_name().into_string());
        }
        Ok(names)
    }

    /// Starts a file under a number that is free.
    fn create(&mut self) -> Result<(File, u64), FileError> {
        loop {
            let number = self.next;
            self.next += 1;
            let path = self.in_progress(number);
            match File::create_new(&path) {
                Err(cause) if cause.kind() == ErrorKind::AlreadyExists => {}
                file => {
                    let file = file.map_err(|cause| FileError::io(&path, "create it", cause))?;
                    return Ok((file, number));
                }
            }
        }
    }

    /// Writes what the buffer holds.
    fn write_out(&mut self, part: &mut Part) -> Result<(), FileError> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let (mut file, number) = match part.file.take() {
            Some(file) => file,
            None => self.create()?,
        };
        let written = file.write_all(&self.buffer);
        part.size += self.buffer.len() as u64;
        self.buffer.clear();
        part.file = Some((file, number));
        written.map_err(|cause| FileError::io(&self.in_progress(number), "write it", cause))
    }

    fn remove(&self, name: &str) -> Result<(), FileError> {
        let path = self.directory.join(name);
        match fs::remove_file(&path) {
            Err(cause) if cause.kind() != ErrorKind::NotFound => {
                Err(FileError::io(&path, "remove it", cause))
            }
            _ => Ok(()),
        }
    }

    /// Gives a part its name, if it has not got it yet.
    fn rename(&self, handle: &Handle<'_>) -> Result<(), FileError> {
        let pending = self.directory.join(handle.pending);
        let committed = self.directory.join(handle.committed);
        let lost = |path: &Path| FileError::PartLost {
            path: path.to_path_buf(),
        };
        match fs::metadata(&pending) {
            Ok(metadata) if metadata.len() != handle.size => return Err(lost(&pending)),
            Ok(_) if committed.exists() => return Err(FileError::PartExists { path: committed }),
            Ok(_) => {}
            // It was renamed before.
            Err(cause) if cause.kind() == ErrorKind::NotFound => {
                return match fs::metadata(&committed) {
                    Ok(_) => Ok(()),
                    Err(_) => Err(lost(&committed)),
                };
            }
            Err(cause) => return Err(FileError::io(&pending, "look at it", cause)),
        }
        fs::rename(&pending, &committed)
            .map_err(|cause| FileError::io(&pending, "rename it", cause))
    }

    /// Makes the names in the directory last.
    fn sync_directory(directory: &Path) -> Result<(), FileError> {
        let synced = File::open(directory).and_then(|directory| directory.sync_all());
        synced.map_err(|cause| FileError::io(directory, "sync it", cause))
    }
}

impl Unsynced {
    /// Waits for the disk. What it refused once is lost: asking again would be answered with success.
    fn sync(&self) -> Result<(), FileError> {
        if self.synced.load(Ordering::Acquire) {
            return Ok(());
        }
        let synced = self.file.sync_all();
        let flag = if synced.is_ok() {
            &self.synced
        } else {
            &self.failed
        };
        flag.store(true, Ordering::Release);
        synced.map_err(|cause| FileError::io(&self.path, "sync it", cause))
    }
}

impl<V: ?Sized, E: FileEncoder<V>> TwoPhaseCommit<V> for PartFiles<E> {
    type Transaction = Part;

    fn open(&mut self, cx: &OpenContext) -> Outcome {
        self.buffer.reserve(BUFFER_SIZE + BUFFER_SIZE / 4);
        self.restored = cx.checkpointing.restored.as_ref().map(|r| r.checkpoint());
        self.create_directory()?;
        let names = self.names()?;
        let own = names.iter().filter_map(|name| parse(name));
        let own = own.filter(|(subtask, ..)| *subtask == self.index);
        self.next = own.map(|(_, number, _)| number + 1).max().unwrap_or(0);
        Ok(())
    }

    fn begin(&mut self) -> Result<Part, BoxError> {
        self.buffer.clear();
        Ok(Part::default())
    }

    #[inline]
    fn write(&mut self, part: &mut Part, record: &V, _at: Timestamp) -> Outcome {
        if !part.begun {
            part.begun = true;
            self.encoder.begin(&mut self.buffer)?;
        }
        self.encoder.append(record, &mut self.buffer)?;
        if self.buffer.len() >= BUFFER_SIZE {
            self.write_out(part)?;
        }
        Ok(())
    }

    fn pre_commit(&mut self, mut part: Part, checkpoint: u64) -> Result<Option<Vec<u8>>, BoxError> {
        if !part.begun {
            return Ok(None);
        }
        self.encoder.end(&mut self.buffer)?;
        self.write_out(&mut part)?;
        let Some((file, number)) = part.file else {
            return Ok(None);
        };
        let committed = self.committed_name(number);
        let pending = format!(".{committed}.{checkpoint}.{PENDING}");
        let (from, path) = (self.in_progress(number), self.directory.join(&pending));
        fs::rename(&from, &path).map_err(|cause| FileError::io(&from, "rename it", cause))?;
        let handle = Handle {
            pending: &pending,
            committed: &committed,
            size: part.size,
        };
        let handle = handle.write();
        let unsynced = Unsynced {
            file,
            path,
            synced: AtomicBool::new(false),
            failed: AtomicBool::new(false),
        };
        self.unsynced.insert(pending, Arc::new(unsynced));
        Ok(Some(handle))
    }

    fn before_completion(&mut self, handle: &[u8]) -> Result<Option<Work>, BoxError> {
        let handle = Handle::read(handle)?;
        let unsynced = self.unsynced.get(handle.pending);
        let Some(unsynced) = unsynced.filter(|_| !seeded("part-unsynced")) else {
            return Ok(None);
        };
        if unsynced.failed.load(Ordering::Acquire) {
            let path = unsynced.path.clone();
            return Err(FileError::PartLost { path }.into());
        }
        let unsynced = Arc::clone(unsynced);
        Ok(Some(Box::new(move || Ok(unsynced.sync()?))))
    }

    fn before_any_completion(&mut self) -> Result<Option<Work>, BoxError> {
        // Names that were given since the last checkpoint are not asked for again after this one.
        let directory = self.directory.clone();
        Ok(Some(Box::new(move || {
            Ok(Self::sync_directory(&directory)?)
        })))
    }

    fn commit(&mut self, handle: &[u8]) -> Outcome {
        let handle = Handle::read(handle)?;
        self.rename(&handle)?;
        self.unsynced.remove(handle.pending);
        Ok(())
    }

    fn recovered(&mut self) -> Outcome {
        for name in self.names()? {
            let Some((subtask, _, Some(state))) = parse(&name) else {
                continue;
            };
            // Of subtasks that there are no more, each of these takes its share. None of them writes yet
            // under the names that it takes.
            let is_own = subtask % self.parallelism.max(1) == self.index;
            let later = checkpoint_of(&name) > self.restored;
            let is_own = is_own && !seeded("leftover-parts-stay");
            if is_own && (state == IN_PROGRESS || state == PENDING && later) {
                self.remove(&name)?;
            }
        }
        Ok(Self::sync_directory(&self.directory)?)
    }

    fn abort(&mut self, part: Part) -> Outcome {
        self.buffer.clear();
        if let Some((_file, number)) = part.file {
            let path = self.in_progress(number);
            fs::remove_file(&path).map_err(|cause| FileError::io(&path, "remove it", cause))?;
        }
        Ok(())
    }
}
