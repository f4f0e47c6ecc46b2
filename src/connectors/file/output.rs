//! `Output`: where a sink writes its part files, which one sink does at a time.

use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
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
}

/// An output that is open.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) files: Arc<dyn Storage>,
    /// The directory was created for it: it cannot have had any files.
    pub(super) is_new: bool,
    _lock: Option<Lock>,
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
    pub(super) fn open(&self) -> Result<Arc<Opened>, FileError> {
        let mut shared = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(opened) = shared.upgrade() {
            return Ok(opened);
        }
        let opened = Arc::new(self.open_first()?);
        *shared = Arc::downgrade(&opened);
        Ok(opened)
    }

    fn open_first(&self) -> Result<Opened, FileError> {
        let (files, is_new, lock): (Arc<dyn Storage>, _, _) = match &self.target {
            Target::Storage(storage) => {
                let lock = storage
                    .lock()
                    .map(|held| Some(Lock::Storage { _held: held }));
                (Arc::clone(storage), false, lock)
            }
            Target::Directory(directory) => {
                let is_new = !directory.exists();
                let storage = RealStorage::create(directory);
                let storage = storage.map_err(self.failed("", "create it"))?;
                let files = Arc::new(storage.filled_by(Filling::Write));
                (files, is_new, lock_unseen(directory))
            }
        };
        let lock = lock.map_err(|cause| match cause.kind() {
            ErrorKind::WouldBlock => FileError::InUse {
                path: self.path(""),
            },
            _ => self.failed("", "lock it")(cause),
        })?;
        Ok(Opened {
            files,
            is_new,
            _lock: lock,
        })
    }

    /// Removes the directory again, if nothing is in it.
    pub(super) fn undo_creation(&self) {
        if let Target::Directory(directory) = &self.target {
            let _ = fs::remove_dir(directory);
        }
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
