//! The names that most jobs use, and those with which their own functions are written.

pub use crate::checkpoint::{OperatorState, RestoredState};
pub use crate::connectors::{
    Collected, Collection, Discard, FileSink, ForEach, Generator, LineBlocks, LineSource, Print,
    RecordSource, Sequence, inlet, outlet,
};
#[cfg(feature = "csv")]
pub use crate::connectors::{CsvSource, Malformed};
pub use crate::datastream::{Environment, KeyedStream, Stream, WindowResult};
pub use crate::graph::PlanFormat;
pub use crate::operator::{
    BoxError, CoProcessFunction, Elements, Group, IntervalBound, KeyedCoProcessFunction,
    KeyedOpenContext, KeyedProcessContext, KeyedProcessFunction, OpenContext, Outcome, OutputTag,
    ProcessContext, ProcessFunction, Session, Sliding, TimeDomain, TimeWindow, Tumbling,
    Unrecoverable,
};
pub use crate::record::{Archived, Far, Key, KeyGroupAssignment, Pod, Record, View};
pub use crate::ring::WaitStrategy;
pub use crate::runtime::{
    BatchSize, Checkpoints, JobError, JobHandle, JobResult, JobStatus, Pipe, RestartStrategy,
    RestoreFrom, Retention, Step, Stepper,
};
pub use crate::state::{
    Aggregate, AggregatingState, Count, ListState, MapState, Max, Mean, Min, ReducingState, Sum,
    ValueState,
};
pub use crate::time::{
    AlignmentGroup, BoundedOutOfOrderness, ManualClock, Monotonous, NoWatermarks, Periodic,
    ProcessingTimeLag, Punctuated, Timestamp, WatermarkStrategy, hours, millis, mins, nanoseconds,
    secs,
};

#[cfg(test)]
mod tests {
    use super::*;

    /// How far apart the lowest and the highest price of some trades are.
    #[derive(Clone)]
    struct Spread;
    impl Aggregate<[u64; 2]> for Spread {
        type Accumulator = [u64; 2];
        type Out = u64;
        fn create(&self) -> [u64; 2] {
            [u64::MAX, 0]
        }
        fn add(&self, spread: &mut [u64; 2], trade: &[u64; 2]) {
            self.merge(spread, &[trade[1], trade[1]]);
        }
        fn merge(&self, [low, high]: &mut [u64; 2], other: &[u64; 2]) {
            (*low, *high) = ((*low).min(other[0]), (*high).max(other[1]));
        }
        fn result(&self, [low, high]: &[u64; 2]) -> u64 {
            high.saturating_sub(*low)
        }
    }

    /// Numbers what comes to each subtask, and goes on where the last checkpoint was.
    #[derive(Clone, Default)]
    struct Numbered {
        next: u64,
        step: u64,
    }
    impl<K: Key + Copy> ProcessFunction<(K, u64)> for Numbered {
        type Out = (u64, K, u64);
        const STATEFUL: bool = true;
        fn open(&mut self, cx: &OpenContext) -> Outcome {
            (self.next, self.step) = (cx.subtask.index.into(), cx.subtask.parallelism.into());
            Ok(())
        }
        fn process(
            &mut self,
            &(key, value): &(K, u64),
            cx: &mut impl ProcessContext<(u64, K, u64)>,
        ) -> Outcome {
            cx.emit(&(self.next, key, value));
            self.next += self.step;
            Ok(())
        }
        fn snapshot(&mut self, state: &mut OperatorState) -> Outcome {
            Ok(state.list("next", [&self.next])?)
        }
        fn restore(&mut self, state: &RestoredState<'_>) -> Outcome {
            let restored: Vec<u64> = state.list("next")?;
            self.next = restored.into_iter().max().unwrap_or(self.next);
            Ok(())
        }
    }

    /// The middle one of a window's trades.
    fn median(_: &u64, _: TimeWindow, trades: &Elements<[u64; 2]>, emit: &mut dyn FnMut(&u64)) {
        let mut prices: Vec<u64> = trades.iter().map(|trade| trade[1]).collect();
        prices.sort_unstable();
        emit(&prices[prices.len() / 2]);
    }

    /// The trades, each behind a watermark: nothing older comes.
    fn trades(env: &Environment) -> Stream<impl Pipe<Out = [u64; 2]>> {
        env.source("trades", Collection::of((0..10u64).map(|n| [n % 2, n])))
            .timestamps(Punctuated::new(|_: &[u64; 2], at| Some(at)), |trade| {
                Timestamp::from_secs(trade[1] as i64)
            })
    }

    #[test]
    fn functions_are_written_with_these_names() -> Result<(), JobError> {
        let (clock, env) = (
            ManualClock::new(Timestamp(0)),
            Environment::new().parallelism(1),
        );
        let (spreads, medians) = (Collected::new(), Collected::new());
        trades(&env)
            .key_by(|trade| trade[0])
            .aggregate(Spread)
            .process(Numbered::default())
            .uid("numbered")
            .sink("spreads", spreads.sink());
        trades(&env)
            .key_by(|trade| trade[0])
            .window(Tumbling::of(secs(10)))
            .process(median)
            .sink("medians", medians.sink());
        let mut job: Stepper = env.stepper("trades", clock)?;
        while job.step()? != Step::Finished {}

        assert_eq!(spreads.take().last(), Some(&(9, 1, 8)));
        assert_eq!(medians.take().len(), 2);
        Ok(())
    }
}
