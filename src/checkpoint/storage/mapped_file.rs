//! A file that is filled through memory maps.
//!
//! ```text
//! 0          window                    allocated
//! ├──────────╞═══════════╪════════════╡┄┄┄┄┄┄┄┄┤ next extent
//!  unmapped    written     allocated,
//!  again                   mapped
//! ```
//! Space is allocated (`posix_fallocate`) before it is mapped, so that a full disk is an error here rather than a
//! signal. One window of the file is mapped at a time, and its pages are populated in one call (`MADV_POPULATE_WRITE`),
//! which reports failure as an error. A page that fails nevertheless is caught by the guard ([`super::sigbus`]). The
//! file is cut to its length only once nothing of it is mapped any more.
//!
//! Pages that the file does not have yet are created by writing zeros before they are populated: the system then
//! allocates larger ones, and one call clears what would be dozens of faults. Measured in a virtual machine, a new,
//! synced file of 160 MB takes a third of the system time this way; a reused file, whose pages exist already, takes a
//! seventh.
#![expect(
    unsafe_code,
    reason = "maps a file that is being written, allocates its space"
)]

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;

use memmap2::{Advice, MmapMut, MmapOptions};

use super::sigbus::Guard;
use super::{Durability, WriteOnce};

/// The most that is mapped at a time.
const WINDOW_BYTES: u64 = 32 << 20;
/// A file that outgrows its expected size is extended by at least this much at a time.
const EXTENT_BYTES_MIN: u64 = 1 << 20;
/// How many bytes are populated at a time.
const FETCH_BYTES: usize = 1 << 20;
/// How many bytes of zeros are written at a time. The system has larger pages, but may have to reclaim memory for them.
const MADE_BYTES: u64 = 128 << 10;
/// Windows begin at multiples of it, a multiple of every page size there is.
const WINDOW_ALIGN: u64 = 1 << 16;

/// A part of the file in memory.
struct Window {
    /// Before `map`, because fields are dropped in this order: as soon as the range is unmapped, another thread may be
    /// given it, and a fault there is not ours to repair.
    guard: Guard,
    map: MmapMut,
    /// Where in the file it begins.
    start: u64,
    /// How much of it has been populated.
    fetched: usize,
}

/// The pages that the file has.
struct Pages {
    /// The file has pages up to this offset.
    present: u64,
    /// The zeros from which further pages are written.
    zeros: Vec<u8>,
}

impl Pages {
    /// Creates the missing pages up to `end`.
    fn reach(&mut self, end: u64, file: &File) -> io::Result<()> {
        while self.present < end {
            let size = (end - self.present).min(MADE_BYTES) as usize;
            self.zeros.resize(size.max(self.zeros.len()), 0);
            file.write_all_at(&self.zeros[..size], self.present)?;
            self.present += size as u64;
        }
        Ok(())
    }
}

/// A file that is being filled.
pub(super) struct MappedFile {
    file: File,
    window: Option<Window>,
    allocated: u64,
    pages: Pages,
    length: u64,
    /// Whether maps are available: space must be allocated, and the guard must have a free slot.
    maps: bool,
}

impl MappedFile {
    /// Allocates space for `expected` bytes in a file that nobody else has open: either empty, or to be overwritten.
    pub(super) fn new(file: File, expected: u64) -> io::Result<Self> {
        let present = file.metadata()?.len();
        let mut mapped = MappedFile {
            file,
            window: None,
            allocated: 0,
            pages: Pages {
                present,
                zeros: Vec::new(),
            },
            length: 0,
            maps: true,
        };
        mapped.allocate(expected.max(present).max(1))?;
        Ok(mapped)
    }

