//! Pushes runs, with a look ahead at the run that follows.
//!
//! A chain looks ahead at the records at hand. If it saw those of one run only, the first records of every run
//! would have to wait for their state to come from memory. So it also sees past the run's end, into the next frame,
//! if that is published and holds records. A record with a frame of its own is a run of one.
#![expect(unsafe_code, reason = "reads records in place in the rings' frames")]

use std::ops::Range;

use crate::operator::{Push, RecordRun, on_stack};
use crate::record::{Records, RunReader, Wire, holds_records};
use crate::ring::{Frame, Frames};
use crate::time::Timestamp;

/// Pushes records of the next run, of which the first `within` have been pushed: at most `wanted`, and only while
/// `next` is ready. Returns how many it pushed, and how many there were. The frame is not consumed.
///
/// # Safety
/// The next frame [holds records](holds_records), and every frame that does so holds what a
/// [`RunWriter`](crate::record::RunWriter) of `V` gathered, or what `as_bytes` of a `V` returned.
#[inline(always)]
pub(super) unsafe fn push_next_run<V: Wire + ?Sized, D: Push<V>>(
    frames: &Frames<'_>,
    next: &mut D,
    within: usize,
    wanted: usize,
) -> (usize, usize) {
    let is_run = |frame: &Frame<'_>| holds_records::<V>(frame.header.kind());
    let mut upcoming = frames.upcoming().take_while(is_run).map(|frame| {
        // SAFETY: the caller's promise; frames are 16-byte aligned, and stay until the batch is released.
        unsafe { RunReader::<V>::new(frame.header, frame.payload) }
    });
    let Some(run) = upcoming.next() else {
        return (0, 0);
    };
    let run = run.after(within);
    let len = run.len();
    let behind = upcoming.next();
    let known = len + behind.as_ref().map_or(0, RunReader::len);
    let followed = Followed {
        behind: behind.unwrap_or_else(|| run.none()),
        run,
        len,
        known,
    };
    let wanted = wanted.min(len);
    let done = on_stack(next, |next| next.push_run(&followed, wanted));
    (done, len)
}

/// The rest of a run, and the run after it, which may be empty.
struct Followed<'a, V: ?Sized> {
    run: RunReader<'a, V>,
    behind: RunReader<'a, V>,
    len: usize,
    /// The number of records in both.
    known: usize,
}

impl<V: Wire + ?Sized> RecordRun<V> for Followed<'_, V> {
    #[inline(always)]
    fn part<'b>(
        &'b self,
        numbers: Range<usize>,
    ) -> impl ExactSizeIterator<Item = (&'b V, Timestamp)>
    where
        V: 'b,
    {
        self.run.part(numbers)
    }

    #[inline(always)]
    fn known(&self) -> usize {
        self.known
    }

    /// First those of the run, then those after it.
    #[inline(always)]
    fn part_ahead<'b>(&'b self, numbers: Range<usize>) -> impl Iterator<Item = &'b V>
    where
        V: 'b,
    {
        let own = numbers.start.min(self.len)..numbers.end.min(self.len);
        let behind = numbers.start.max(self.len) - self.len..numbers.end.max(self.len) - self.len;
        Ahead {
            records: self.run.part(own),
            behind: &self.behind,
            numbers: behind,
        }
    }
}

/// Records of a run, and then those with some numbers of the run behind it. A chain of two iterators is too much for the
/// compiler to inline it where records are taken one at a time.
struct Ahead<'a, V: ?Sized> {
    records: Records<'a, V>,
    behind: &'a RunReader<'a, V>,
    numbers: Range<usize>,
}

impl<'a, V: Wire + ?Sized> Iterator for Ahead<'a, V> {
    type Item = &'a V;

