//! A simulated disk: what is durable, what is only in the page cache, and what survives a power loss.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use super::fault::{Fault, Faults, Loss, Operation, OperationKind};
use super::random::Random;

/// Disks write whole sectors atomically, and nothing larger.
const SECTOR: usize = 512;
/// The log is limited to this many operations, so that a long run stays small.
const LOG_LENGTH_MAX: usize = 100_000;

/// A file, whatever its name.
#[derive(Clone, Debug, Default)]
struct Inode {
    /// As the process sees it.
    live: Vec<u8>,
    /// Where the next bytes go: at its end, unless the file is being overwritten.
    end: usize,
    /// Shared with everyone who has it open for reading.
    readers: Arc<()>,
    /// Its length as the process sees it: space allocated ahead counts.
    length: usize,
    /// As it is on the disk.
    durable: Vec<u8>,
    /// The ranges of `live` that are not on the disk.
    unsynced: Vec<Range<usize>>,
}

/// A change of the directory that is not durable yet.
#[derive(Clone, Debug)]
enum Change {
    Link(String, usize),
    Unlink(String),
    Rename(String, String, usize),
}

/// A simulated disk with one directory.
#[derive(Clone, Debug, Default)]
pub(super) struct Disk {
    inodes: Vec<Inode>,
    live: BTreeMap<String, usize>,
    durable: BTreeMap<String, usize>,
    changes: Vec<Change>,
    /// That of the directory.
    pub(super) identity: u64,
    pub(super) lock: Option<Arc<()>>,
    pub(super) faults: Faults,
    pub(super) operations: u64,
    pub(super) log: Vec<Operation>,
    pub(super) random: Random,
    crashed: bool,
}

fn apply(names: &mut BTreeMap<String, usize>, change: &Change) {
    match change {
        Change::Link(name, inode) => {
            names.insert(name.clone(), *inode);
        }
        Change::Unlink(name) => {
            names.remove(name);
        }
        Change::Rename(from, to, inode) => {
            names.remove(from);
            names.insert(to.clone(), *inode);
        }
    }
}

fn power_is_off() -> io::Error {
    io::Error::other("the power is off")
}

impl Fault {
    fn error(self) -> io::Error {
        match self {
            Fault::Io | Fault::ShortWrite => io::Error::from_raw_os_error(libc::EIO),
            Fault::NoSpace => io::Error::from_raw_os_error(libc::ENOSPC),
        }
    }
}

impl Disk {
    /// Begins an operation: counts it and decides its outcome. An operation during which the power fails reports that
    /// only [`after`](Self::after) its effect.
    pub(super) fn begin(&mut self, kind: OperationKind, name: &str) -> io::Result<Option<Fault>> {
        if self.crashed {
            return Err(power_is_off());
        }
        let number = self.operations;
        self.operations += 1;
        if self.log.len() < LOG_LENGTH_MAX {
            let name = name.to_owned();
            self.log.push(Operation { kind, name });
        }
        self.crashed = self.faults.crash_at == Some(number);
        match self.faults.fail_at {
            Some((at, fault)) if at == number => return Ok(Some(fault)),
            _ => {}
        }
        if self.faults.failed_per_million > 0
            && self.random.below(1_000_000) < u64::from(self.faults.failed_per_million)
        {
            let faults = [Fault::Io, Fault::NoSpace, Fault::ShortWrite];
            return Ok(Some(faults[self.random.below(3) as usize]));
        }
        Ok(None)
    }

    /// Ends an operation that has taken effect.
    pub(super) fn after<T>(&self, result: T) -> io::Result<T> {
        if self.crashed {
            return Err(power_is_off());
        }
        Ok(result)
    }

    fn change(&mut self, change: Change) {
        apply(&mut self.live, &change);
        self.changes.push(change);
    }

    fn used(&self) -> u64 {
        let lengths = self
            .live
            .values()
            .map(|inode| self.inodes[*inode].length as u64);
        lengths.sum()
    }

    fn has_room(&self, bytes: u64) -> bool {
        let capacity = self.faults.capacity;
        capacity.is_none_or(|capacity| self.used() + bytes <= capacity)
    }

    pub(super) fn find(&self, name: &str) -> io::Result<usize> {
        let inode = self.live.get(name).copied();
        inode.ok_or(io::ErrorKind::NotFound.into())
    }

    pub(super) fn create(&mut self, name: &str, expected: u64) -> io::Result<usize> {
        if let Some(fault) = self.begin(OperationKind::Create, name)? {
            return Err(fault.error());
        }
        if self.live.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        if !self.has_room(expected) {
            return Err(Fault::NoSpace.error());
        }
        self.inodes.push(Inode {
            length: expected as usize,
            ..Inode::default()
        });
        let inode = self.inodes.len() - 1;
        self.change(Change::Link(name.to_owned(), inode));
        self.after(inode)
    }