    /// Allocates the next `bytes`, rounded up.
    fn allocate(&mut self, bytes: u64) -> io::Result<()> {
        let bytes = bytes.next_multiple_of(WINDOW_ALIGN);
        match allocate(&self.file, self.allocated, bytes) {
            Ok(()) => self.allocated += bytes,
            // A file system that cannot allocate: a full disk would raise a signal.
            Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => self.maps = false,
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Allocates the next extent: more than is needed now, unless the disk is nearly full.
    fn extend(&mut self, needed: u64) -> io::Result<()> {
        let wanted = needed.max(EXTENT_BYTES_MIN).max(self.allocated / 4);
        match self.allocate(wanted) {
            Err(error) if error.kind() == io::ErrorKind::StorageFull => self.allocate(needed),
            result => result,
        }
    }

    /// Maps the window at the end of the file's bytes, with `needed` more to follow, or falls back to writes.
    fn move_window(&mut self, needed: usize) -> io::Result<()> {
        self.close_window()?;
        if self.length == self.allocated {
            self.extend(needed as u64)?;
        }
        if !self.maps {
            return Ok(());
        }
        let start = self.length - self.length % WINDOW_ALIGN;
        let size = (self.allocated - start).min(WINDOW_BYTES) as usize;
        let mut options = MmapOptions::new();
        options.offset(start).len(size);
        // SAFETY: the file was created by this process under the directory's lock, and nobody else writes to
        // it or makes it shorter. If somebody does nevertheless, the guard turns the fault into an error;
        // the bytes are only ever written here, so nothing rests on what they are.
        let map = unsafe { options.map_mut(&self.file) };
        if let Ok(map) = &map {
            // Otherwise the system reads ahead: it would clear megabytes at the first touch of a window while records
            // wait. If the advice is refused, that is all it costs.
            let _ = map.advise(Advice::Random);
        }
        // Without a map or a guard the file is filled by writes: slower in places, but no less safe.
        let guarded = map.ok().and_then(|map| {
            let guard = Guard::over(map.as_ptr_range())?;
            Some(Window {
                guard,
                map,
                start,
                fetched: 0,
            })
        });
        self.maps = guarded.is_some();
        self.window = guarded;
        Ok(())
    }

    fn close_window(&mut self) -> io::Result<()> {
        match self.window.take() {
            Some(window) => window.guard.check(),
            None => Ok(()),
        }
    }

    /// Copies what fits into the window. Returns the rest.
    fn fill<'a>(&mut self, bytes: &'a [u8]) -> io::Result<&'a [u8]> {
        let Some(window) = &mut self.window else {
            return Ok(bytes);
        };
        let at = (self.length - window.start) as usize;
        let room = (window.map.len() - at).min(bytes.len());
        let (now, rest) = bytes.split_at(room);
        while window.fetched < at + now.len() {
            self.pages.reach(window.fetch_end(), &self.file)?;
            window.fetch()?;
        }
        window.map[at..at + now.len()].copy_from_slice(now);
        self.length += now.len() as u64;
        window.guard.check()?;
        Ok(rest)
    }
}

impl Window {
    /// The offset up to which the file must have pages before the next ones are populated.
    fn fetch_end(&self) -> u64 {
        self.start + (self.fetched + FETCH_BYTES).min(self.map.len()) as u64
    }

    /// Populates the next pages in one call, instead of one fault each.
    fn fetch(&mut self) -> io::Result<()> {
        let size = FETCH_BYTES.min(self.map.len() - self.fetched);
        let range = &mut self.map[self.fetched..self.fetched + size];
        // SAFETY: the range is part of a mapping of ours; its pages are made present, not changed.
        let result =
            unsafe { libc::madvise(range.as_mut_ptr().cast(), size, libc::MADV_POPULATE_WRITE) };
        self.fetched += size;
        let error = io::Error::last_os_error();
        // Systems that do not know the advice fault page by page.
        if result == 0 || error.raw_os_error() == Some(libc::EINVAL) {
            return Ok(());
        }
        Err(error)
    }
}

impl WriteOnce for MappedFile {
    fn append(&mut self, parts: &[&[u8]]) -> io::Result<()> {
        for part in parts {
            let mut rest = self.fill(part)?;
            while !rest.is_empty() && self.maps {
                self.move_window(rest.len())?;
                rest = self.fill(rest)?;
            }
            if !rest.is_empty() {
                self.file.write_all_at(rest, self.length)?;
                self.length += rest.len() as u64;
            }
        }
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        if let Some(window) = &self.window {
            window.guard.check()?;
        }
        // This also writes what was stored through a map.
        self.file.sync_data()
    }

    fn finish(mut self: Box<Self>, durability: Durability) -> io::Result<u64> {
        self.close_window()?;
        if self.allocated.max(self.pages.present) > self.length {
            self.file.set_len(self.length)?;
        }
        // Stores through the map are in the page cache once it is unmapped.
        if durability == Durability::Synced {
            self.file.sync_data()?;
        }
        Ok(self.length)
    }
}

/// Allocates `length` bytes from `offset` on and extends the file to include them.
fn allocate(file: &File, offset: u64, length: u64) -> io::Result<()> {
    let out_of_range = |_| io::Error::from(io::ErrorKind::FileTooLarge);
    let offset = offset.try_into().map_err(out_of_range)?;
    let length = length.try_into().map_err(out_of_range)?;
    loop {
        // SAFETY: the descriptor is open as long as `file` is borrowed; no memory is involved.
        match unsafe { libc::posix_fallocate(file.as_raw_fd(), offset, length) } {
            0 => return Ok(()),
            libc::EINTR => {}
            error => return Err(io::Error::from_raw_os_error(error)),
        }
    }
}
