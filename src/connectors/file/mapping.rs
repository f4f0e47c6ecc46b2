//! A file mapped into memory and read in place.
//!
//! The subtasks of a source share one mapping, created by the first to open it and unmapped when the last reader is
//! closed. It is prepared before the first record is read: the pages of files up to 4 GiB are mapped at once
//! (`MADV_POPULATE_READ`), so that reading is plain memory access.
//!
//! The pages are huge if the file system has those and the file is first read for this mapping (`MADV_HUGEPAGE`). A
//! file that is in the page cache already stays in the pages in which it was written or read. If those are small and
//! scattered over the memory, finding them takes time: with running sums of a thousand keys 6.1 instead of 4.3 ns a
//! record, in a virtual machine.
//!
//! The bytes are guaranteed to be those of the file as long as nobody changes it. If the file was truncated or
//! written to while it was read, this is reported as an error at the end ([`Mapping::check`]), unless the process
//! dies first: reading a page that a truncation has cut off kills it (`SIGBUS`).
#![expect(unsafe_code, reason = "maps a file")]

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use memmap2::{Mmap, MmapOptions};

use super::FileError;
use super::identity::Identity;

/// Files larger than this, in bytes, are not read ahead: their pages are faulted in as they are reached.
const POPULATE_MAX: usize = 4 << 30;

/// A memory-mapped file, or a prefix of one.
#[derive(Debug)]
pub(super) struct Mapping {
    path: Arc<Path>,
    file: File,
    bytes: Mmap,
    opened: Identity,
}

impl Mapping {
    /// Maps the first `size_max` bytes of the file at `path`, or the whole file if it is shorter.
    fn open(path: &Arc<Path>, size_max: u64) -> Result<Self, FileError> {
        let failed = |action| move |cause| FileError::input(path, action, cause);
        let file = File::open(path).map_err(failed("open it"))?;
        let metadata = file.metadata().map_err(failed("look at it"))?;
        if metadata.is_dir() {
            return Err(failed("map it")(io::ErrorKind::IsADirectory.into()));
        }
        let opened = Identity::of(&metadata);
        let size = usize::try_from(opened.size.min(size_max))
            .map_err(|_| failed("map it")(io::ErrorKind::FileTooLarge.into()))?;
        // SAFETY: the bytes are only ever read, and only as types for which every bit pattern is valid (text is made
        // of a copy of them), so a file that another process writes to meanwhile yields records that nobody wrote, but
        // no invalid values. A file truncated meanwhile ends the process at the first missing page: it never reads
        // memory that is not its own. Neither can happen if the caller leaves the file alone, which the sources
        // require.
        let bytes = unsafe { MmapOptions::new().len(size).map(&file) };
        let mapping = Mapping {
            path: Arc::clone(path),
            file,
            bytes: bytes.map_err(failed("map it"))?,
            opened,
        };
        mapping.prepare()?;
        Ok(mapping)
    }

    /// Makes the pages present, whether or not they are in the page cache. Advice that the system or the file system
    /// does not support is skipped: that only costs time.
    #[cfg(target_os = "linux")]
    fn prepare(&self) -> Result<(), FileError> {
        use memmap2::Advice::{HugePage, PopulateRead, Sequential};
        let _ = self.bytes.advise(Sequential);
        let _ = self.bytes.advise(HugePage);
        if self.bytes.len() > POPULATE_MAX {
            return Ok(());
        }
        match self.bytes.advise(PopulateRead) {
            Err(cause) if cause.kind() != io::ErrorKind::InvalidInput => {
                Err(FileError::input(&self.path, "read it", cause))
            }
            _ => Ok(()),
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn prepare(&self) -> Result<(), FileError> {
        Ok(())
    }

    /// The file's path.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The bytes; the first is page-aligned.
    #[inline(always)]
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The identity of the file when it was opened.
    pub(super) fn identity(&self) -> Identity {
        self.opened
    }

    /// Checks that the file still has the size and modification time it was opened with. Call this after reading its
    /// last byte.
    pub(super) fn check(&self) -> Result<(), FileError> {
        let metadata = self.file.metadata();
        let metadata =
            metadata.map_err(|cause| FileError::input(&self.path, "look at it", cause))?;
        if Identity::of(&metadata) == self.opened {
            return Ok(());
        }
        let path = self.path.to_path_buf();
        Err(FileError::Changed { path })
    }
}

/// A file whose mapping is shared by the readers of a source.
#[derive(Clone, Debug)]
pub(super) struct MappedFile {
    path: Arc<Path>,
    mapping: Arc<Mutex<Weak<Mapping>>>,
}

impl MappedFile {
    /// The file at `path`; does not open it.
    pub(super) fn new(path: &Path) -> Self {
        MappedFile {
            path: path.into(),
            mapping: Arc::default(),
        }
    }

    /// The file's path.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The current size of the file in bytes.
    pub(super) fn size(&self) -> Result<u64, FileError> {
        let metadata = std::fs::metadata(&self.path);
        let metadata =
            metadata.map_err(|cause| FileError::input(&self.path, "look at it", cause))?;
        Ok(metadata.len())
    }

    /// Maps the first `size_max` bytes, or returns the mapping that another reader holds.
    pub(super) fn open(&self, size_max: u64) -> Result<Arc<Mapping>, FileError> {
        let mut held = self.mapping.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(mapping) = held.upgrade() {
            return Ok(mapping);
        }
        let mapping = Arc::new(Mapping::open(&self.path, size_max)?);
        *held = Arc::downgrade(&mapping);
        Ok(mapping)
    }
}
