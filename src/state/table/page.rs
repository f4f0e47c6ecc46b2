//! Anonymous memory straight from the system, in whole huge pages, which are prepared ahead of use.

#![expect(
    unsafe_code,
    reason = "maps and unmaps memory, and owns it across threads"
)]

use std::mem::ManuallyDrop;
use std::ops::Range;
use std::ptr::NonNull;
use std::thread::JoinHandle;

/// The size and alignment of a chunk: one huge page.
pub(super) const CHUNK_SIZE: usize = 2 << 20;

/// The size of a small page; where the system's are larger, populating fails, and they are faulted in on demand.
#[cfg(all(target_os = "linux", not(miri)))]
const PAGE_SIZE: usize = 4096;

/// Zeroed pages that we own, aligned to [`CHUNK_SIZE`].
pub(super) struct Pages {
    start: NonNull<u8>,
    size: usize,
    /// Whether they are touched ahead of use.
    prepared: bool,
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

    /// Has the pages of a block faulted in together, unless they are prepared. One by one they would be read first, and
    /// then written, which takes two faults each, and an interrupt of every other core that runs this process.
    pub(super) fn fault_in(&self, block: NonNull<u8>, size: usize) {
        if !self.prepared {
            let offset = block.addr().get() - self.start.addr().get();
            self.populate(offset..offset + size);
        }
    }
}

#[cfg(all(target_os = "linux", not(miri)))]
impl Pages {
    /// Maps at least `size` bytes, in small pages that are faulted in on demand. `None` if the system has no memory
    /// left.
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
        // SAFETY: the parts cut off lie inside the mapping, and nobody has seen it yet; for the rest only advice is
        // given.
        unsafe {
            let start = base.byte_add(head);
            if head > 0 {
                libc::munmap(base, head);
            }
            if head < CHUNK_SIZE {
                libc::munmap(start.byte_add(size), CHUNK_SIZE - head);
            }
            libc::madvise(start, size, libc::MADV_NOHUGEPAGE);
            NonNull::new(start.cast()).map(|start| Pages {
                start,
                size,
                prepared: false,
            })
        }
    }

    /// Requests huge pages and touches them all, which takes milliseconds each.
    pub(super) fn prepare(&mut self) {
        self.advise();
        if !self.populate(0..self.size) {
            for offset in (0..self.size).step_by(PAGE_SIZE) {
                // SAFETY: a page of ours, which nobody uses yet.
                unsafe { self.start.add(offset).write_volatile(0) };
            }
        }
    }

    /// As `prepare`, but on another thread, from the last page to the first, while the pages are already in use. `None`
    /// if no thread is available: then pages are faulted in on demand. It must end before the pages are dropped.
    pub(super) fn prepare_meanwhile(&mut self) -> Option<Preparation> {
        self.advise();
        // The pages belong to somebody else: they must stay when the thread ends, or if there is none.
        let pages = ManuallyDrop::new(Pages {
            start: self.start,
            size: self.size,
            prepared: true,
        });
        let thread = std::thread::Builder::new().name("thalweg-pages".to_owned());
        let thread = thread.spawn(move || {
            unpin();
            let mut chunks = (0..pages.size).step_by(CHUNK_SIZE).rev();
            chunks.all(|offset| pages.populate(offset..offset + CHUNK_SIZE));
        });
        thread.ok().map(Preparation)
    }

    /// Advises the system to use huge pages, before all are touched.
    fn advise(&mut self) {
        self.prepared = true;
        // SAFETY: the pages are ours; advice does not change what they hold.
        unsafe { libc::madvise(self.start.as_ptr().cast(), self.size, libc::MADV_HUGEPAGE) };
    }

    /// Has the pages with these bytes faulted in. Returns `false` if the system cannot.
    fn populate(&self, range: Range<usize>) -> bool {
        debug_assert!(range.end <= self.size);
        let first = range.start & !(PAGE_SIZE - 1);
        // SAFETY: the range is part of pages that are mapped; populating does not change what they hold.
        let result = unsafe {
            let start = self.start.as_ptr().add(first);
            libc::madvise(start.cast(), range.end - first, libc::MADV_POPULATE_WRITE)
        };
        result == 0
    }
}

/// Pages that are being prepared.
pub(super) struct Preparation(JoinHandle<()>);

impl Preparation {
    /// Waits until the preparation ends.
    pub(super) fn join(self) {
        // The thread does not panic, and a panic would have no consequences.
        let _ = self.0.join();
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
    /// Only Linux provides pages: elsewhere tables live on the heap.
    pub(super) fn map(_size: usize) -> Option<Self> {
        None
    }

    pub(super) fn prepare(&mut self) {}

    pub(super) fn prepare_meanwhile(&mut self) -> Option<Preparation> {
        None
    }

    fn populate(&self, _range: Range<usize>) -> bool {
        false
    }
}

/// Lets the calling thread run on any core that the process's first thread may use: a helper that was started by a
/// pinned worker must not stay on the worker's core.
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

#[cfg(all(test, target_os = "linux", not(miri)))]
mod tests {
    use super::*;

    #[test]
    fn every_page_with_a_populated_byte_is_present_and_no_other() {
        let pages = Pages::map(CHUNK_SIZE).expect("memory for a chunk");
        // Linux before 5.14 cannot populate.
        if pages.populate(PAGE_SIZE + 1..2 * PAGE_SIZE + 1) {
            let mut present = [0; 4];
            let (start, size) = (pages.start.as_ptr().cast(), 4 * PAGE_SIZE);
            // SAFETY: the pages are mapped, and there is room for a byte about each.
            assert_eq!(0, unsafe {
                libc::mincore(start, size, present.as_mut_ptr())
            });
            assert_eq!([0, 1, 1, 0], present.map(|page| page & 1));
        }
    }
}
