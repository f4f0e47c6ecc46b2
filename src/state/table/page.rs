//! Anonymous pages straight from the system, in whole huge pages, to be prepared when there is
//! time.

#![expect(
    unsafe_code,
    reason = "maps and unmaps memory, and owns it across threads"
)]

use std::ptr::NonNull;

/// The size and alignment of a chunk: one huge page.
pub(super) const CHUNK_SIZE: usize = 2 << 20;

/// Zeroed pages of our own, aligned to [`CHUNK_SIZE`].
pub(super) struct Pages {
    start: NonNull<u8>,
    size: usize,
}

// SAFETY: the pages have no other owner.
unsafe impl Send for Pages {}

impl Pages {
    pub(super) fn start(&self) -> NonNull<u8> {
        self.start
    }

    pub(super) fn size(&self) -> usize {
        self.size
    }
}

#[cfg(all(target_os = "linux", not(miri)))]
impl Pages {
    /// Maps at least `size` bytes, in small pages that come as they are touched. `None` when the
    /// system has none to give.
    pub(super) fn map(size: usize) -> Option<Self> {
        let size = size.checked_next_multiple_of(CHUNK_SIZE)?;
        let (protection, flags) = (
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
        );
        let mapped = size.checked_add(CHUNK_SIZE)?;
        // SAFETY: a new anonymous mapping touches no memory that exists.
        let base = unsafe { libc::mmap(std::ptr::null_mut(), mapped, protection, flags, -1, 0) };
        if base == libc::MAP_FAILED {
            return None;
        }
        let head = base.align_offset(CHUNK_SIZE);
        // SAFETY: what is cut off lies inside the mapping, and nobody has seen it yet; the rest is
        // advised about only.
        unsafe {
            let start = base.byte_add(head);
            if head > 0 {
                libc::munmap(base, head);
            }
            if head < CHUNK_SIZE {
                libc::munmap(start.byte_add(size), CHUNK_SIZE - head);
            }
            libc::madvise(start, size, libc::MADV_NOHUGEPAGE);
            NonNull::new(start.cast()).map(|start| Pages { start, size })
        }
    }

    /// Asks for huge pages and touches them all: milliseconds for each.
    pub(super) fn prepare(&mut self) {
        // SAFETY: the pages are ours; advice and populating do not change what they hold. Where the
        // system cannot populate, the loop touches.
        unsafe {
            let start = self.start.as_ptr();
            libc::madvise(start.cast(), self.size, libc::MADV_HUGEPAGE);
            if libc::madvise(start.cast(), self.size, libc::MADV_POPULATE_WRITE) != 0 {
                for offset in (0..self.size).step_by(4096) {
                    start.add(offset).write_volatile(0);
                }
            }
        }
    }
}

#[cfg(all(target_os = "linux", not(miri)))]
impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: mapped in `map` with this start and size; the owner is done with it.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.size) };
    }
}

#[cfg(not(all(target_os = "linux", not(miri))))]
impl Pages {
    /// Only Linux is asked for pages: elsewhere tables live on the heap.
    pub(super) fn map(_size: usize) -> Option<Self> {
        None
    }

    pub(super) fn prepare(&mut self) {}
}

/// Lets the calling thread run wherever the process's first thread may: a helper that a pinned
/// worker happened to start must not stay on the worker's core.
pub(super) fn unpin() {
    #[cfg(all(target_os = "linux", not(miri)))]
    // SAFETY: both calls read or write this local set only, and its size is given.
    unsafe {
        let mut cores: libc::cpu_set_t = std::mem::zeroed();
        let process = libc::getpid();
        if libc::sched_getaffinity(process, size_of_val(&cores), &raw mut cores) == 0 {
            libc::sched_setaffinity(0, size_of_val(&cores), &raw const cores);
        }
    }
}
