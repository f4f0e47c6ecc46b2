//! Where the blocks of segments come from.

#![expect(unsafe_code, reason = "allocates and frees raw memory")]

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::ptr::NonNull;

use super::segment::BLOCK_ALIGN;

/// Which pages a table asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MemoryMode {
    /// Huge pages, once the table is large enough to use them.
    #[default]
    HugePages,
    /// The allocator's.
    SmallPages,
}

const BLOCKS_PER_CHUNK_MAX: usize = 64;

/// The memory of one table.
pub(super) struct Arena {
    full_size: usize,
    chunks: Vec<(NonNull<u8>, Layout)>,
    next: Option<NonNull<u8>>,
    left: usize,
    free: Vec<NonNull<u8>>,
    small_bytes: usize,
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
    pub(super) fn new(full_size: usize) -> Self {
        Arena {
            full_size,
            chunks: Vec::new(),
            next: None,
            left: 0,
            free: Vec::new(),
            small_bytes: 0,
        }
    }

    /// A zeroed block of its own size class: freed by [`Arena::release_small`].
    pub(super) fn small(&mut self, size: usize) -> NonNull<u8> {
        self.small_bytes += size;
        allocate(layout(size))
    }

    /// # Safety
    /// The block came from `small` with this size, and nothing uses it any more.
    pub(super) unsafe fn release_small(&mut self, block: NonNull<u8>, size: usize) {
        self.small_bytes -= size;
        // SAFETY: as the caller promises.
        unsafe { dealloc(block.as_ptr(), layout(size)) }
    }

    /// A zeroed block for a segment of full size: lives as long as the arena.
    pub(super) fn full(&mut self) -> NonNull<u8> {
        if let Some(block) = self.free.pop() {
            return block;
        }
        if self.left == 0 {
            let blocks = (1 << (2 * self.chunks.len()).min(32)).min(BLOCKS_PER_CHUNK_MAX);
            let layout = layout(self.full_size * blocks);
            let chunk = allocate(layout);
            self.chunks.push((chunk, layout));
            self.next = Some(chunk);
            self.left = blocks;
        }
        let block = self.next.expect("a chunk with room");
        self.left -= 1;
        // SAFETY: the chunk has room for the block given out and those left.
        self.next = Some(unsafe { block.add(self.full_size) });
        block
    }

    /// # Safety
    /// The block came from `full`, and nothing uses it any more.
    pub(super) unsafe fn release_full(&mut self, block: NonNull<u8>) {
        // SAFETY: as the caller promises; zeroed, because `full` hands out zeroed blocks.
        unsafe { block.write_bytes(0, self.full_size) };
        self.free.push(block);
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.small_bytes
            + self
                .chunks
                .iter()
                .map(|(_, layout)| layout.size())
                .sum::<usize>()
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        for &(chunk, layout) in &self.chunks {
            // SAFETY: allocated in `full` with this layout; the table's segments are gone.
            unsafe { dealloc(chunk.as_ptr(), layout) }
        }
    }
}
