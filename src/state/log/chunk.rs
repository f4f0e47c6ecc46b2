//! Chunks: equally sized blocks of memory that are passed from log to log.
//!
//! A log that ends returns its chunks, and the next one takes them while they are still warm in the cache. The pool
//! keeps as many as were recently in use at once: in steady state nothing is allocated, and after a peak the memory is
//! released.

#![expect(unsafe_code, reason = "owns blocks of uninitialised memory")]

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ptr::NonNull;

/// The size of a chunk in bytes: small, because each of several thousand slices may have two of them.
pub(super) const CHUNK_SIZE: usize = 16 * 1024;
/// A cache line, and more than any record's alignment.
const CHUNK_ALIGN: usize = 64;

/// A block of memory, [`CHUNK_SIZE`] long unless it was made for one long record.
pub(super) struct Chunk {
    start: NonNull<u8>,
    size: usize,
}

// SAFETY: a chunk owns its block, which nothing else points to.
unsafe impl Send for Chunk {}

impl Chunk {
    /// A block of `size` bytes, at least one; its contents are not initialised.
    pub(super) fn new(size: usize) -> Self {
        let layout = Self::layout(size);
        // SAFETY: the layout is at least one alignment long.
        let start = unsafe { alloc(layout) };
        match NonNull::new(start) {
            Some(start) => Chunk { start, size },
            None => handle_alloc_error(layout),
        }
    }

    fn layout(size: usize) -> Layout {
        let layout = Layout::from_size_align(size.max(CHUNK_ALIGN), CHUNK_ALIGN);
        layout.expect("a record is shorter than the address space")
    }

    /// The first byte, at a multiple of 64.
    #[inline(always)]
    pub(super) fn start(&self) -> NonNull<u8> {
        self.start
    }

    /// How many bytes there are.
    #[inline(always)]
    pub(super) fn size(&self) -> usize {
        self.size
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        // SAFETY: `new` allocated this block with this layout, and it goes once.
        unsafe { dealloc(self.start.as_ptr(), Self::layout(self.size)) };
    }
}

/// A pool of chunks that no log needs at present.
#[derive(Default)]
pub struct ChunkPool {
    free: Vec<Chunk>,
    used: usize,
    /// The most chunks recently in use at once; it decays slowly.
    peak: usize,
}

impl ChunkPool {
    /// An empty pool.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Bytes of the chunks in use and in the pool, excluding long records.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        (self.used + self.free.len()) * CHUNK_SIZE
    }

    pub(super) fn take(&mut self) -> Chunk {
        self.used += 1;
        self.peak = self.peak.max(self.used);
        self.free.pop().unwrap_or_else(|| Chunk::new(CHUNK_SIZE))
    }

    pub(super) fn put(&mut self, chunk: Chunk) {
        if chunk.size() != CHUNK_SIZE {
            return;
        }
        self.used -= 1;
        if self.used + self.free.len() < self.peak {
            self.free.push(chunk);
        }
    }

    /// Lowers the peak by a 64th: to be called whenever a log ends.
    pub(super) fn forget(&mut self) {
        self.peak -= (self.peak - self.used) / 64;
    }
}

impl std::fmt::Debug for ChunkPool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChunkPool")
            .field("used", &self.used)
            .field("free", &self.free.len())
            .finish_non_exhaustive()
    }
}
