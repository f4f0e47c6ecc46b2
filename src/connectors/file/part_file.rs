//! The part files of a sink, as transactions: hidden while they are written, visible when they are committed.
//!
//! ```text
//! .part-<subtask>-<n>.inprogress            being written
//! .part-<subtask>-<n>.<checkpoint>.pending  whole, kept in that checkpoint, not yet committed
//! part-<subtask>-<n>                        committed: it never changes again
//! ```
//! `n` is larger than that of any part of the subtask in the directory, whatever attempt or run it is from,
//! so no file is ever overwritten. What a checkpoint keeps are the last two names and the part's size.
//!
//! Whoever opens the directory anew, from a checkpoint or from the beginning, removes what an attempt has left hidden
//! that nobody will commit.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::checkpoint::{Durability, Filling, RealStorage, Storage, WriteOnce};
use crate::connectors::transaction::{TransactionError, TwoPhaseCommit, Work};
use crate::operator::{BoxError, Checkpointing, OpenContext, Outcome};
use crate::seeded_bugs::seeded;
use crate::time::Timestamp;

use super::FileError;
use super::file_sink::FileEncoder;

/// Bytes that a writer holds at most before it writes them.
const BUFFER_SIZE: usize = 128 * 1024;

/// The last of a hidden name.
const IN_PROGRESS: &str = "inprogress";
const PENDING: &str = "pending";

/// Where the parts of a sink go.
#[derive(Clone, Debug)]
pub(super) enum Target {
    /// A directory, made when the sink is opened.
    Directory(PathBuf),
    /// Files of any kind.
    Storage(Arc<dyn Storage>),
}

impl Target {
    /// Where a file is, for people.
    fn path(&self, name: &str) -> PathBuf {
        match self {
            Target::Directory(directory) => directory.join(name),
            Target::Storage(storage) => Path::new(&storage.place()).join(name),
        }
    }

    /// The error of an operation on a file.
    fn failed(
        &self,
        name: &str,
        what: &'static str,
    ) -> impl FnOnce(std::io::Error) -> FileError + use<> {
        let path = self.path(name);
        move |cause| FileError::io(&path, what, cause)
    }

    fn open(&self) -> Result<Arc<dyn Storage>, FileError> {
        match self {
            Target::Storage(storage) => Ok(Arc::clone(storage)),
            Target::Directory(directory) => {
                let storage = RealStorage::create(directory)
                    .map_err(|cause| FileError::io(directory, "create it", cause))?;
                Ok(Arc::new(storage.filled_by(Filling::Write)))
            }
        }
    }
}

/// Where one subtask's parts go.
#[derive(Debug)]
pub struct PartFiles<E> {
    target: Target,
    /// Once it is open.
    files: Option<Arc<dyn Storage>>,
    index: u32,
    parallelism: u32,
    /// With its dot; may be empty.
    extension: Arc<str>,
    encoder: E,
    /// The number of the next part.
    next: u64,
    /// Bytes that are not written yet.
    buffer: Vec<u8>,
    /// The parts that wait for the disk, by their pending names.
    unsynced: HashMap<String, Arc<Unsynced>>,
}

/// A part that waits for the disk.
struct Unsynced {
    path: PathBuf,
    file: Mutex<OnDisk>,
}

/// What is known of a part's bytes.
enum OnDisk {
    Waiting(Box<dyn WriteOnce>),
    Synced,
    /// What the disk refused once is lost: asking again would be answered with success.
    Refused,
}

impl std::fmt::Debug for Unsynced {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Unsynced")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// A part that is being written.
#[derive(Default)]
pub struct Part {
    /// Something was encoded for it.
    begun: bool,
    /// Once there are bytes to write, with the part's number.
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

/// Whether a hidden part is one that nobody will commit: what was still being written, and what was whole for a
/// checkpoint that this job has left behind or that was never complete. One that an older checkpoint of the
/// directory may keep stays, also for a job that does not go on from that one.
fn is_left(name: &str, state: &str, checkpointing: &Checkpointing) -> bool {
    let checkpoint = name.rsplit('.').nth(1).and_then(|part| part.parse().ok());
    match (state, checkpoint, &checkpointing.restored) {
        (IN_PROGRESS, ..) => true,
        // It was to become visible at the end of a job without checkpoints.
        (PENDING, Some(0), _) => true,
        (PENDING, Some(checkpoint), Some(restored)) => checkpoint > restored.checkpoint(),
        (PENDING, Some(checkpoint), None) => {
            checkpointing.enabled && checkpoint >= checkpointing.first
        }
        _ => false,
    }
}

impl<E> PartFiles<E> {
    /// Parts in `target` whose names end in `extension`.
    pub(super) fn new(
        target: &Target,
        extension: &Arc<str>,
        encoder: E,
        (index, parallelism): (u32, u32),
    ) -> Self {
        PartFiles {
            target: target.clone(),
            files: None,
            index,
            parallelism,
            extension: Arc::clone(extension),
            encoder,
            next: 0,
            buffer: Vec::new(),
            unsynced: HashMap::new(),
        }
    }

