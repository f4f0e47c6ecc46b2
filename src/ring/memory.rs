//! What the two ends of a ring share: its bytes, and a position and a flag for each side.
//!
//! ```text
//!  line 0   tail: bytes published so far    closed: the producer is gone     (producer writes)
//!  line 1   head: bytes released so far     closed: the consumer is gone     (consumer writes)
//!  line 2   where the bytes are                                              (nobody writes)
//! ```
//! Positions are byte totals since the ring was created and never decrease: `tail − head` is the content of the ring,
//! and full differs from empty without a spare byte. The bytes in `head..tail` belong to the consumer, all others to
//! the producer.
#![expect(unsafe_code, reason = "raw memory shared by two threads")]

use super::sync::{AtomicBool, AtomicU64};
use crossbeam_utils::CachePadded;
use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::ptr::NonNull;

/// Alignment of a ring's memory: two cache lines, which adjacent-line prefetchers fetch together.
const MEMORY_ALIGN: usize = 128;
/// The minimum number of bytes that one page fault maps.
const PAGE_SIZE: usize = 4096;

/// The state that one side publishes to the other.
#[derive(Debug)]
pub(super) struct Side {
    /// Bytes published (tail) or released (head) since the ring was made.
    pub(super) position: AtomicU64,
    /// Whether this side is gone.
    pub(super) closed: AtomicBool,
}

impl Side {
    fn new() -> CachePadded<Side> {
        CachePadded::new(Side {
            position: AtomicU64::new(0),
            closed: AtomicBool::new(false),
        })
    }
}

/// The state shared by the two ends.
#[derive(Debug)]
pub(super) struct Shared {
    /// Written by the producer.
    pub(super) tail: CachePadded<Side>,
    /// Written by the consumer.
    pub(super) head: CachePadded<Side>,
    /// The frames.
    pub(super) memory: Memory,
}

impl Shared {
    pub(super) fn new(capacity: usize) -> Self {
        Shared {
            tail: Side::new(),
            head: Side::new(),
            memory: Memory::new(capacity),
        }
    }
}

/// One zeroed allocation. Every byte in it is initialised from the start and only ever overwritten by initialised
/// bytes, so a claim can be returned as a plain `&mut [u8]`.
#[derive(Debug)]
pub(super) struct Memory {
    base: NonNull<u8>,
    layout: Layout,
    #[cfg(loom)]
    units: Vec<loom::cell::UnsafeCell<()>>,
}

// SAFETY: the memory is plain bytes owned by this value; which side may access which of them when is determined by the
// positions in `Shared`, and argued at each access.
unsafe impl Send for Memory {}
// SAFETY: as above; a shared reference exposes nothing but the address.
unsafe impl Sync for Memory {}

impl Memory {
    fn new(size: usize) -> Self {
        let layout = Layout::from_size_align(size, MEMORY_ALIGN)
            .unwrap_or_else(|_| panic!("a ring of {size} bytes"));
        assert!(size > 0);
        // SAFETY: the layout's size is not zero.
        let start = unsafe { alloc_zeroed(layout) };
        let Some(base) = NonNull::new(start) else {
            handle_alloc_error(layout)
        };
        for offset in (0..size).step_by(PAGE_SIZE) {
            // SAFETY: `offset < size`, and nobody else knows the allocation yet. The write is
            // volatile for its effect on the page table.
            unsafe { base.add(offset).write_volatile(0) };
        }
        Memory {
            base,
            layout,
            #[cfg(loom)]
            units: (0..size / crate::record::FRAME_ALIGN)
                .map(|_| loom::cell::UnsafeCell::new(()))
                .collect(),
        }
    }

    /// The first byte, aligned to 128.
    #[inline(always)]
    pub(super) fn base(&self) -> *mut u8 {
        self.base.as_ptr()
    }

    /// Tells loom that `size` bytes from `start` on are being written; otherwise does nothing.
    #[inline(always)]
    #[cfg_attr(not(loom), expect(unused_variables, reason = "only loom looks"))]
    pub(super) fn note_write(&self, start: *const u8, size: usize) {
        #[cfg(loom)]
        self.units(start, size)
            .iter()
            .for_each(|unit| unit.with_mut(|_| ()));
    }

    /// Tells loom that `size` bytes from `start` on are being read; otherwise does nothing.
    #[inline(always)]
    #[cfg_attr(not(loom), expect(unused_variables, reason = "only loom looks"))]
    pub(super) fn note_read(&self, start: *const u8, size: usize) {
        #[cfg(loom)]
        self.units(start, size)
            .iter()
            .for_each(|unit| unit.with(|_| ()));
    }

    #[cfg(loom)]
    fn units(&self, start: *const u8, size: usize) -> &[loom::cell::UnsafeCell<()>] {
        let first = (start.addr() - self.base.as_ptr().addr()) / crate::record::FRAME_ALIGN;
        &self.units[first..first + size / crate::record::FRAME_ALIGN]
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: allocated in `new` with this layout, and freed only here.
        unsafe { dealloc(self.base.as_ptr(), self.layout) };
    }
}
