//! The memory of a table: where the blocks of segments come from.
//!
//! A table begins with blocks from the allocator. Once it has outgrown a few of them it takes blocks from *chunks* of 2
//! MB, each one huge page if the system provides it. Touching a huge page for the first time costs milliseconds (the
//! system clears it, a hypervisor may have to find it), so chunks are prepared ahead by a helper thread
//! ([`super::chunk_pool`]); a table that needs one before it is ready takes an unprepared one, whose small pages are
//! faulted in block by block.

#![expect(unsafe_code, reason = "allocates and frees raw memory")]

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::ptr::NonNull;

use super::chunk_pool;
use super::handle::BLOCK_ALIGN;
use super::page::{CHUNK_SIZE, Pages, Preparation};

/// Which pages a table uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MemoryMode {
    /// Huge pages, once the table is large enough to use them.
    #[default]
    HugePages,
    /// Whatever the allocator provides.
    SmallPages,
}

/// The size in bytes that a chunk from the allocator must reach before chunks of pages are used.
const HEAP_CHUNK_MAX: usize = 512 << 10;

enum Chunk {
    Heap(NonNull<u8>, Layout),
    Pages(Pages),
}

/// The memory of one table.
pub(super) struct Arena {
    full_size: usize,
    mode: MemoryMode,
    chunks: Vec<Chunk>,
    next: NonNull<u8>,
    /// How many unused blocks follow `next`.
    left: usize,
    /// Returned blocks, zeroed.
    free: Vec<NonNull<u8>>,
    bytes: usize,
    /// How many chunks it has taken to grow.
    taken: usize,
    /// The preparation of the reserved pages, while it is running.
    preparation: Option<Preparation>,
}

fn layout(size: usize) -> Layout {
    Layout::from_size_align(size, BLOCK_ALIGN).expect("block sizes are far below the address space")
}

fn allocate(layout: Layout) -> NonNull<u8> {
    // SAFETY: no block is empty.
    let block = unsafe { alloc_zeroed(layout) };
    NonNull::new(block).unwrap_or_else(|| handle_alloc_error(layout))
}

impl Arena {
    pub(super) fn new(full_size: usize, mode: MemoryMode) -> Self {
        let (next, free) = (NonNull::dangling(), Vec::new());
        Arena {
            full_size,
            mode,
            chunks: Vec::new(),
            next,
            left: 0,
            free,
            bytes: 0,
            taken: 0,
            preparation: None,
        }
    }

    /// Reserves room for this many full-size blocks. Their pages are touched first, which takes a while, or, if the
    /// blocks are to be `filled` at once, by another thread meanwhile.
    pub(super) fn reserve(&mut self, blocks: usize, filled: bool) {
        let pages = match self.mode {
            MemoryMode::HugePages => Pages::map(self.full_size * blocks),
            MemoryMode::SmallPages => None,
        };
        match pages {
            Some(mut pages) => {
                if filled {
                    self.preparation = pages.prepare_meanwhile();
                } else {
                    pages.prepare();
                }
                self.add_pages(pages);
            }
            None => self.add_heap(blocks),
        }
    }

    /// Returns a separate zeroed block, to be released by [`Arena::release_single`].
    pub(super) fn single(&mut self, size: usize) -> NonNull<u8> {
        self.bytes += size;
        allocate(layout(size))
    }

    /// # Safety
    /// The block must come from `single` with this size, and must no longer be used.
    pub(super) unsafe fn release_single(&mut self, block: NonNull<u8>, size: usize) {
        self.bytes -= size;
        // SAFETY: as the caller promises.
        unsafe { dealloc(block.as_ptr(), layout(size)) }
    }

    /// Returns a zeroed block for a full-size segment; it lives as long as the arena.
    pub(super) fn full(&mut self) -> NonNull<u8> {
        if let Some(block) = self.free.pop() {
            return block;
        }
        if self.left == 0 {
            self.add_chunk();
        }
        let block = self.next;
        self.left -= 1;
        if let Some(Chunk::Pages(pages)) = self.chunks.last() {
            pages.fault_in(block, self.full_size);
        }
        // SAFETY: the chunk has room for the block returned and those left.
        self.next = unsafe { block.add(self.full_size) };
        block
    }

    /// # Safety
    /// The block must come from `full`, and must no longer be used.
    pub(super) unsafe fn release_full(&mut self, block: NonNull<u8>) {
        // SAFETY: as the caller promises; zeroed, because `full` hands out zeroed blocks.
        unsafe { block.write_bytes(0, self.full_size) };
        self.free.push(block);
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.bytes
    }

    fn add_chunk(&mut self) {
        let blocks = 1 << (2 * self.chunks.len()).min(16);
        if blocks * self.full_size <= HEAP_CHUNK_MAX || blocks == 1 {
            return self.add_heap(blocks);
        }
        if self.mode == MemoryMode::HugePages && self.full_size <= CHUNK_SIZE / 2 {
            // A table grows by a factor in a burst: half of what it has taken is kept ready, up to a quarter of what it
            // has.
            self.taken += 1;
            let ahead = 1 + (self.taken / 2).min(self.bytes / CHUNK_SIZE / 4);
            let prepared = chunk_pool::take(ahead);
            if let Some(pages) = prepared.or_else(|| Pages::map(CHUNK_SIZE)) {
                return self.add_pages(pages);
            }
        }
        self.add_heap((CHUNK_SIZE / self.full_size).max(1));
    }

    fn add_heap(&mut self, blocks: usize) {
        let layout = layout(self.full_size * blocks);
        let start = allocate(layout);
        self.chunks.push(Chunk::Heap(start, layout));
        (self.next, self.left) = (start, blocks);
        self.bytes += layout.size();
    }

    fn add_pages(&mut self, pages: Pages) {
        (self.next, self.left) = (pages.start(), pages.size() / self.full_size);
        self.bytes += pages.size();
        self.chunks.push(Chunk::Pages(pages));
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        if let Some(preparation) = self.preparation.take() {
            preparation.join();
        }
        for chunk in self.chunks.drain(..) {
            match chunk {
                // SAFETY: allocated in `add_heap` with this layout; the table's segments are gone.
                Chunk::Heap(start, layout) => unsafe { dealloc(start.as_ptr(), layout) },
                Chunk::Pages(pages) => chunk_pool::give_back(pages),
            }
        }
    }
}
