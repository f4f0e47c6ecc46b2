//! `Output`: where a sink writes its part files, which one sink does at a time.

use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::checkpoint::{DirectoryLock, Filling, RealStorage, Storage};

use super::FileError;

/// Where the files are.
#[derive(Clone, Debug)]
enum Target {
    /// A directory, created when the sink is opened.
    Directory(PathBuf),
    /// A custom storage.
    Storage(Arc<dyn Storage>),
}

/// Where a sink writes its part files. Its subtasks share one, and so the right to write there.
#[derive(Debug)]
pub(super) struct Output {
    target: Target,
    /// Alive while some subtask is open.
    opened: Mutex<Weak<Opened>>,
    /// A job that resumes has not found the directory, and has not committed anything there since: a part file that its
    /// checkpoint has and that is not there cannot have been moved away. It stays so over the job's restarts.
    is_lost: Arc<AtomicBool>,
}

/// An output that is open.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) files: Arc<dyn Storage>,
    created: Option<PathBuf>,
    is_lost: Arc<AtomicBool>,
    _lock: Option<Lock>,
}

impl Drop for Opened {
    /// A directory that was lost is to be missing the next time, too, even if that is another program's.
    fn drop(&mut self) {
        if let Some(directory) = &self.created
            && self.is_lost.load(Ordering::Relaxed)
        {
            // Which does nothing if there is a file in it.
            let _ = fs::remove_dir(directory);
        }
    }
}

impl Output {
    pub(super) fn directory(directory: &Path) -> Self {
        Output::to(Target::Directory(directory.to_path_buf()))
    }

    pub(super) fn storage(storage: Arc<dyn Storage>) -> Self {
        Output::to(Target::Storage(storage))
    }

    fn to(target: Target) -> Self {
        Output {
            target,
            opened: Mutex::default(),
            is_lost: Arc::default(),
        }
    }

    /// The same place for another sink: not both can be open.
    pub(super) fn of_another_sink(&self) -> Self {
        Output::to(self.target.clone())
    }

    /// The path of a file, or of the directory if there is no name, for error messages.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        let mut path = match &self.target {
            Target::Directory(directory) => directory.clone(),
            Target::Storage(storage) => PathBuf::from(storage.place()),
        };
        if !name.is_empty() {
            path.push(name);
        }
        path
    }

    /// Returns a function that converts an I/O error on a file.
    pub(super) fn failed(
        &self,
        name: &str,
        what: &'static str,
    ) -> impl FnOnce(io::Error) -> FileError + use<> {
        let path = self.path(name);
        move |cause| FileError::output(&path, what, cause)
    }

    /// Opens it, unless another subtask has.
    pub(super) fn open(&self, resumes: bool) -> Result<Arc<Opened>, FileError> {
        let mut shared = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(opened) = shared.upgrade() {
            return Ok(opened);
        }
        let opened = Arc::new(self.open_first(resumes)?);
        *shared = Arc::downgrade(&opened);
        Ok(opened)
    }

    /// Whether what a checkpoint has there is lost with the directory.
    pub(super) fn is_lost(&self) -> bool {
        self.is_lost.load(Ordering::Relaxed)
    }

    /// A part file was committed: the directory is what the job goes on with.
    pub(super) fn is_used(&self) {
        self.is_lost.store(false, Ordering::Relaxed);
    }

    fn open_first(&self, resumes: bool) -> Result<Opened, FileError> {
        let (files, created, lock): (Arc<dyn Storage>, _, _) = match &self.target {
            Target::Storage(storage) => {
                let lock = storage
                    .lock()
                    .map(|held| Some(Lock::Storage { _held: held }));
                (Arc::clone(storage), None, lock)
            }
            Target::Directory(directory) => {
                let created = (!directory.exists()).then(|| directory.clone());
                let storage = RealStorage::create(directory);
                let storage = storage.map_err(self.failed("", "create it"))?;
                let files = Arc::new(storage.filled_by(Filling::Write));
                (files, created, lock_unseen(directory))
            }
        };
        let lock = lock.map_err(|cause| match cause.kind() {
            ErrorKind::WouldBlock => FileError::InUse {
                path: self.path(""),
            },
            _ => self.failed("", "lock it")(cause),
        })?;
        if resumes && created.is_some() {
            self.is_lost.store(true, Ordering::Relaxed);
        }
        Ok(Opened {
            files,
            created,
            is_lost: Arc::clone(&self.is_lost),
            _lock: lock,
        })
    }
}

/// The right to write, held until it is dropped.
#[derive(Debug)]
enum Lock {
    Storage { _held: Box<dyn DirectoryLock> },
    Directory { _held: File },
}

/// Locks a directory without leaving a file in it, for whoever reads all of its files. `None` on a file system that has
/// no such locks.
fn lock_unseen(directory: &Path) -> io::Result<Option<Lock>> {
    let file = File::open(directory)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(Lock::Directory { _held: file })),
        Err(TryLockError::WouldBlock) => Err(ErrorKind::WouldBlock.into()),
        Err(TryLockError::Error(_)) => Ok(None),
    }
}
