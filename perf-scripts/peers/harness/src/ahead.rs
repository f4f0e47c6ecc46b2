//! Fetching inputs into the cache ahead of their use, as Thalweg's sources do.
//!
//! The hardware prefetcher stops at the end of each page, and where a loop also waits for state it does not keep ahead
//! within one.

/// The bytes of a page, at whose end the hardware prefetcher stops.
const PAGE: usize = 4096;
/// The bytes fetched of the beginning of a page: the hardware goes on from there.
const BEGINNING: usize = 512;
const LINE: usize = 64;

/// The parts of `records` page by page; as each is handed out, the beginning of the page behind it is fetched. For loops
/// that do little with a record.
#[inline(always)]
pub fn pages<T>(mut records: &[T]) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        if records.is_empty() {
            return None;
        }
        let begin = records.as_ptr().cast::<u8>();
        let left = PAGE - begin.addr() % PAGE;
        for at in (0..BEGINNING).step_by(LINE) {
            fetch(begin.wrapping_add(left + at));
        }
        let count = left.div_ceil(size_of::<T>()).min(records.len());
        let (page, rest) = records.split_at(count);
        records = rest;
        Some(page)
    })
}

/// `records`, each of which fetches one behind it as it is handed out.
#[inline(always)]
pub fn ahead<T>(records: &[T]) -> impl Iterator<Item = &T> {
    records.iter().inspect(|record| fetch_after(*record))
}

/// Fetches what is half a page behind `record`. For loops that wait for state, and so may do so for every record.
#[inline(always)]
pub fn fetch_after<T>(record: &T) {
    fetch(
        std::ptr::from_ref(record)
            .cast::<u8>()
            .wrapping_add(PAGE / 2),
    );
}

/// Fetches the cache line at an address, which need not be valid.
#[inline(always)]
pub fn fetch<T>(address: *const T) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch reads nothing, whatever the address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(address.cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_all_records_in_order() {
        for count in [0, 1, 100, 5000] {
            let records: Vec<u64> = (0..count).collect();
            let all: Vec<u64> = pages(&records).flatten().copied().collect();
            assert_eq!(all, records);
        }
    }
}
