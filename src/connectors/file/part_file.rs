//! The part files of a sink as transactions: hidden while being written, visible once committed.
//!
//! ```text
//! .part-<subtask>-<n>.inprogress            being written
//! .part-<subtask>-<n>.<checkpoint>.pending  complete, part of that checkpoint, not yet committed; the number is
//!                                           followed by the identity of the directory in which it counts
//! part-<subtask>-<n>                        committed: never changes again
//! ```
//! `n` is larger than that of any other part file of the subtask in the directory, from any attempt or run, so no
//! file is ever overwritten. A checkpoint stores the last two names and the size of the part file.
//!
//! On open, from a checkpoint or from scratch, hidden part files that an earlier attempt left behind and that will
//! never be committed are removed.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use crate::checkpoint::{Durability, Storage, WriteOnce};
use crate::connectors::transaction::{TransactionError, TwoPhaseCommit, Work};
use crate::operator::{BoxError, CommitQueue, OpenContext, Outcome, Unrecoverable};
use crate::seeded_bugs::seeded;
use crate::time::Timestamp;

use super::FileError;
use super::file_sink::FileEncoder;
use super::output::{Opened, Output};
use super::part_name::{IN_PROGRESS, PENDING, is_left, label, parse};

/// The buffer size in bytes at which a writer writes out.
const BUFFER_SIZE: usize = 128 * 1024;

/// The part files of one subtask.
#[derive(Debug)]
pub struct PartFiles<E> {
    output: Arc<Output>,
    /// Set while open.
    opened: Option<Arc<Opened>>,
    /// In which the checkpoints are.
    directory: Option<u64>,
    /// Whether the job resumes from one.
    resumes: bool,
    index: u32,
    parallelism: u32,
    /// Includes the dot; may be empty.
    extension: Arc<str>,
    encoder: E,
    /// The number of the next part file.
    next: u64,
    /// Bytes not written yet.
    buffer: Vec<u8>,
    /// Part files not yet synced, by their pending names.
    unsynced: HashMap<String, Arc<Unsynced>>,
    /// Syncs of part files whose checkpoints have not synced them.
    syncs: CommitQueue,
}

/// A part file that is not yet known to be on disk.
struct Unsynced {
    path: PathBuf,
    file: Mutex<OnDisk>,
}

/// What is known about a part file's bytes.
enum OnDisk {
    Waiting(Box<dyn WriteOnce>),
    Synced,
    /// A failed sync means the data is lost: a second sync would report success.
    Refused,
}

impl std::fmt::Debug for Unsynced {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Unsynced")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// A part file being written.
#[derive(Default)]
pub struct Part {
    /// Something has been encoded for it.
    begun: bool,
    /// The file and its number, once there are bytes to write.
    file: Option<(Box<dyn WriteOnce>, u64)>,
    size: u64,
}

impl std::fmt::Debug for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Part")
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

/// The commit handle of a part file.
struct Handle<'a> {
    pending: &'a str,
    committed: &'a str,
    size: u64,
}

impl<'a> Handle<'a> {
    /// Parses a handle written by [`write`](Self::write).
    fn read(bytes: &'a [u8]) -> Result<Self, Unrecoverable> {
        let text = std::str::from_utf8(bytes).map_err(|_| TransactionError::unrecoverable())?;
        let mut parts = text.split('/');
        let (Some(pending), Some(committed), Some(size), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(TransactionError::unrecoverable());
        };
        let size = size
            .parse()
            .map_err(|_| TransactionError::unrecoverable())?;
        Ok(Handle {
            pending,
            committed,
            size,
        })
    }

    /// Joins the fields with a character that no name contains.
    fn write(&self) -> Vec<u8> {
        format!("{}/{}/{}", self.pending, self.committed, self.size).into_bytes()
    }
}

impl<E> PartFiles<E> {
    /// Part files in `output` whose names end in `extension`.
    pub(super) fn new(
        output: &Arc<Output>,
        extension: &Arc<str>,
        encoder: E,
        (index, parallelism): (u32, u32),
    ) -> Self {
        PartFiles {
            output: Arc::clone(output),
            opened: None,
            directory: None,
            resumes: false,
            index,
            parallelism,
            extension: Arc::clone(extension),
            encoder,
            next: 0,
            buffer: Vec::new(),
            unsynced: HashMap::new(),
            syncs: CommitQueue::default(),
        }
    }

    fn committed_name(&self, number: u64) -> String {
        format!("part-{}-{number}{}", self.index, self.extension)
    }

    fn in_progress(&self, number: u64) -> String {
        format!(".{}.{IN_PROGRESS}", self.committed_name(number))
    }

