//! Storage in a directory.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::Xxh3Default;

use super::{DirectoryLock, Durability, ReadAt, Storage, WriteOnce};

/// The file whose lock represents the directory's.
const LOCK: &str = "lock";

/// How files are filled. Either way the bytes go to the page cache and are synced by the same call. A map costs about
/// twice the processor time in a new file, whose pages have to be cleared first, and no more in one that takes
/// another's place.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Filling {
    /// Through memory maps where the system has them, otherwise by writes.
    #[default]
    Map,
    /// By writes.
    Write,
}

/// Storage in a directory of the file system.
#[derive(Debug)]
pub struct RealStorage {
    directory: PathBuf,
    filling: Filling,
}

impl RealStorage {
    /// Opens the directory, creating it if necessary.
    ///
    /// # Errors
    /// Any error of the system.
    pub fn create(directory: impl AsRef<Path>) -> io::Result<Self> {
        let directory = directory.as_ref();
        let missing: Vec<&Path> = directory.ancestors().take_while(|a| !a.exists()).collect();
        fs::create_dir_all(directory)?;
        // The new names must survive a power loss, too.
        for parent in missing.iter().filter_map(|made| made.parent()) {
            let is_here = parent.as_os_str().is_empty();
            File::open(if is_here { Path::new(".") } else { parent })?.sync_all()?;
        }
        RealStorage::existing(directory)
    }

    /// Opens an existing directory.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotADirectory`] or [`io::ErrorKind::NotFound`] if there is no such directory.
    pub fn existing(directory: impl AsRef<Path>) -> io::Result<Self> {
        let directory = directory.as_ref().to_path_buf();
        if !fs::metadata(&directory)?.is_dir() {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        Ok(RealStorage {
            directory,
            filling: Filling::default(),
        })
    }

    /// Sets how files are filled.
    #[must_use]
    pub fn filled_by(mut self, filling: Filling) -> Self {
        self.filling = filling;
        self
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Makes a mapped writer of a file, or removes the file on failure.
    #[cfg(target_os = "linux")]
    fn mapped(&self, name: &str, file: File, expected: u64) -> io::Result<Box<dyn WriteOnce>> {
        match super::mapped_file::MappedFile::new(file, expected) {
            Ok(mapped) => Ok(Box::new(mapped)),
            Err(error) => {
                // Best effort: leftovers are removed when the directory is opened next.
                let _ = fs::remove_file(self.path(name));
                Err(error)
            }
        }
    }

    /// Opens a file for overwriting, if nobody is reading it and it has no other name. The lock keeps readers out until
    /// it is closed.
    #[cfg(target_os = "linux")]
    fn open_over(&self, name: &str) -> Option<File> {
        use std::os::unix::fs::MetadataExt;

        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).open(self.path(name)).ok()?;
        file.try_lock().ok()?;
        (file.metadata().ok()?.nlink() == 1).then_some(file)
    }
}

impl Storage for RealStorage {
    fn create(&self, name: &str, expected: u64) -> io::Result<Box<dyn WriteOnce>> {
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create_new(true);
        let file = file.open(self.path(name))?;
        #[cfg(target_os = "linux")]
        if self.filling == Filling::Map {
            return self.mapped(name, file, expected);
        }
        let _ = expected;
        Ok(Box::new(WrittenFile {
            file,
            length: 0,
            small: Vec::new(),
        }))
    }

    #[cfg(target_os = "linux")]
    fn reuse(&self, old: &str, name: &str, expected: u64) -> io::Result<Box<dyn WriteOnce>> {
        if self.filling == Filling::Map
            && let Some(file) = self.open_over(old)
        {
            if self.path(name).exists() {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            fs::rename(self.path(old), self.path(name))?;
            return self.mapped(name, file, expected);
        }
        self.remove(old)?;
        self.create(name, expected)
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn ReadAt>> {
        let path = self.path(name);
        let file = loop {
            let file = File::open(&path)?;
            match file.try_lock_shared() {
                // It is being overwritten.
                Err(TryLockError::WouldBlock) => return Err(io::ErrorKind::NotFound.into()),
                // On a file system without locks, nothing is ever overwritten.
                Err(TryLockError::Error(_)) => break file,
                Ok(()) if is_named(&file, &path)? => break file,
                // It was renamed before we had the lock, for other contents.
                Ok(()) => {}
            }
        };
        let length = file.metadata()?.len();
        Ok(Box::new(ReadFile { file, length }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path(from), self.path(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path(name))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            // A name that is not valid text is not one of ours.
            names.extend(entry?.file_name().into_string());
        }
        Ok(names)
    }

    fn sync_directory(&self) -> io::Result<()> {
        File::open(&self.directory)?.sync_all()
    }

    fn lock(&self) -> io::Result<Box<dyn DirectoryLock>> {
        let mut options = OpenOptions::new();
        let file = options.write(true).create(true).truncate(false);
        let file = file.open(self.path(LOCK))?;
        match file.try_lock() {
            Ok(()) => Ok(Box::new(FileLock {
                identity: identity(&file)?,
                _file: file,
            })),
            Err(TryLockError::WouldBlock) => Err(io::ErrorKind::WouldBlock.into()),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    fn place(&self) -> String {
        self.directory.display().to_string()
    }
}

/// Whether this open file is still the one at `path`.
fn is_named(file: &File, path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;

    let (open, named) = (file.metadata()?, fs::metadata(path)?);
    Ok((open.dev(), open.ino()) == (named.dev(), named.ino()))
}

/// A number for a file that is created once and never written to: which one it is, and since when.
fn identity(file: &File) -> io::Result<u64> {
    use std::os::unix::fs::MetadataExt;

    let metadata = file.metadata()?;
    // Not the device, whose number may be another one after the machine has started again.
    let mut hasher = Xxh3Default::new();
    hasher.update(&metadata.ino().to_le_bytes());
    for time in [metadata.mtime(), metadata.mtime_nsec()] {
        hasher.update(&time.to_le_bytes());
    }
    Ok(hasher.digest())
}

/// Closing the file releases the lock.
#[derive(Debug)]
struct FileLock {
    identity: u64,
    _file: File,
}

impl DirectoryLock for FileLock {
    fn identity(&self) -> u64 {
        self.identity
    }
}

/// Open for reading under a shared lock, so that nothing overwrites it.
struct ReadFile {
    file: File,
    length: u64,
}

impl ReadAt for ReadFile {
    fn length(&self) -> u64 {
        self.length
    }

    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(out, offset)
    }
}

/// Parts with a smaller total size are combined into one write.
const SMALL_BYTES: usize = 64 * 1024;

/// A file that is filled by writes.
struct WrittenFile {
    file: File,
    length: u64,
    /// A buffer in which small parts are combined.
    small: Vec<u8>,
}

impl WriteOnce for WrittenFile {
    fn append(&mut self, parts: &[&[u8]]) -> io::Result<()> {
        let length: usize = parts.iter().map(|part| part.len()).sum();
        if length > SMALL_BYTES {
            for part in parts {
                self.file.write_all_at(part, self.length)?;
                self.length += part.len() as u64;
            }
            return Ok(());
        }
        self.small.clear();
        parts
            .iter()
            .for_each(|part| self.small.extend_from_slice(part));
        self.file.write_all_at(&self.small, self.length)?;
        self.length += length as u64;
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn finish(self: Box<Self>, durability: Durability) -> io::Result<u64> {
        if durability == Durability::Synced {
            self.file.sync_data()?;
        }
        Ok(self.length)
    }
}
