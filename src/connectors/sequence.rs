//! A source of consecutive numbers.

use std::ops::Range;

use crate::operator::{BoxError, Collector, Push, Source, SourceReader, SourceStatus};

use super::splits::{Position, Progression, Progressions, deal, read_progressions};

/// How error messages refer to this source.
const NAME: &str = "a sequence";

/// Emits the numbers of a range, in order. Bounded. Flink's `fromSequence`.
///
/// Each of `p` subtasks emits one contiguous share, as in Flink: for a range of `n` numbers, subtask `i` emits those
/// from index `⌊n·i/p⌋` up to but excluding `⌊n·(i+1)/p⌋`. Shares differ in size by at most one. If the numbers must
/// advance together in all subtasks, as timestamps must, use a [`Generator`](super::Generator). The checkpointed
/// position is the rest of each share; a restored job redistributes those and emits them regardless of its own range.
#[derive(Clone, Debug)]
pub struct Sequence {
    range: Range<u64>,
}

impl Sequence {
    /// The numbers from the range's start up to but excluding its end; none if the range is empty or reversed.
    #[must_use]
    pub fn new(range: Range<u64>) -> Self {
        Sequence { range }
    }
}

/// The start of the share of subtask `index` of `parallelism`.
fn share_start(range: &Range<u64>, index: u32, parallelism: u32) -> u64 {
    let count = u128::from(range.end.saturating_sub(range.start));
    let before = count * u128::from(index) / u128::from(parallelism.max(1));
    // A share of a `u64` range lies within it.
    range.start + before as u64
}

impl Source for Sequence {
    type Out = u64;
    type Reader = SequenceReader;

    fn check_positions(&self) -> Result<(), BoxError> {
        Ok(())
    }

    fn reader(&self, index: u32, parallelism: u32) -> SequenceReader {
        let start = share_start(&self.range, index, parallelism);
        let end = share_start(&self.range, index + 1, parallelism);
        SequenceReader {
            index,
            parallelism,
            numbers: Progressions::one(Progression::new(start, 1, end)),
        }
    }
}

/// Emits one subtask's share of a [`Sequence`].
#[derive(Debug)]
pub struct SequenceReader {
    index: u32,
    parallelism: u32,
    /// The remaining numbers.
    numbers: Progressions,
}

impl SourceReader for SequenceReader {
    type Out = u64;

    fn poll<D: Push<u64>>(&mut self, out: &mut Collector<'_, D>) -> Result<SourceStatus, BoxError> {
        while let Some(number) = self.numbers.next_before(u64::MAX) {
            if !out.ready() {
                return Ok(SourceStatus::More);
            }
            out.emit(&number);
            self.numbers.step(1);
        }
        Ok(SourceStatus::Finished)
    }

    fn position(&mut self, _checkpoint: u64, positions: &mut Vec<Vec<u8>>) -> Result<(), BoxError> {
        let left = self.numbers.all();
        positions.extend(left.map(|part| part.write(Position::of(NAME)).end()));
        Ok(())
    }

    fn seek(&mut self, positions: &[Vec<u8>], readers: u32) -> Result<(), BoxError> {
        if readers > 0 {
            let left = read_progressions(NAME, positions)?;
            self.numbers = Progressions::of(deal(&left, self.index, self.parallelism));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connectors::test_chain::{Chain, cuts, emitted_in_attempts};
    use proptest::prelude::*;

    fn emitted(source: &Sequence, index: u32, parallelism: u32) -> Vec<u64> {
        let mut chain = Chain::new(|n: &u64| *n);
        chain.drain(&mut source.reader(index, parallelism));
        chain.values()
    }

    #[test]
    fn empty_and_reversed_ranges_emit_nothing() {
        assert!(emitted(&Sequence::new(5..5), 0, 1).is_empty());
        let reversed = Range { start: 5, end: 3 };
        assert!(emitted(&Sequence::new(reversed), 1, 2).is_empty());
    }

    #[test]
    fn the_largest_range_is_shared_without_overflow() {
        let last = Sequence::new(0..u64::MAX).reader(2, 3);
        let last = last.numbers.current();
        assert_eq!((last.next, last.end), (u64::MAX / 3 * 2, u64::MAX));
    }

    proptest! {
        #[test]
        fn every_number_is_emitted_once_whatever_is_restored_where(
            count in 0..500_u64, attempts in cuts(),
        ) {
            let source = Sequence::new(7..7 + count);
            let emitted = emitted_in_attempts(&source, |n| *n, &attempts);
            prop_assert_eq!(emitted, (7..7 + count).collect::<Vec<_>>());
        }

        #[test]
        fn shares_are_contiguous_and_cover_the_range_once(
            start in 0..1000_u64, count in 0..500_u64, parallelism in 1..9_u32,
        ) {
            let source = Sequence::new(start..start + count);
            let shares = (0..parallelism).map(|index| emitted(&source, index, parallelism));
            let shares = shares.collect::<Vec<_>>();
            let sizes = shares.iter().map(Vec::len);
            prop_assert!(sizes.clone().max().unwrap() - sizes.min().unwrap() <= 1);
            prop_assert_eq!(shares.concat(), (start..start + count).collect::<Vec<_>>());
        }
    }
}