    /// As [`Storage::reuse`](super::Storage::reuse).
    pub(super) fn reuse(&mut self, old: &str, name: &str, expected: u64) -> io::Result<usize> {
        let inode = self.find(old)?;
        if Arc::strong_count(&self.inodes[inode].readers) > 1 {
            self.remove(old)?;
            return self.create(name, expected);
        }
        if self.live.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        self.rename(old, name)?;
        self.inodes[inode].end = 0;
        Ok(inode)
    }

    pub(super) fn append(&mut self, inode: usize, name: &str, bytes: &[u8]) -> io::Result<()> {
        let fault = self.begin(OperationKind::Append, name)?;
        let start = self.inodes[inode].end;
        let more = (start + bytes.len()).saturating_sub(self.inodes[inode].length);
        let fault = fault.or((!self.has_room(more as u64)).then_some(Fault::NoSpace));
        let written = match fault {
            None => bytes.len(),
            Some(Fault::ShortWrite) => self.random.below(bytes.len() as u64 + 1) as usize,
            Some(Fault::Io | Fault::NoSpace) => 0,
        };
        let file = &mut self.inodes[inode];
        file.end = start + written;
        file.live.resize(file.live.len().max(file.end), 0);
        file.live[start..file.end].copy_from_slice(&bytes[..written]);
        file.length = file.length.max(file.end);
        if written > 0 {
            file.unsynced.push(start..start + written);
        }
        match fault {
            Some(fault) => Err(fault.error()),
            None => self.after(()),
        }
    }

    pub(super) fn finish(&mut self, inode: usize, name: &str, sync: bool) -> io::Result<u64> {
        let file = &mut self.inodes[inode];
        file.cut();
        if sync {
            self.sync(inode, name)?;
        } else if let Some(fault) = self.begin(OperationKind::Close, name)? {
            self.inodes[inode].forget();
            return Err(fault.error());
        }
        self.after(self.inodes[inode].length as u64)
    }

    pub(super) fn sync(&mut self, inode: usize, name: &str) -> io::Result<()> {
        let fault = self.begin(OperationKind::Sync, name)?;
        let file = &mut self.inodes[inode];
        if let Some(fault) = fault {
            file.forget();
            return Err(fault.error());
        }
        if !self.crashed {
            file.sync();
        }
        self.after(())
    }

    pub(super) fn read(
        &mut self,
        inode: usize,
        name: &str,
        offset: u64,
        out: &mut [u8],
    ) -> io::Result<()> {
        if let Some(fault) = self.begin(OperationKind::Read, name)? {
            return Err(fault.error());
        }
        let file = &self.inodes[inode];
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        if start.saturating_add(out.len()) > file.length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let rest = file.live.get(start..).unwrap_or_default();
        let (written, allocated) = out.split_at_mut(rest.len().min(out.len()));
        written.copy_from_slice(&rest[..written.len()]);
        allocated.fill(0);
        let flipped = self.faults.flipped_per_million > 0
            && self.random.below(1_000_000) < u64::from(self.faults.flipped_per_million);
        if flipped && !out.is_empty() {
            let at = self.random.below(out.len() as u64) as usize;
            out[at] ^= 1 << self.random.below(8);
        }
        self.after(())
    }

    /// The file's bytes, their number, and a handle that protects them from being overwritten.
    pub(super) fn open(&mut self, name: &str) -> io::Result<(usize, u64, Arc<()>)> {
        if let Some(fault) = self.begin(OperationKind::Open, name)? {
            return Err(fault.error());
        }
        let inode = self.find(name)?;
        let file = &self.inodes[inode];
        self.after((inode, file.length as u64, Arc::clone(&file.readers)))
    }

