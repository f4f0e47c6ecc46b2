//! Memory for tables that are sized before the clock starts, and so are to be in place by then.

use std::alloc::Layout;
use std::ptr::NonNull;

use allocator_api2::alloc::{AllocError, Allocator, Global};

const HUGE_PAGE_BYTES: usize = 2 << 20;
const PAGE_BYTES: usize = 4096;

/// Memory in huge pages, if the system has them, every one of which has been touched when it is handed
/// out: using it faults nothing in.
#[derive(Clone, Copy, Debug, Default)]
pub struct HugePages;

impl HugePages {
    /// The layout of what is asked for: large memory begins with a huge page.
    fn aligned(layout: Layout) -> Layout {
        if layout.size() < HUGE_PAGE_BYTES {
            return layout;
        }
        layout
            .align_to(HUGE_PAGE_BYTES)
            .expect("tables are far smaller than the address space")
    }
}

// SAFETY: it is the global allocator's memory, given back with the layout that it was asked for with.
unsafe impl Allocator for HugePages {
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        let layout = HugePages::aligned(layout);
        let memory = Global.allocate(layout)?;
        let start = memory.cast::<u8>().as_ptr();
        if layout.size() >= HUGE_PAGE_BYTES {
            // Small pages serve, only slower.
            // SAFETY: advice on memory that is this allocation's own changes no byte of it.
            unsafe { libc::madvise(start.cast(), layout.size(), libc::MADV_HUGEPAGE) };
        }
        for at in (0..layout.size()).step_by(PAGE_BYTES) {
            // SAFETY: it is within the allocation, which nobody else knows of yet.
            unsafe { start.add(at).write_volatile(0) };
        }
        Ok(memory)
    }

    unsafe fn deallocate(&self, start: NonNull<u8>, layout: Layout) {
        // SAFETY: the caller gives back what `allocate` got from there with this layout.
        unsafe { Global.deallocate(start, HugePages::aligned(layout)) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_memory_begins_with_a_huge_page() {
        for size in [16, HUGE_PAGE_BYTES - 1, HUGE_PAGE_BYTES, 5_000_000] {
            let layout = Layout::from_size_align(size, 16).unwrap();
            let memory = HugePages.allocate(layout).unwrap();
            let start = memory.cast::<u8>();
            assert!(memory.len() >= size);
            if size >= HUGE_PAGE_BYTES {
                assert_eq!(start.as_ptr() as usize % HUGE_PAGE_BYTES, 0);
            }
            // SAFETY: it comes from there, with this layout.
            unsafe { HugePages.deallocate(start, layout) };
        }
    }
}
