//! A file's bytes, mapped into memory to be read in place.
//!
//! The subtasks of a source share one mapping, made by whoever opens first and unmapped when the last
//! reader is closed. It is made ready before the first record is read: pages that are in the page
//! cache are mapped at once (`MADV_POPULATE_READ`), so that reading is plain memory access.
//!
//! What is promised: the bytes are those of the file as long as nobody changes it. A file that became
//! shorter or was written to while it was read is an error at the end ([`Mapping::check`]), where it
//! does not come to that: reading a page that a truncation has cut off kills the process (`SIGBUS`).
#![expect(unsafe_code, reason = "maps a file")]

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use memmap2::{Mmap, MmapOptions};

use super::FileError;
use super::identity::Identity;

/// Files above this size in bytes are not read ahead as a whole: their pages come as they are
/// reached.
const POPULATE_MAX: usize = 4 << 30;

/// A file, or the front of it, in memory.
#[derive(Debug)]
pub(super) struct Mapping {
    path: Arc<Path>,
    file: File,
    bytes: Mmap,
    opened: Identity,
}

impl Mapping {
    /// Maps the first `size_max` bytes of the file at `path`, or all of a shorter one.
    fn open(path: &Arc<Path>, size_max: u64) -> Result<Self, FileError> {
        let failed = |action| move |cause| FileError::io(path, action, cause);
        let file = File::open(path).map_err(failed("open it"))?;
        let metadata = file.metadata().map_err(failed("look at it"))?;
        if metadata.is_dir() {
            return Err(failed("map it")(io::ErrorKind::IsADirectory.into()));
        }
        let opened = Identity::of(&metadata);
        let size = usize::try_from(opened.size.min(size_max))
            .map_err(|_| failed("map it")(io::ErrorKind::FileTooLarge.into()))?;
        // SAFETY: the bytes are only ever read, and as types for which any bits will do, so a file
        // that another process writes to meanwhile gives records that nobody wrote, but no invalid
        // values. One that is cut off meanwhile ends the process at the first page that is gone: it
        // reads nothing that is not its own. Both are ruled out for the caller who leaves the file
        // alone, which the sources ask for.
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

    /// Makes the pages present, those that the page cache has and those that it has not. Advice that
    /// the system or the file system does not know is left out: it costs time only.
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
                Err(FileError::io(&self.path, "read it", cause))
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

    /// The bytes; the first is aligned to a page.
    #[inline(always)]
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Which file it is.
    pub(super) fn identity(&self) -> Identity {
        self.opened
    }

    /// Whether the file is the one that was opened, of the same size and unwritten: to be asked when
    /// its last byte has been read.
    pub(super) fn check(&self) -> Result<(), FileError> {
        let metadata = self.file.metadata();
        let metadata = metadata.map_err(|cause| FileError::io(&self.path, "look at it", cause))?;
        if Identity::of(&metadata) == self.opened {
            return Ok(());
        }
        let path = self.path.to_path_buf();
        Err(FileError::Changed { path })
    }
}

/// A file that the readers of a source map together.
#[derive(Clone, Debug)]
pub(super) struct MappedFile {
    path: Arc<Path>,
    mapping: Arc<Mutex<Weak<Mapping>>>,
}

impl MappedFile {
    /// The file at `path`; opens nothing.
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

    /// The file's size in bytes now.
    pub(super) fn size(&self) -> Result<u64, FileError> {
        let metadata = std::fs::metadata(&self.path);
        let metadata = metadata.map_err(|cause| FileError::io(&self.path, "look at it", cause))?;
        Ok(metadata.len())
    }

    /// The mapping of the first `size_max` bytes, the one that another reader holds if there is one.
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