    /// The output, opened on first use.
    fn opened(&mut self) -> Result<&Opened, FileError> {
        match &mut self.opened {
            Some(opened) => Ok(opened),
            opened => Ok(opened.insert(self.output.open(self.resumes)?)),
        }
    }

    fn files(&mut self) -> Result<Arc<dyn Storage>, FileError> {
        Ok(Arc::clone(&self.opened()?.files))
    }

    /// Returns a function that converts an I/O error on a file.
    fn failed(
        &self,
        name: &str,
        what: &'static str,
    ) -> impl FnOnce(std::io::Error) -> FileError + use<E> {
        self.output.failed(name, what)
    }

    /// The names of all files in the directory.
    fn names(&mut self) -> Result<Vec<String>, FileError> {
        let failed = self.failed("", "list it");
        self.files()?.list().map_err(failed)
    }

    /// Creates a file under an unused number.
    fn create(&mut self) -> Result<(Box<dyn WriteOnce>, u64), FileError> {
        loop {
            let number = self.next;
            self.next += 1;
            let name = self.in_progress(number);
            let failed = self.failed(&name, "create it");
            match self.files()?.create(&name, BUFFER_SIZE as u64) {
                Err(cause) if cause.kind() == ErrorKind::AlreadyExists => {}
                file => return Ok((file.map_err(failed)?, number)),
            }
        }
    }

    /// Writes out the buffer.
    fn write_out(&mut self, part: &mut Part) -> Result<(), FileError> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let (mut file, number) = match part.file.take() {
            Some(file) => file,
            None => self.create()?,
        };
        let written = file.append(&[&self.buffer]);
        part.size += self.buffer.len() as u64;
        self.buffer.clear();
        part.file = Some((file, number));
        written.map_err(self.failed(&self.in_progress(number), "write it"))
    }

    fn remove(&mut self, name: &str) -> Result<(), FileError> {
        let failed = self.failed(name, "remove it");
        match self.files()?.remove(name) {
            Err(cause) if cause.kind() != ErrorKind::NotFound => Err(failed(cause)),
            _ => Ok(()),
        }
    }

    /// Has the part files of earlier barriers synced, which closes them. The work that was to do so is lost with a
    /// checkpoint that fails: while checkpoints fail, each of them would leave a file open.
    fn sync_waiting(&mut self) -> Outcome {
        self.syncs.check()?;
        let waiting = self.unsynced.values().filter(|part| part.is_waiting());
        for part in waiting {
            let part = Arc::clone(part);
            self.syncs.send(move || Ok(part.sync()?))?;
        }
        Ok(())
    }

    /// Syncs the directory, making its names durable.
    fn sync_names(&mut self) -> Result<(), FileError> {
        let failed = self.failed("", "sync it");
        self.files()?.sync_directory().map_err(failed)
    }
}

/// The size of a file in bytes, if it exists.
fn size_of_file(
    output: &Output,
    files: &dyn Storage,
    name: &str,
) -> Result<Option<u64>, FileError> {
    match files.open(name) {
        Ok(file) => Ok(Some(file.length())),
        Err(cause) if cause.kind() == ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(output.failed(name, "look at it")(cause)),
    }
}

/// Under which name a part file is found.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Found {
    Pending,
    Committed,
    Neither,
}

fn find(output: &Output, files: &dyn Storage, handle: &Handle<'_>) -> Result<Found, FileError> {
    let pending = size_of_file(output, files, handle.pending)?;
    let committed = size_of_file(output, files, handle.committed)?;
    match (pending, committed) {
        (Some(size), _) if size != handle.size => Err(FileError::PartLost {
            path: output.path(handle.pending),
        }),
        (Some(_), Some(_)) => Err(FileError::PartExists {
            path: output.path(handle.committed),
        }),
        (Some(_), None) => Ok(Found::Pending),
        (None, Some(_)) => Ok(Found::Committed),
        (None, None) => Ok(Found::Neither),
    }
}

/// Gives a part file its final name, if it does not have it yet.
fn rename(output: &Output, files: &dyn Storage, handle: &Handle<'_>) -> Result<(), FileError> {
    match find(output, files, handle)? {
        Found::Pending => {
            let renamed = files.rename(handle.pending, handle.committed);
            renamed.map_err(output.failed(handle.pending, "rename it"))
        }
        Found::Committed => Ok(()),
        Found::Neither => Err(FileError::PartLost {
            path: output.path(handle.committed),
        }),
    }
}

