//! A run of records at hand: pushed one by one, looking ahead where that pays.
//!
//! ```text
//! records   … pushed ─── Near ───────────────── Far …
//!             i          i + 12                 i + 48
//!             taken      prefetched again       hashed, prefetched
//! ```
//! A key is hashed once, when the head first sees it.

use std::ops::Range;

use crate::record::KeyHash;
use crate::state::{Lookahead, prefetch, prefetch_bytes};
use crate::time::Timestamp;

use super::{Operator, Push};

/// How far ahead a head looks.
const FAR: usize = Lookahead::Far.distance();

/// A power of two above `FAR`.
const ROOM: usize = 64;

const _: () = assert!(FAR < ROOM);

/// With fewer records it is too late to look ahead.
const WORTHWHILE: usize = 32;

/// How many bytes beyond the record being read are prefetched: half a page.
const FETCHED: usize = 2048;

/// The size of a page in bytes.
const PAGE: usize = 4096;

/// How many bytes at the beginning of a page are prefetched.
const FETCHED_OF_PAGE: usize = 512;

/// Records that a head has at hand, numbered from 0.
pub trait RecordRun<V: ?Sized> {
    /// Returns the records with these numbers, which must exist, with their timestamps.
    fn part<'a>(
        &'a self,
        numbers: Range<usize>,
    ) -> impl ExactSizeIterator<Item = (&'a V, Timestamp)>
    where
        V: 'a;

    /// Returns how many records can be looked at: those of the run, and perhaps some that follow it.
    fn known(&self) -> usize;

    /// Returns the records with these numbers, which must be known. Override it if some of them follow the run.
    #[inline(always)]
    fn part_ahead<'a>(&'a self, numbers: Range<usize>) -> impl Iterator<Item = &'a V>
    where
        V: 'a,
    {
        self.part(numbers).map(|(record, _)| record)
    }
}

/// Returns whether looking ahead pays for `wanted` records of a run.
#[inline(always)]
pub(super) fn looks_ahead<V: ?Sized>(next: &impl Push<V>, wanted: usize) -> bool {
    pays(wanted) && next.looks_ahead()
}

/// Returns whether looking ahead may pay at all for `wanted` records.
#[inline(always)]
pub(super) const fn pays(wanted: usize) -> bool {
    wanted >= WORTHWHILE
}

/// Prefetches what lies half a page beyond a record being read. Records that arrive many at a time lie one after the
/// other, especially in a file; the hardware prefetcher reads ahead, but not beyond a page, and neither does it keep
/// ahead of a loop that waits for state, too.
#[inline(always)]
pub(super) fn fetch_behind<V: ?Sized>(record: &V) {
    prefetch(
        std::ptr::from_ref(record)
            .cast::<u8>()
            .wrapping_add(FETCHED),
    );
}

/// Prefetches the first half page of records that will be read after some others, behind which they do not lie.
#[inline(always)]
pub(crate) fn fetch_beginning<V>(records: &[V]) {
    prefetch_bytes(records.as_ptr(), FETCHED.min(size_of_val(records)));
}

/// Prefetches the beginning of the page after the one in which `records` begins; returns how many records begin in
/// the latter. The hardware prefetcher does the rest of a page, if the loop over the records is light.
#[inline(always)]
pub(super) fn fetch_next_page<V>(records: &[V]) -> usize {
    let begin = records.as_ptr().cast::<u8>();
    let left = PAGE - begin.addr() % PAGE;
    prefetch_bytes(begin.wrapping_add(left), FETCHED_OF_PAGE);
    left.div_ceil(size_of::<V>().max(1))
}

/// Has `push` push the first `wanted` records of a run while `next` is ready; returns how many.
#[inline(always)]
pub(super) fn push_while_ready<V: ?Sized, D: Operator>(
    next: &mut D,
    run: &impl RecordRun<V>,
    wanted: usize,
    mut push: impl FnMut(&mut D, &V, Timestamp),
) -> usize {
    let mut records = run.part(0..wanted);
    while next.ready()
        && let Some((record, at)) = records.next()
    {
        push(next, record, at);
    }
    wanted - records.len()
}

