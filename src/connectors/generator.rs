//! A source that computes its records from their index.

use crate::operator::{BoxError, Collector, Push, Source, SourceReader, SourceStatus};

use super::pacer::Pacer;
use super::splits::{Position, Progression, Progressions, deal, read_progressions};

/// How error messages refer to this source.
const NAME: &str = "a generator";

/// Emits `function(0)`, `function(1)`, …, endlessly or up to a count, as fast as possible or at a rate. Flink's
/// `DataGeneratorSource`.
///
/// Subtask `i` of `p` emits the records `i`, `i + p`, `i + 2p` …, so that all subtasks advance together. Count and
/// rate apply to all subtasks together. The checkpointed position is the remainder of each such progression; replay
/// requires the function to return the same record for the same index. A restored job may have a different count: the
/// indices below it that were not emitted before are emitted.
///
/// ```
/// use thalweg::connectors::Generator;
///
/// let ticks = Generator::new(|index| index % 100).count(1_000_000).rate(50_000);
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Generator<F> {
    function: F,
    count: Option<u64>,
    pacer: Option<Pacer>,
}

impl<F> Generator<F> {
    /// A source of `function(index)` for every index from 0. Unbounded.
    pub fn new<T>(function: F) -> Self
    where
        F: Fn(u64) -> T + Clone + Send + Sync + 'static,
    {
        Generator {
            function,
            count: None,
            pacer: None,
        }
    }

    /// Ends after `records` records, which makes the source bounded.
    pub fn count(mut self, records: u64) -> Self {
        self.count = Some(records);
        self
    }

    /// Emits `records_per_second` on an open-loop schedule, see [`Pacer`].
    ///
    /// # Panics
    /// If the rate is zero.
    pub fn rate(mut self, records_per_second: u64) -> Self {
        self.pacer = Some(Pacer::per_second(records_per_second));
        self
    }
}

impl<T, F> Source for Generator<F>
where
    T: 'static,
    F: Fn(u64) -> T + Clone + Send + Sync + 'static,
{
    type Out = T;
    type Reader = GeneratorReader<F>;

    fn is_bounded(&self) -> bool {
        self.count.is_some()
    }

    fn check_positions(&self) -> Result<(), BoxError> {
        Ok(())
    }

    fn reader(&self, index: u32, parallelism: u32) -> GeneratorReader<F> {
        GeneratorReader {
            function: self.function.clone(),
            index,
            parallelism,
            left: Progressions::one(Progression::new(
                u64::from(index),
                u64::from(parallelism),
                self.count.unwrap_or(u64::MAX),
            )),
            end: self.count.unwrap_or(u64::MAX),
            pacer: self.pacer,
            first: 0,
        }
    }
}

/// Emits one subtask's records of a [`Generator`].
#[derive(Debug)]
pub struct GeneratorReader<F> {
    function: F,
    index: u32,
    parallelism: u32,
    /// The remaining indices.
    left: Progressions,
    end: u64,
    pacer: Option<Pacer>,
    /// The index at which the schedule starts, the same in all readers.
    first: u64,
}

