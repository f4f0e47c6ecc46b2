//! Storage: the trait through which all file access goes, memory maps included.
//!
//! A storage is one flat directory of files that are written once, from front to back, and never change after that.
//! There are three: [`RealStorage`], a directory; [`HeapStorage`], memory; [`SimulatedStorage`], memory that simulates
//! power loss, torn writes and full disks, all from a seed.
//!
//! | promise | kept by |
//! |---|---|
//! | when [`WriteOnce::finish`] or [`WriteOnce::sync`] returns, the data is on disk | `fdatasync`; a failed sync is never retried, because the system has forgotten the pages |
//! | a name that existed at [`Storage::sync_directory`] survives a power loss | `fsync` of the directory |
//! | a full disk is an error and never a signal | space is allocated before it is mapped |
//! | a page that cannot be read or written is an error | the `SIGBUS` guard ([`sigbus`]) |
//! | a file that is open for reading keeps its bytes | it is only removed, never overwritten, see [`Storage::reuse`] |

mod heap;
#[cfg(target_os = "linux")]
mod mapped_file;
mod real;
#[cfg(target_os = "linux")]
mod sigbus;
mod simulated;

use std::fmt;
use std::io;

pub use heap::HeapStorage;
pub use real::{Filling, RealStorage};
pub use simulated::{Fault, Faults, Loss, Operation, OperationKind, SimulatedStorage};

/// A flat directory of write-once files. Names are plain file names.
pub trait Storage: Send + Sync + fmt::Debug {
    /// Creates a file of about `expected` bytes and allocates space for them.
    ///
    /// # Errors
    /// Here and below, any error of the system; [`io::ErrorKind::StorageFull`] if there is no space.
    fn create(&self, name: &str, expected: u64) -> io::Result<Box<dyn WriteOnce>>;

    /// Creates a file in the place of `old`, which is no longer needed, reusing its space and its pages in the page
    /// cache: that is quicker than freeing both and allocating anew. The old bytes stay in the file until they are
    /// overwritten, or cut off at the end. A file that cannot be overwritten, because it is open for reading or has
    /// another name as well, is removed, and a new one is created.
    ///
    /// # Errors
    /// As [`create`](Self::create). The old file may or may not be gone then.
    fn reuse(&self, old: &str, name: &str, expected: u64) -> io::Result<Box<dyn WriteOnce>> {
        self.remove(old)?;
        self.create(name, expected)
    }

    /// Opens a file for reading. It stays readable if it is removed meanwhile. If the file is still being written, what
    /// is appended later can be read too; allocated space after it may read as zeros.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`] if there is none.
    fn open(&self, name: &str) -> io::Result<Box<dyn ReadAt>>;

    /// Renames a file atomically, replacing any file that had the new name.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    fn remove(&self, name: &str) -> io::Result<()>;

    /// The names of all files, in no particular order.
    ///
    /// # Errors
    /// Any error of the system.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Makes all creations, renames and removals durable.
    ///
    /// # Errors
    /// Any error of the system.
    fn sync_directory(&self) -> io::Result<()>;

    /// Locks the directory against all others until the lock is dropped.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] if somebody else holds it.
    fn lock(&self) -> io::Result<Box<dyn DirectoryLock>>;

    /// A human-readable description of where the files are.
    fn place(&self) -> String;
}

/// A file that is being written, from front to back.
pub trait WriteOnce: Send {
    /// Appends `parts`, one after the other.
    ///
    /// # Errors
    /// Any error of the system. The file is useless then.
    fn append(&mut self, parts: &[&[u8]]) -> io::Result<()>;

    /// Waits until everything appended is on disk, for a file that is read while it grows, such as a log.
    ///
    /// # Errors
    /// Any error of the system. The file is useless then: a sync must not be retried.
    fn sync(&mut self) -> io::Result<()>;

    /// Ends the file after the appended bytes, and returns its length.
    ///
    /// # Errors
    /// Any error of the system. The file is useless then: a sync must not be retried.
    fn finish(self: Box<Self>, durability: Durability) -> io::Result<u64>;
}

/// Whether a file must survive a power loss.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Durability {
    /// It is synced.
    Synced,
    /// It only serves this process.
    Scratch,
}

/// A file open for reading.
pub trait ReadAt: Send + Sync {
    /// How many bytes it had when it was opened.
    fn length(&self) -> u64;

    /// Fills `out` from `offset` on.
    ///
    /// # Errors
    /// [`io::ErrorKind::UnexpectedEof`] if the file ends before that.
    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()>;
}

/// The exclusive right to write to a directory, held until it is dropped.
pub trait DirectoryLock: Send + Sync + fmt::Debug {
    /// A number that tells the directory from all others, also from one that takes its place later. Every lock of the
    /// directory has the same.
    fn identity(&self) -> u64;
}

/// Reads all bytes of a file of at most `length_max` bytes.
pub(super) fn read_whole(file: &dyn ReadAt, length_max: u64) -> io::Result<Vec<u8>> {
    if file.length() > length_max {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    let mut bytes = vec![0; file.length() as usize];
    file.read_at(0, &mut bytes)?;
    Ok(bytes)
}
#[cfg(test)]
#[path = "storage_test.rs"]
mod tests;