    pub(super) fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        if let Some(fault) = self.begin(OperationKind::Rename, to)? {
            return Err(fault.error());
        }
        let inode = self.find(from)?;
        self.change(Change::Rename(from.to_owned(), to.to_owned(), inode));
        self.after(())
    }

    pub(super) fn remove(&mut self, name: &str) -> io::Result<()> {
        if let Some(fault) = self.begin(OperationKind::Remove, name)? {
            return Err(fault.error());
        }
        self.find(name)?;
        self.change(Change::Unlink(name.to_owned()));
        self.after(())
    }

    pub(super) fn list(&mut self) -> io::Result<Vec<String>> {
        if let Some(fault) = self.begin(OperationKind::List, "")? {
            return Err(fault.error());
        }
        self.after(self.live.keys().cloned().collect())
    }

    pub(super) fn sync_directory(&mut self) -> io::Result<()> {
        if let Some(fault) = self.begin(OperationKind::SyncDirectory, "")? {
            return Err(fault.error());
        }
        if !self.crashed {
            self.durable.clone_from(&self.live);
            self.changes.clear();
        }
        self.after(())
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.live.keys().cloned().collect()
    }

    /// The bytes of a file, as the process sees them.
    pub(super) fn bytes(&self, name: &str) -> io::Result<Vec<u8>> {
        let file = &self.inodes[self.find(name)?];
        let mut bytes = file.live.clone();
        bytes.resize(file.length, 0);
        Ok(bytes)
    }

    /// Writes a file durably, as if somebody else had.
    pub(super) fn put(&mut self, name: &str, bytes: Vec<u8>) {
        self.inodes.push(Inode {
            length: bytes.len(),
            end: bytes.len(),
            durable: bytes.clone(),
            live: bytes,
            ..Inode::default()
        });
        let inode = self.inodes.len() - 1;
        self.live.insert(name.to_owned(), inode);
        self.durable.insert(name.to_owned(), inode);
    }

    /// Removes a file durably, as if somebody else had.
    pub(super) fn take(&mut self, name: &str) {
        self.live.remove(name);
        self.durable.remove(name);
    }

    /// The disk as found after the process is killed now.
    pub(super) fn after_kill(&self) -> Disk {
        let mut disk = Disk {
            faults: Faults::default(),
            lock: None,
            crashed: false,
            ..self.clone()
        };
        for inode in &mut disk.inodes {
            inode.readers = Arc::default();
        }
        disk
    }

    pub(super) fn after_loss(&self, loss: Loss) -> Disk {
        let mut random = match loss {
            Loss::Some(seed) => Random::new(seed),
            Loss::All | Loss::None => Random::new(0),
        };
        let mut names = self.durable.clone();
        for change in &self.changes {
            let kept = match loss {
                Loss::All => false,
                Loss::None => true,
                Loss::Some(_) => random.below(2) == 0,
            };
            if kept {
                apply(&mut names, change);
            }
        }
        let mut disk = Disk {
            identity: self.identity,
            random: self.random.clone(),
            ..Disk::default()
        };
        for (name, inode) in names {
            let bytes = self.inodes[inode].after_loss(loss, &mut random);
            disk.put(&name, bytes);
        }
        disk
    }
}

impl Inode {
    /// After a failed sync: the system marks the pages clean all the same, and will never write them.
    fn forget(&mut self) {
        self.unsynced.clear();
    }

    /// Ends the file after the last write. What was there before is cut off, even if it is not on the disk yet.
    fn cut(&mut self) {
        self.live.truncate(self.end);
        self.length = self.end;
        for write in &mut self.unsynced {
            write.end = write.end.min(self.end);
        }
        self.unsynced.retain(|write| write.start < write.end);
    }

    fn sync(&mut self) {
        self.durable.resize(self.live.len(), 0);
        for write in self.unsynced.drain(..) {
            self.durable[write.clone()].copy_from_slice(&self.live[write]);
        }
    }

    fn after_loss(&self, loss: Loss, random: &mut Random) -> Vec<u8> {
        match loss {
            Loss::All => self.durable.clone(),
            Loss::None => {
                let mut bytes = self.live.clone();
                bytes.resize(self.length, 0);
                bytes
            }
            Loss::Some(_) if self.unsynced.is_empty() => self.durable.clone(),
            Loss::Some(_) => self.torn(random),
        }
    }

    /// Some sectors of the unsynced writes are there, the others are empty or hold stale data.
    fn torn(&self, random: &mut Random) -> Vec<u8> {
        let longest = self.length.max(self.live.len());
        let lengths = [longest, self.live.len(), self.durable.len()];
        let mut bytes = self.durable.clone();
        bytes.resize(longest, 0);
        let (lost_of_eight, filler) = (random.below(9), (random.below(4) == 0).then_some(0xA5));
        for write in &self.unsynced {
            let mut start = write.start;
            while start < write.end {
                let end = (start - start % SECTOR + SECTOR).min(write.end);
                if random.below(8) >= lost_of_eight {
                    bytes[start..end].copy_from_slice(&self.live[start..end]);
                } else if let Some(filler) = filler {
                    bytes[start..end].fill(filler);
                }
                start = end;
            }
        }
        bytes.truncate(lengths[random.below(3) as usize]);
        bytes
    }
}