impl<T, F> SourceReader for GeneratorReader<F>
where
    T: 'static,
    F: Fn(u64) -> T + Send + 'static,
{
    type Out = T;

    fn poll<D: Push<T>>(&mut self, out: &mut Collector<'_, D>) -> Result<SourceStatus, BoxError> {
        let due = match &mut self.pacer {
            Some(pacer) => pacer.due(self.first, out.now()),
            None => self.end,
        };
        while let Some(index) = self.left.next_before(due) {
            if !out.ready() {
                return Ok(SourceStatus::More);
            }
            out.emit(&(self.function)(index));
            self.left.step(1);
        }
        Ok(match &self.pacer {
            _ if self.left.is_done() => SourceStatus::Finished,
            Some(pacer) => SourceStatus::Idle(Some(pacer.deadline(self.left.current().next))),
            None => SourceStatus::More,
        })
    }

    fn position(&mut self, _checkpoint: u64, positions: &mut Vec<Vec<u8>>) -> Result<(), BoxError> {
        let left = self.left.all();
        positions.extend(left.map(|part| part.write(Position::of(NAME)).end()));
        Ok(())
    }

    fn seek(&mut self, positions: &[Vec<u8>], readers: u32) -> Result<(), BoxError> {
        if readers > 0 {
            let mut left = read_progressions(NAME, positions)?;
            left.iter_mut().for_each(|part| part.end = self.end);
            self.first = left.iter().map(|part| part.next).min().unwrap_or(0);
            self.left = Progressions::of(deal(&left, self.index, self.parallelism));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connectors::test_chain::{Chain, cuts, emitted_in_attempts};
    use crate::time::{Timestamp, millis};
    use proptest::prelude::*;

    #[test]
    fn subtasks_emit_every_index_once() {
        let source = Generator::new(|index| index * 10).count(7);
        let mut shares = Vec::new();
        for index in 0..3 {
            let mut chain = Chain::new(|n: &u64| *n);
            chain.drain(&mut source.reader(index, 3));
            shares.push(chain.values());
        }
        assert_eq!(shares, [vec![0, 30, 60], vec![10, 40], vec![20, 50]]);
    }

    proptest! {
        #[test]
        fn every_index_is_emitted_once_whatever_is_restored_where(
            count in 0..500_u64, attempts in cuts(),
        ) {
            let source = Generator::new(|index| index * 3).count(count);
            let emitted = emitted_in_attempts(&source, |n| n / 3, &attempts);
            prop_assert_eq!(emitted, (0..count).collect::<Vec<_>>());
        }
    }

    #[test]
    fn restored_schedule_starts_where_it_was_and_the_count_may_grow() {
        let mut reader = Generator::new(|index| index).count(10).reader(0, 1);
        let mut chain = Chain::new(|n: &u64| *n);
        chain.drain(&mut reader);
        chain.take();
        let mut positions = Vec::new();
        reader.position(1, &mut positions).unwrap();
        let mut reader = Generator::new(|index| index)
            .count(15)
            .rate(1000)
            .reader(0, 1);
        reader.seek(&positions, 1).unwrap();
        let at = |ms| SourceStatus::Idle(Some(Timestamp::from_millis(ms)));
        assert_eq!(chain.poll(&mut reader), at(1));
        assert_eq!(chain.values(), [10]);
    }

    #[test]
    fn source_without_a_count_is_unbounded_and_stops_by_the_budget() {
        let source = Generator::new(|index| index);
        assert!(!source.is_bounded());
        let mut chain = Chain::new(|n: &u64| *n);
        let mut reader = source.reader(0, 1);
        assert_eq!(chain.poll(&mut reader), SourceStatus::More);
        assert_eq!(chain.values().len() as u64, reader.left.current().next);
        assert!(reader.left.current().next > 0);
    }

    #[test]
    fn rate_is_kept_over_all_subtasks_and_lost_time_is_made_up_for() {
        let source = Generator::new(|index| index).count(9).rate(1000);
        let mut readers = [source.reader(0, 2), source.reader(1, 2)];
        let mut chain = Chain::new(|n: &u64| *n);
        let at = |ms| SourceStatus::Idle(Some(Timestamp::from_millis(ms)));

        assert_eq!(chain.poll(&mut readers[0]), at(2));
        assert_eq!(chain.poll(&mut readers[1]), at(1));
        assert_eq!(chain.values(), [0]);
        chain.clock.advance(millis(2));
        assert_eq!(chain.poll(&mut readers[1]), at(3));
        assert_eq!(chain.poll(&mut readers[0]), at(4));
        chain.clock.advance(millis(4));
        assert_eq!(chain.poll(&mut readers[0]), at(8));
        assert_eq!(chain.poll(&mut readers[1]), at(7));
        assert_eq!(chain.values(), [0, 1, 2, 4, 6, 3, 5]);
        chain.clock.advance(millis(100));
        assert_eq!(chain.poll(&mut readers[0]), SourceStatus::Finished);
        assert_eq!(chain.poll(&mut readers[1]), SourceStatus::Finished);
        assert_eq!(chain.values().len(), 9);
    }

    #[test]
    fn full_chain_is_told_from_an_early_schedule() {
        let source = Generator::new(|index| index).rate(1000);
        let mut reader = source.reader(0, 1);
        let mut chain = Chain::new(|n: &u64| *n);
        chain.poll(&mut reader);
        chain.clock.advance(millis(10));
        chain.room = 4;
        assert_eq!(chain.poll(&mut reader), SourceStatus::More);
        assert_eq!(chain.values(), [0, 1, 2, 3, 4]);
    }
}
