//! Storage on a simulated disk: power loss, torn writes, full disks and bit flips, all from a seed.
//!
//! The disk distinguishes what the process sees from what is durable. Bytes become durable when their file is synced,
//! names when the directory is. [`SimulatedStorage::power_loss`] gives the disk as found afterwards: synced data is
//! there, and of the rest all, nothing, or any part of it, sector by sector and name by name in any order. Operations
//! are counted, so that "the power fails in the middle of operation k" can be tried for every k.

mod disk;
mod fault;
mod random;

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{DirectoryLock, Durability, ReadAt, Storage, WriteOnce};
use disk::Disk;
pub use fault::{Fault, Faults, Loss, Operation, OperationKind};
use random::Random;

/// A simulated disk. A clone is another handle to the same disk.
#[derive(Clone, Debug)]
pub struct SimulatedStorage {
    disk: Arc<Mutex<Disk>>,
}

impl SimulatedStorage {
    /// An empty disk, whose random faults are determined by the seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut disk = Disk::default();
        disk.identity = seed;
        disk.random = Random::new(seed);
        SimulatedStorage::with(disk)
    }

    fn with(disk: Disk) -> Self {
        SimulatedStorage {
            disk: Arc::new(Mutex::new(disk)),
        }
    }

    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets the faults to inject from now on.
    pub fn set_faults(&self, faults: Faults) {
        self.disk().faults = faults;
    }

    /// How many operations there have been, which is also the number of the next.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.disk().operations
    }

    /// The log of operations, up to the first hundred thousand.
    #[must_use]
    pub fn log(&self) -> Vec<Operation> {
        self.disk().log.clone()
    }

    /// Returns the disk as found after a power loss now: another disk, without faults and unlocked. This one continues
    /// unaffected.
    #[must_use]
    pub fn power_loss(&self, loss: Loss) -> SimulatedStorage {
        SimulatedStorage::with(self.disk().after_loss(loss))
    }

    /// Returns the disk as found after the process is killed now: its writes are there, synced or not, and unsynced
    /// ones may still be lost with the power.
    #[must_use]
    pub fn killed(&self) -> SimulatedStorage {
        SimulatedStorage::with(self.disk().after_kill())
    }

    /// The names of all files, in order.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.disk().names()
    }

    /// The bytes of a file.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`] if there is none.
    pub fn bytes(&self, name: &str) -> io::Result<Vec<u8>> {
        self.disk().bytes(name)
    }

    /// Writes a file durably, replacing what was there: used to cause damage.
    pub fn put(&self, name: &str, bytes: Vec<u8>) {
        self.disk().put(name, bytes);
    }

    /// Removes a file durably: also used to cause damage.
    pub fn take(&self, name: &str) {
        self.disk().take(name);
    }
}

impl Storage for SimulatedStorage {
    fn create(&self, name: &str, expected: u64) -> io::Result<Box<dyn WriteOnce>> {
        let inode = self.disk().create(name, expected)?;
        Ok(Box::new(SimulatedFile {
            storage: self.clone(),
            inode,
            name: name.to_owned(),
        }))
    }

    fn reuse(&self, old: &str, name: &str, expected: u64) -> io::Result<Box<dyn WriteOnce>> {
        let inode = self.disk().reuse(old, name, expected)?;
        Ok(Box::new(SimulatedFile {
            storage: self.clone(),
            inode,
            name: name.to_owned(),
        }))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn ReadAt>> {
        let (inode, length, reading) = self.disk().open(name)?;
        Ok(Box::new(SimulatedBytes {
            storage: self.clone(),
            inode,
            name: name.to_owned(),
            length,
            _reading: reading,
        }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.disk().rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.disk().remove(name)
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.disk().list()
    }

    fn sync_directory(&self) -> io::Result<()> {
        self.disk().sync_directory()
    }

    fn lock(&self) -> io::Result<Box<dyn DirectoryLock>> {
        let mut disk = self.disk();
        if let Some(fault) = disk.begin(OperationKind::Lock, "")? {
            return Err(io::Error::other(format!("{fault:?}")));
        }
        let taken = disk.lock.as_ref();
        if taken.is_some_and(|held| Arc::strong_count(held) > 1) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let held = Arc::new(());
        disk.lock = Some(Arc::clone(&held));
        let lock = SimulatedLock {
            identity: disk.identity,
            _held: held,
        };
        disk.after(Box::new(lock) as Box<dyn DirectoryLock>)
    }

    fn place(&self) -> String {
        "a simulated disk".to_owned()
    }
}

#[derive(Debug)]
struct SimulatedLock {
    identity: u64,
    _held: Arc<()>,
}

impl DirectoryLock for SimulatedLock {
    fn identity(&self) -> u64 {
        self.identity
    }
}

struct SimulatedFile {
    storage: SimulatedStorage,
    inode: usize,
    name: String,
}

impl WriteOnce for SimulatedFile {
    fn append(&mut self, parts: &[&[u8]]) -> io::Result<()> {
        let mut disk = self.storage.disk();
        disk.append(self.inode, &self.name, &parts.concat())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.storage.disk().sync(self.inode, &self.name)
    }

    fn finish(self: Box<Self>, durability: Durability) -> io::Result<u64> {
        let sync = durability == Durability::Synced;
        self.storage.disk().finish(self.inode, &self.name, sync)
    }
}

struct SimulatedBytes {
    storage: SimulatedStorage,
    inode: usize,
    name: String,
    length: u64,
    _reading: Arc<()>,
}

impl ReadAt for SimulatedBytes {
    fn length(&self) -> u64 {
        self.length
    }

    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let mut disk = self.storage.disk();
        disk.read(self.inode, &self.name, offset, out)
    }
}