    fn committed_name(&self, number: u64) -> String {
        format!("part-{}-{number}{}", self.index, self.extension)
    }

    fn in_progress(&self, number: u64) -> String {
        format!(".{}.{IN_PROGRESS}", self.committed_name(number))
    }

    /// The files; opened when they are asked for first.
    fn files(&mut self) -> Result<Arc<dyn Storage>, FileError> {
        match &self.files {
            Some(files) => Ok(Arc::clone(files)),
            None => Ok(Arc::clone(self.files.insert(self.target.open()?))),
        }
    }

    /// The error of an operation on a file.
    fn failed(
        &self,
        name: &str,
        what: &'static str,
    ) -> impl FnOnce(std::io::Error) -> FileError + use<E> {
        self.target.failed(name, what)
    }

    /// The names of parts in the directory.
    fn names(&mut self) -> Result<Vec<String>, FileError> {
        let failed = self.failed("", "list it");
        self.files()?.list().map_err(failed)
    }

    /// Starts a file under a number that is free.
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

    /// Writes what the buffer holds.
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

    /// Makes the names in the directory last.
    fn sync_names(&mut self) -> Result<(), FileError> {
        let failed = self.failed("", "sync it");
        self.files()?.sync_directory().map_err(failed)
    }
}

/// How many bytes a file has, if it is there.
fn size_of_file(
    target: &Target,
    files: &dyn Storage,
    name: &str,
) -> Result<Option<u64>, FileError> {
    match files.open(name) {
        Ok(file) => Ok(Some(file.length())),
        Err(cause) if cause.kind() == ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(target.failed(name, "look at it")(cause)),
    }
}

/// Gives a part its name, if it has not got it yet.
fn rename(target: &Target, files: &dyn Storage, handle: &Handle<'_>) -> Result<(), FileError> {
    let pending = size_of_file(target, files, handle.pending)?;
    let committed = size_of_file(target, files, handle.committed)?;
    let lost = |name: &str| {
        let path = target.path(name);
        Err(FileError::PartLost { path })
    };
    match (pending, committed) {
        (Some(size), _) if size != handle.size => return lost(handle.pending),
        (Some(_), Some(_)) => {
            let path = target.path(handle.committed);
            return Err(FileError::PartExists { path });
        }
        (Some(_), None) => {}
        // It was renamed before.
        (None, Some(_)) => return Ok(()),
        (None, None) => return lost(handle.committed),
    }
    let renamed = files.rename(handle.pending, handle.committed);
    renamed.map_err(target.failed(handle.pending, "rename it"))
}

impl Unsynced {
    /// Waits for the disk.
    fn sync(&self) -> Result<(), FileError> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        match std::mem::replace(&mut *file, OnDisk::Refused) {
            OnDisk::Synced => {}
            OnDisk::Waiting(bytes) => {
                let finished = bytes.finish(Durability::Synced);
                finished.map_err(|cause| FileError::io(&self.path, "sync it", cause))?;
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
        for name in self.names()? {
            let Some((subtask, number, hidden)) = parse(&name) else {
                continue;
            };
            if subtask == self.index {
                self.next = self.next.max(number + 1);
            }
            // Of subtasks that there are no more, each of these takes its share. None of them writes yet
            // under the names that it takes.
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
        let committed = self.committed_name(number);
        let pending = format!(".{committed}.{checkpoint}.{PENDING}");
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
            path: self.target.path(&pending),
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
        // Names that were given since the last checkpoint are not asked for again after this one.
        let (files, failed) = (self.files()?, self.failed("", "sync it"));
        Ok(Some(Box::new(move || {
            Ok(files.sync_directory().map_err(failed)?)
        })))
    }

    fn commit(&mut self, handle: &[u8]) -> Result<Work, BoxError> {
        self.unsynced.remove(Handle::read(handle)?.pending);
        let (target, handle) = (self.target.clone(), handle.to_vec());
        let files = self.files()?;
        Ok(Box::new(move || {
            Ok(rename(&target, &*files, &Handle::read(&handle)?)?)
        }))
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
}
