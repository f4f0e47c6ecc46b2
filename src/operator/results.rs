//! The results of an operator, gathered into small batches.
//!
//! Producing a result from state waits for loads and takes branches; the operator downstream (a projection, an
//! exchange, a summing sink) often does neither. In one loop the former would hold up the latter. Apart, the compiler
//! can vectorise the latter, and neither takes registers from the other (Boncz, Zukowski, Nes: MonetDB/X100:
//! Hyper-Pipelining Query Execution, CIDR 2005). Running sums of a thousand keys take a sixth less time.
#![expect(
    unsafe_code,
    reason = "an array that is filled as far as there are results"
)]

use std::mem::{self, MaybeUninit};
use std::ops::Range;
use std::{hint, ptr, slice};

use crate::time::Timestamp;

use super::{Push, RecordRun};

/// How many results are gathered: few enough for the L1 cache. With a quarter of that, vector loads would
/// read what narrower stores had only just written, which the processor cannot forward.
const ROOM: usize = 64;

/// Some results with their timestamps.
pub(super) struct Results<'a, R> {
    gathered: &'a mut Room<R>,
    /// How many there are, from the first. No out-of-line call sees it, so that it stays in a register during the loop.
    len: usize,
    /// At how many they are handed on.
    limit: usize,
}

/// Where results are gathered.
pub(super) struct Room<R> {
    results: [MaybeUninit<R>; ROOM],
    times: [Timestamp; ROOM],
}

impl<'a, R> Results<'a, R> {
    #[inline(always)]
    pub(super) fn new(gathered: &'a mut Room<R>, next: &impl Push<R>) -> Self {
        Results {
            gathered,
            len: 0,
            limit: if next.takes_singly() { 1 } else { ROOM },
        }
    }

    /// Adds a result, handing all of them to `next` if that are enough; returns whether `next` is ready as far as is
    /// known. The timestamp may be omitted if no result has one, which saves a store each.
    #[inline(always)]
    pub(super) fn push(
        &mut self,
        result: R,
        at: Option<Timestamp>,
        next: &mut impl Push<R>,
    ) -> bool {
        let place = self.len;
        // SAFETY: `len` starts below `limit`, which is at most `ROOM`, and whenever it reached `limit`, all results were
        // handed on and it became 0.
        unsafe { hint::assert_unchecked(place < ROOM) };
        self.gathered.results[place].write(result);
        if let Some(at) = at {
            self.gathered.times[place] = at;
        }
        self.len = place + 1;
        self.len < self.limit || self.hand_on(next)
    }

    /// Pushes all results into `next`, whether or not it is still ready: they are no more than one record may produce
    /// elsewhere, and a chain that has to be asked before each gets one. Returns whether `next` is ready afterwards.
    #[inline(always)]
    pub(super) fn hand_on(&mut self, next: &mut impl Push<R>) -> bool {
        // SAFETY: the first `len` results have been written.
        let ready = unsafe { self.gathered.hand_on(self.len, next) };
        self.clear();
        ready
    }

    #[inline(always)]
    fn clear(&mut self) {
        let len = mem::take(&mut self.len);
        let results = self.gathered.results.as_mut_ptr().cast::<R>();
        // SAFETY: the first `len` results have been written, and nobody reads them again.
        unsafe { ptr::drop_in_place(ptr::slice_from_raw_parts_mut(results, len)) };
    }
}

impl<R> Room<R> {
    #[inline(always)]
    pub(super) fn new() -> Self {
        Room {
            results: [const { MaybeUninit::uninit() }; ROOM],
            times: [Timestamp::MIN; ROOM],
        }
    }

    /// # Safety
    /// The first `len` results must have been written.
    #[inline(never)]
    unsafe fn hand_on(&self, len: usize, next: &mut impl Push<R>) -> bool {
        // SAFETY: guaranteed by the caller.
        let results = unsafe { slice::from_raw_parts(self.results.as_ptr().cast::<R>(), len) };
        let run = Gathered {
            results,
            times: &self.times[..len],
        };
        let pushed = next.push_run(&run, len);
        if pushed < len {
            for (result, at) in results.iter().zip(&self.times).skip(pushed) {
                next.push(result, *at);
            }
        }
        next.ready()
    }
}

impl<R> Drop for Results<'_, R> {
    #[inline(always)]
    fn drop(&mut self) {
        self.clear();
    }
}

/// Results being handed on.
struct Gathered<'a, R> {
    results: &'a [R],
    times: &'a [Timestamp],
}

impl<R> RecordRun<R> for Gathered<'_, R> {
    #[inline(always)]
    fn known(&self) -> usize {
        self.results.len()
    }

    #[inline(always)]
    fn part<'b>(
        &'b self,
        numbers: Range<usize>,
    ) -> impl ExactSizeIterator<Item = (&'b R, Timestamp)>
    where
        R: 'b,
    {
        let results = self.results[numbers.clone()].iter();
        results.zip(self.times[numbers].iter().copied())
    }
}
