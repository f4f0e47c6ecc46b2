//! Prefetching of cache lines that are read later.

#![expect(unsafe_code, reason = "the processor's own instruction")]

/// The size of a cache line in bytes.
pub(crate) const LINE: usize = 64;

/// Prefetches `bytes` bytes from an address on, which need not be valid, a cache line at a time.
#[inline(always)]
pub(crate) fn prefetch_bytes<T>(address: *const T, bytes: usize) {
    for offset in (0..bytes).step_by(LINE) {
        prefetch(address.cast::<u8>().wrapping_add(offset));
    }
}

/// Prefetches the cache line at an address, which need not be valid: a prefetch reads nothing.
#[inline(always)]
pub(crate) fn prefetch<T>(address: *const T) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch reads nothing, and SSE is part of every x86-64.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(address.cast()) };
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    let _ = address;
}
