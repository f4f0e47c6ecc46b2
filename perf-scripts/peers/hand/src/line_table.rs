//! A table of sums made for more keys than a cache holds: a bucket is a cache line.
//!
//! ```text
//! line  | key 0 | key 1 | key 2 | key 3 | sum 0 | sum 1 | sum 2 | sum 3 |     64 bytes
//! ```
//! A key's line is its hash's place among all lines; a full line overflows into the next. So a lookup
//! touches one line, which can be fetched long before it is needed. The memory is asked for in huge
//! pages and touched before use. Room for all keys is made at once: the table does not grow.

use harness::fetch;
use memmap2::{Advice, MmapMut};

const KEYS: usize = 4;

/// One bucket. Keys are stored inverted, so that memory full of zeros is an empty table; the key whose
/// inverse is zero has a place of its own.
#[repr(C, align(64))]
#[derive(Clone, Copy)]
struct Line {
    keys: [u64; KEYS],
    sums: [u64; KEYS],
}

/// Sums per key.
pub(crate) struct LineTable {
    /// Holds `lines + 1` lines.
    memory: MmapMut,
    lines: usize,
    of_empty: u64,
}

/// The line of a key: one multiplication spreads it, another scales it down to the lines there are.
#[inline(always)]
fn line_of(key: u64, lines: usize) -> usize {
    let hash = key.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    ((u128::from(hash) * lines as u128) >> 64) as usize
}

impl LineTable {
    /// A table for `keys` keys, seven tenths full when it holds them all; its memory is in place.
    pub(crate) fn new(keys: usize) -> Self {
        let lines = (keys * 10 / 7).div_ceil(KEYS).max(64);
        let size = ((lines + 1) * size_of::<Line>()).next_multiple_of(2 << 20);
        let mut memory = MmapMut::map_anon(size).expect("memory for the table");
        // Small pages serve, only slower.
        let _ = memory.advise(Advice::HugePage);
        for page in memory.chunks_mut(4096) {
            page[0] = 0;
            std::hint::black_box(&mut page[0]);
        }
        LineTable {
            memory,
            lines,
            of_empty: 0,
        }
    }

    /// Fetches the line of `key` into the cache, ahead of its update.
    #[inline(always)]
    pub(crate) fn prefetch(&self, key: u64) {
        let at = line_of(key, self.lines) * size_of::<Line>();
        fetch(self.memory.as_ptr().wrapping_add(at));
    }

    /// Adds to the sum of `key` and gives the new sum.
    #[inline(always)]
    pub(crate) fn add(&mut self, key: u64, value: u64) -> u64 {
        let stored = !key;
        if stored == 0 {
            self.of_empty = self.of_empty.wrapping_add(value);
            return self.of_empty;
        }
        let base: *mut Line = self.memory.as_mut_ptr().cast();
        let mut at = line_of(key, self.lines);
        loop {
            // SAFETY: `at < lines`, a mapping is aligned to a page, and any bytes are a valid line.
            let line = unsafe { &mut *base.add(at) };
            let found = matching(&line.keys, stored);
            if found != 0 {
                let sum = &mut line.sums[(found.trailing_zeros() as usize) % KEYS];
                *sum = sum.wrapping_add(value);
                return *sum;
            }
            let empty = matching(&line.keys, 0);
            if empty != 0 {
                let free = (empty.trailing_zeros() as usize) % KEYS;
                line.keys[free] = stored;
                line.sums[free] = value;
                return value;
            }
            at = if at + 1 == self.lines { 0 } else { at + 1 };
        }
    }
}

/// A bit for each of the keys that equals `key`.
#[inline(always)]
fn matching(keys: &[u64; KEYS], key: u64) -> u32 {
    #[cfg(target_feature = "avx2")]
    {
        use std::arch::x86_64::{
            _mm256_castsi256_pd, _mm256_cmpeq_epi64, _mm256_loadu_si256, _mm256_movemask_pd,
            _mm256_set1_epi64x,
        };
        // SAFETY: the keys are 32 readable bytes, and the instructions are there.
        unsafe {
            let keys = _mm256_loadu_si256(keys.as_ptr().cast());
            let equal = _mm256_cmpeq_epi64(keys, _mm256_set1_epi64x(key as i64));
            _mm256_movemask_pd(_mm256_castsi256_pd(equal)) as u32
        }
    }
    #[cfg(not(target_feature = "avx2"))]
    {
        let equal = |slot: usize| u32::from(keys[slot] == key) << slot;
        equal(0) | equal(1) | equal(2) | equal(3)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_those_of_a_map() {
        let mut table = LineTable::new(3000);
        let mut map = std::collections::HashMap::new();
        for i in 0..30_000u64 {
            let key = match i % 3000 {
                0 => u64::MAX,
                1 => 0,
                other => harness::mix64(other),
            };
            let sum = map.entry(key).or_insert(0u64);
            *sum += i;
            assert_eq!(table.add(key, i), *sum);
        }
    }
}