/// Pushes the first `wanted` records of a run while `next` is ready; returns how many.
#[inline(always)]
pub(super) fn push_each<V: ?Sized>(
    next: &mut impl Push<V>,
    run: &impl RecordRun<V>,
    wanted: usize,
) -> usize {
    push_while_ready(next, run, wanted, |next, record, at| {
        let hash = next.hash_ahead(record);
        next.push_hashed(record, at, hash);
    })
}

/// Like `push_each`, for an operator that computes the hashes itself, if it needs any.
#[inline(always)]
pub(super) fn push_unhashed<V: ?Sized>(
    next: &mut impl Push<V>,
    run: &impl RecordRun<V>,
    wanted: usize,
) -> usize {
    push_while_ready(next, run, wanted, |next, record, at| next.push(record, at))
}

/// Like `push_unhashed`, of what `map` makes of the records.
#[inline(always)]
pub(super) fn push_mapped<U: ?Sized, V>(
    next: &mut impl Push<V>,
    run: &impl RecordRun<U>,
    wanted: usize,
    mut map: impl FnMut(&U) -> V,
) -> usize {
    push_while_ready(next, run, wanted, |next, record, at| {
        next.push(&map(record), at);
    })
}

/// Like `push_each`, prefetching the state of the records that follow.
///
/// The compiler inlines the whole chain twice, here and in `push_each`, and must not do so anywhere else in a head:
/// chains of chains would take long to compile.
#[inline(always)]
pub(super) fn push_looking_ahead<V: ?Sized>(
    next: &mut impl Push<V>,
    run: &impl RecordRun<V>,
    wanted: usize,
) -> usize {
    let mut hashes = HashesAhead([KeyHash::default(); ROOM]);
    let mut ahead = run.part_ahead(0..run.known());
    for (index, record) in ahead.by_ref().take(FAR).enumerate() {
        hashes.look(next, index, record);
    }
    let mut index = 0;
    push_while_ready(next, run, wanted, |next, record, at| {
        if let Some(record) = ahead.next() {
            hashes.look(next, index + FAR, record);
        }
        let hash = hashes.take(next, index);
        next.push_hashed(record, at, hash);
        index += 1;
    })
}

/// The hashes of the records between the one being looked at and the one being pushed.
struct HashesAhead([KeyHash; ROOM]);

impl HashesAhead {
    /// Looks at `record`, which has the number `index`.
    #[inline(always)]
    fn look<V: ?Sized>(&mut self, next: &impl Push<V>, index: usize, record: &V) {
        let hash = next.hash_ahead(record);
        self.0[index % ROOM] = hash;
        next.prefetch(hash, Lookahead::Far);
    }

    /// Returns the hash of record number `index`, which is pushed now; prefetches a slightly later one
    /// for the second time.
    #[inline(always)]
    fn take<V: ?Sized>(&self, next: &impl Push<V>, index: usize) -> KeyHash {
        let near = self.0[(index + Lookahead::Near.distance()) % ROOM];
        next.prefetch(near, Lookahead::Near);
        self.0[index % ROOM]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_before_the_next_page_is_fetched_begins_in_one_page() {
        let records = vec![[0_u8; 24]; 1000];
        let page = |record: &[u8; 24]| std::ptr::from_ref(record).addr() / PAGE;
        let mut left = &records[..];
        while let Some(first) = left.first() {
            let count = fetch_next_page(left).min(left.len());
            let (read, rest) = left.split_at(count);
            assert!(read.iter().all(|record| page(record) == page(first)));
            assert!(rest.first().is_none_or(|next| page(next) > page(first)));
            left = rest;
        }
    }
}