impl Unsynced {
    /// Whether nobody has begun to sync it.
    fn is_waiting(&self) -> bool {
        let file = self.file.try_lock();
        file.is_ok_and(|file| matches!(*file, OnDisk::Waiting(_)))
    }

    /// Waits until the data is on the disk.
    fn sync(&self) -> Result<(), FileError> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        match std::mem::replace(&mut *file, OnDisk::Refused) {
            OnDisk::Synced => {}
            OnDisk::Waiting(bytes) => {
                let finished = bytes.finish(Durability::Synced);
                finished.map_err(|cause| FileError::output(&self.path, "sync it", cause))?;
            }
            OnDisk::Refused => {
                let path = self.path.clone();
                return Err(FileError::PartLost { path });
            }
        }
        *file = OnDisk::Synced;
        Ok(())
    }
}

impl<V: ?Sized, E: FileEncoder<V>> TwoPhaseCommit<V> for PartFiles<E> {
    type Transaction = Part;

    fn open(&mut self, cx: &OpenContext) -> Outcome {
        self.buffer.reserve(BUFFER_SIZE + BUFFER_SIZE / 4);
        self.syncs = CommitQueue::new(cx);
        self.directory = cx.checkpointing.directory;
        self.resumes = cx.checkpointing.restored.is_some();
        for name in self.names()? {
            let Some((subtask, number, hidden)) = parse(&name) else {
                continue;
            };
            if subtask == self.index {
                self.next = self.next.max(number.saturating_add(1));
            }
            // Part files of subtasks that no longer exist are divided among the current ones. No subtask writes under
            // those names yet.
            let is_own = subtask % self.parallelism.max(1) == self.index;
            let is_left = hidden.is_some_and(|state| is_left(&name, state, &cx.checkpointing));
            if is_own && is_left && !seeded("leftover-parts-stay") {
                self.remove(&name)?;
            }
        }
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
        self.sync_waiting()?;
        let committed = self.committed_name(number);
        let pending = format!(
            ".{committed}.{}.{PENDING}",
            label(checkpoint, self.directory)
        );
        let from = self.in_progress(number);
        let failed = self.failed(&from, "rename it");
        self.files()?.rename(&from, &pending).map_err(failed)?;
        let handle = Handle {
            pending: &pending,
            committed: &committed,
            size: part.size,
        };
        let handle = handle.write();
        let unsynced = Unsynced {
            path: self.output.path(&pending),
            file: Mutex::new(OnDisk::Waiting(file)),
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
        let unsynced = Arc::clone(unsynced);
        Ok(Some(Box::new(move || Ok(unsynced.sync()?))))
    }

    fn before_any_completion(&mut self) -> Result<Option<Work>, BoxError> {
        // Renames made since the last checkpoint would not be repeated after restoring from this one.
        let (files, failed) = (self.files()?, self.failed("", "sync it"));
        Ok(Some(Box::new(move || {
            Ok(files.sync_directory().map_err(failed)?)
        })))
    }

    fn commit(&mut self, handle: &[u8]) -> Result<Work, BoxError> {
        self.unsynced.remove(Handle::read(handle)?.pending);
        let (output, handle) = (Arc::clone(&self.output), handle.to_vec());
        let files = self.files()?;
        Ok(Box::new(move || {
            rename(&output, &*files, &Handle::read(&handle)?)?;
            output.is_used();
            Ok(())
        }))
    }

    fn recover_and_commit(&mut self, handle: &[u8]) -> Outcome {
        let handle = Handle::read(handle)?;
        if let Some((subtask, number, _)) = parse(handle.committed)
            && subtask == self.index
        {
            self.next = self.next.max(number.saturating_add(1));
        }
        let files = self.files()?;
        if find(&self.output, &*files, &handle)? != Found::Neither {
            return Ok(rename(&self.output, &*files, &handle)?);
        }
        let path = self.output.path(handle.committed);
        if self.output.is_lost() {
            return Err(Unrecoverable::new(FileError::PartLost { path }).into());
        }
        let part = path.display();
        tracing::warn!(
            %part,
            "a part file of the restored checkpoint is gone, hidden or not: it is taken for one that was finished and \
             then moved away. If nobody did so, its records are lost: start from another checkpoint",
        );
        Ok(())
    }

    fn recovered(&mut self) -> Outcome {
        Ok(self.sync_names()?)
    }

    fn abort(&mut self, part: Part) -> Outcome {
        self.buffer.clear();
        if let Some((file, number)) = part.file {
            drop(file);
            self.remove(&self.in_progress(number))?;
        }
        Ok(())
    }

    fn close(&mut self) -> Outcome {
        self.opened = None;
        Ok(())
    }
}