    #[inline(always)]
    fn next(&mut self) -> Option<&'a V> {
        loop {
            if let Some((record, _)) = self.records.next() {
                return Some(record);
            }
            if self.numbers.is_empty() {
                return None;
            }
            self.records = self.behind.part(std::mem::take(&mut self.numbers));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::operator::{Lookahead, Nothing, Operator, pass_on};
    use crate::record::{KeyHash, RunWriter};
    use crate::ring::{Consumer, RingOptions, ring};

    /// Remembers the number after the last record that it was shown, and the number after the last that it took.
    #[derive(Default)]
    struct Watcher {
        shown: Cell<u64>,
        taken: u64,
        next: Nothing,
    }

    impl Operator for Watcher {
        pass_on!(next: all);
    }

    impl Push<u64> for Watcher {
        fn push(&mut self, record: &u64, _at: Timestamp) {
            assert_eq!(*record, self.taken);
            self.taken += 1;
        }

        fn looks_ahead(&self) -> bool {
            true
        }

        fn hash_ahead(&self, record: &u64) -> KeyHash {
            self.shown.set(self.shown.get().max(record + 1));
            KeyHash(*record)
        }

        fn push_hashed(&mut self, record: &u64, at: Timestamp, hash: KeyHash) {
            assert_eq!(hash.0, *record);
            self.push(record, at);
        }
    }

    /// A ring with two runs of `len` numbers each, which count up from 0.
    fn two_runs(len: usize) -> Consumer {
        let (mut producer, consumer) = ring(RingOptions::new());
        for run in 0..2 {
            let mut writer = RunWriter::default();
            writer.begin(&0u64, Timestamp::MIN, len * size_of::<u64>());
            let mut numbers = (run * len as u64)..(run + 1) * len as u64;
            assert!(numbers.all(|number| writer.push(&number, Timestamp::MIN)));
            let (header, payload) = writer.end();
            let pushed = producer.push(header.kind(), header.aux(), header.time, payload);
            pushed.expect("there is room");
        }
        producer.publish();
        consumer
    }

    /// Requests every possible part of a run.
    #[derive(Default)]
    struct Reader(Nothing);

    impl Operator for Reader {
        pass_on!(0: all);
    }

    impl Push<u64> for Reader {
        fn push(&mut self, _record: &u64, _at: Timestamp) {
            unreachable!("runs are taken whole");
        }

        fn push_run(&mut self, run: &impl RecordRun<u64>, wanted: usize) -> usize {
            let first = run.part_ahead(0..1).next();
            let first = *first.expect("no run is empty");
            for (from, to) in (0..=run.known()).flat_map(|to| (0..=to).map(move |from| (from, to)))
            {
                let expected = first + from as u64..first + to as u64;
                assert!(run.part_ahead(from..to).copied().eq(expected));
            }
            wanted
        }
    }

    #[test]
    fn every_part_of_what_is_known_is_there_across_the_end_of_the_run() {
        let mut consumer = two_runs(9);
        let mut batch = consumer.read();
        let mut frames = batch.frames();
        for (within, done) in [(0, 9), (5, 4), (0, 9)] {
            // SAFETY: the ring holds runs of numbers only.
            let pushed =
                unsafe { push_next_run::<u64, _>(&frames, &mut Reader::default(), within, 99) };
            assert_eq!(pushed, (done, done));
            if within > 0 {
                frames.next();
            }
        }
    }

    #[test]
    fn a_run_is_pushed_with_a_look_at_the_beginning_of_the_next_one_if_there_is_one() {
        const LEN: usize = 100;
        const FAR: u64 = Lookahead::Far.distance() as u64;
        let mut consumer = two_runs(LEN);
        let (mut batch, mut watcher) = (consumer.read(), Watcher::default());
        let mut frames = batch.frames();
        let expected = [(0, 60, 60 + FAR), (60, 999, 100 + FAR), (0, 999, 200)];
        for (within, wanted, shown) in expected {
            // SAFETY: the ring holds runs of numbers only.
            let (done, len) =
                unsafe { push_next_run::<u64, _>(&frames, &mut watcher, within, wanted) };
            assert_eq!((done, len), (wanted.min(LEN - within), LEN - within));
            assert_eq!(watcher.shown.get(), shown);
            if done == len {
                frames.next();
            }
        }
        assert_eq!(watcher.taken, 200);
    }
}
