//! Storage: the one trait behind which every access to files stands, memory maps included.
//!
//! A storage is one flat directory of files that are written once, from front to back, and never change
//! after that. Three exist: [`RealStorage`], a directory; [`HeapStorage`], memory; [`SimulatedStorage`],
//! memory that loses power, tears writes and runs full, all from a seed.
//!
//! | promise | kept by |
//! |---|---|
//! | what [`WriteOnce::finish`] or [`WriteOnce::sync`] returned for is on the disk | `fdatasync`; a sync that failed is never tried again, because the system has forgotten the pages |
//! | a name that was there at [`Storage::sync_directory`] is there after a power loss | `fsync` of the directory |
//! | a full disk is an error and never a signal | space is allocated before it is mapped |
//! | a page that cannot be read or written is an error | the `SIGBUS` guard ([`sigbus`]) |
//! | a file that is open to be read keeps its bytes | it is only removed, never written over, see [`Storage::reuse`] |

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
    /// Creates a file that will probably get `expected` bytes, for which space is allocated now.
    ///
    /// # Errors
    /// Here and below those of the system; [`io::ErrorKind::StorageFull`] where there is no space.
    fn create(&self, name: &str, expected: u64) -> io::Result<Box<dyn WriteOnce>>;

    /// Creates a file that takes the place of `old`, which nobody needs any more, with its space and the memory that the
    /// system holds of it: that is quicker than to give both back and ask for others. Until they are written over, or
    /// cut off at the end, the bytes of the other one are in it. A file that cannot be written over, because somebody reads
    /// it or knows it by another name, is removed, and a new one created.
    ///
    /// # Errors
    /// As [`create`](Self::create). The other file may be gone or not then.
    fn reuse(&self, old: &str, name: &str, expected: u64) -> io::Result<Box<dyn WriteOnce>> {
        self.remove(old)?;
        self.create(name, expected)
    }

    /// Opens a file to be read. It stays readable when it is removed meanwhile. Of one that is still being written,
    /// what is appended later can be read too; behind it there may be space without content, of zeros.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`] if there is none.
    fn open(&self, name: &str) -> io::Result<Box<dyn ReadAt>>;

    /// Gives a file another name, in one step, replacing what had that name.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    fn remove(&self, name: &str) -> io::Result<()>;

    /// The names of all files, in no order.
    ///
    /// # Errors
    /// Those of the system.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Makes what was created, renamed and removed durable.
    ///
    /// # Errors
    /// Those of the system.
    fn sync_directory(&self) -> io::Result<()>;

    /// Keeps everybody else who asks for the lock out until it is dropped.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] if somebody else has it.
    fn lock(&self) -> io::Result<Box<dyn DirectoryLock>>;

    /// Where the files are, for people.
    fn place(&self) -> String;
}

/// A file that is being written, from front to back.
pub trait WriteOnce: Send {
    /// Appends `parts`, one behind the other.
    ///
    /// # Errors
    /// Those of the system. The file is of no use then.
    fn append(&mut self, parts: &[&[u8]]) -> io::Result<()>;

    /// Waits until what was appended is on the disk, for a file that is read while it grows: a log.
    ///
    /// # Errors
    /// Those of the system. The file is of no use then: a sync must not be tried again.
    fn sync(&mut self) -> io::Result<()>;

    /// Ends the file behind what was appended, and returns its length.
    ///
    /// # Errors
    /// Those of the system. The file is of no use then: a sync must not be tried again.
    fn finish(self: Box<Self>, durability: Durability) -> io::Result<u64>;
}

/// Whether a file must outlive a loss of power.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Durability {
    /// It is synced.
    Synced,
    /// It serves this process only.
    Scratch,
}

/// A file that is being read.
pub trait ReadAt: Send + Sync {
    /// How many bytes it had when it was opened.
    fn length(&self) -> u64;

    /// Fills `out` from `offset` on.
    ///
    /// # Errors
    /// [`io::ErrorKind::UnexpectedEof`] where the file ends before that.
    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()>;
}

/// The right to write to a directory, for as long as it is held.
pub trait DirectoryLock: Send + Sync + fmt::Debug {}

/// All bytes of a file of at most `length_max` bytes.
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
