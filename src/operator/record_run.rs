//! A run of records at hand: pushed one by one, looking ahead where that pays.
//!
//! ```text
//! records   … pushed ─── Near ───────────────── Far …
//!             i          i + 12                 i + 48
//!             taken      prefetched again       hashed, prefetched
//! ```
//! A key is hashed once, where the head sees it first.

use std::ops::Range;

use crate::record::KeyHash;
use crate::state::{Lookahead, prefetch};
use crate::time::Timestamp;

use super::{Operator, Push};

/// How far a head looks.
const FAR: usize = Lookahead::Far.distance();

/// A power of two above that.
const ROOM: usize = 64;

const _: () = assert!(FAR < ROOM);

/// With fewer records it is too late to look ahead.
const WORTHWHILE: usize = 32;

/// How many bytes behind a record that is read another one is asked for: half a page.
const FETCHED: usize = 2048;

/// Records that a head has at hand, numbered from 0.
pub trait RecordRun<V: ?Sized> {
    /// Whether any of them may have one: known when the loop over them is compiled, or `true`.
    #[inline(always)]
    fn may_have_times(&self) -> bool {
        true
    }

    /// The records of these numbers, which there are, with their timestamps.
    fn part<'a>(
        &'a self,
        numbers: Range<usize>,
    ) -> impl ExactSizeIterator<Item = (&'a V, Timestamp)>
    where
        V: 'a;

    /// How many can be looked at: those of the run, and perhaps some behind it.
    fn known(&self) -> usize;

    /// Those of these numbers, which can be looked at. To be overridden where some of them stand behind the run.
    #[inline(always)]
    fn part_ahead<'a>(&'a self, numbers: Range<usize>) -> impl Iterator<Item = &'a V>
    where
        V: 'a,
    {
        self.part(numbers).map(|(record, _)| record)
    }
}

/// Whether looking ahead pays, for so many records of a run.
#[inline(always)]
pub(super) fn looks_ahead<V: ?Sized>(next: &impl Push<V>, wanted: usize) -> bool {
    pays(wanted) && next.looks_ahead()
}

/// Whether looking ahead may pay at all, for so many records.
#[inline(always)]
pub(super) const fn pays(wanted: usize) -> bool {
    wanted >= WORTHWHILE
}

/// Asks for what stands half a page behind a record that is read. Records that come many at a time stand one behind the
/// other, in a file above all; the processor goes ahead by itself, but not beyond a page, and a loop of a few instructions
/// is at the page's end before the next one has come.
#[inline(always)]
pub(crate) fn fetch_behind<V: ?Sized>(record: &V) {
    prefetch(
        std::ptr::from_ref(record)
            .cast::<u8>()
            .wrapping_add(FETCHED),
    );
}

/// Has `push` push the first `wanted` records of a run while `next` is ready; says how many.
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

/// Pushes the first `wanted` records of a run while `next` is ready; says how many.
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

/// As `push_each`, for an operator that finds the hashes by itself, if it wants any.
#[inline(always)]
pub(super) fn push_unhashed<V: ?Sized>(
    next: &mut impl Push<V>,
    run: &impl RecordRun<V>,
    wanted: usize,
) -> usize {
    push_while_ready(next, run, wanted, |next, record, at| next.push(record, at))
}

/// As `push_each`, and has state fetched for those that follow.
///
/// The compiler writes the whole chain out twice, here and in `push_each`, and should at no other place of a head: chains
/// of chains would take their time to compile.
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

/// The hashes of the records between the one that is looked at and the one that is pushed.
struct HashesAhead([KeyHash; ROOM]);

impl HashesAhead {
    /// Looks at `record`, which is the one of number `index`.
    #[inline(always)]
    fn look<V: ?Sized>(&mut self, next: &impl Push<V>, index: usize, record: &V) {
        let hash = next.hash_ahead(record);
        self.0[index % ROOM] = hash;
        next.prefetch(hash, Lookahead::Far);
    }

    /// The hash of the record of number `index`, which is pushed now; one not far behind it is fetched
    /// for the second time.
    #[inline(always)]
    fn take<V: ?Sized>(&self, next: &impl Push<V>, index: usize) -> KeyHash {
        let near = self.0[(index + Lookahead::Near.distance()) % ROOM];
        next.prefetch(near, Lookahead::Near);
        self.0[index % ROOM]
    }
}
