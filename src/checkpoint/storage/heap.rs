//! Storage in memory, for use without files.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{DirectoryLock, Durability, ReadAt, Storage, WriteOnce};

type File = Arc<Mutex<Vec<u8>>>;

/// Files in memory. A clone is another handle to the same files.
#[derive(Clone, Debug, Default)]
pub struct HeapStorage {
    files: Arc<Mutex<BTreeMap<String, File>>>,
    /// Held by whoever has the lock.
    lock: Arc<Mutex<Option<Arc<()>>>>,
    /// Hashes nothing to what no other storage does.
    identity: RandomState,
}

fn open<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic elsewhere leaves only plain bytes, which the reader checks anyway.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl HeapStorage {
    /// An empty storage.
    #[must_use]
    pub fn new() -> Self {
        HeapStorage::default()
    }
}

impl Storage for HeapStorage {
    fn create(&self, name: &str, expected: u64) -> io::Result<Box<dyn WriteOnce>> {
        let mut files = open(&self.files);
        if files.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let mut bytes = Vec::new();
        let reserved = usize::try_from(expected).map(|expected| bytes.try_reserve(expected));
        if !matches!(reserved, Ok(Ok(()))) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let file = File::new(Mutex::new(bytes));
        files.insert(name.to_owned(), Arc::clone(&file));
        Ok(Box::new(HeapFile(file)))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn ReadAt>> {
        let files = open(&self.files);
        let file = files.get(name).ok_or(io::ErrorKind::NotFound)?;
        let (file, length) = (Arc::clone(file), open(file).len() as u64);
        Ok(Box::new(HeapReader { file, length }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut files = open(&self.files);
        let file = files.remove(from).ok_or(io::ErrorKind::NotFound)?;
        files.insert(to.to_owned(), file);
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let removed = open(&self.files).remove(name);
        removed.map(drop).ok_or(io::ErrorKind::NotFound.into())
    }

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(open(&self.files).keys().cloned().collect())
    }

    fn sync_directory(&self) -> io::Result<()> {
        Ok(())
    }

    fn lock(&self) -> io::Result<Box<dyn DirectoryLock>> {
        let mut holder = open(&self.lock);
        if holder
            .as_ref()
            .is_some_and(|held| Arc::strong_count(held) > 1)
        {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let held = Arc::new(());
        *holder = Some(Arc::clone(&held));
        Ok(Box::new(HeapLock {
            identity: self.identity.hash_one(()),
            _held: held,
        }))
    }

    fn place(&self) -> String {
        "memory".to_owned()
    }
}

#[derive(Debug)]
struct HeapLock {
    identity: u64,
    _held: Arc<()>,
}

impl DirectoryLock for HeapLock {
    fn identity(&self) -> u64 {
        self.identity
    }
}

struct HeapFile(File);

impl WriteOnce for HeapFile {
    fn append(&mut self, parts: &[&[u8]]) -> io::Result<()> {
        let mut bytes = open(&self.0);
        for part in parts {
            bytes.extend_from_slice(part);
        }
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn finish(self: Box<Self>, _durability: Durability) -> io::Result<u64> {
        Ok(open(&self.0).len() as u64)
    }
}

struct HeapReader {
    file: File,
    length: u64,
}

impl ReadAt for HeapReader {
    fn length(&self) -> u64 {
        self.length
    }

    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let file = open(&self.file);
        let rest = usize::try_from(offset).ok().and_then(|at| file.get(at..));
        let bytes = rest.and_then(|rest| rest.get(..out.len()));
        out.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}
