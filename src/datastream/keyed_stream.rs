//! Keyed streams: partitioned by key, so that all records of a key meet in one subtask.

use std::ops::AddAssign;

use crate::operator::{
    KeyedProcessFunction, MaxBy, MaxOf, MinBy, MinOf, Reduce, RollingFunction, SumOf,
};
use crate::record::{Key, KeySelector, StateValue};
use crate::runtime::Pipe;
use crate::state::Aggregate;

use super::factory::{AggregateFactory, KeyedProcessFactory, ReduceFactory};
use super::pipe::{Chained, SideChained};
use super::stream::Stream;

/// A stream partitioned by the key that `S` selects from each record.
#[derive(Debug)]
pub struct KeyedStream<P: Pipe, S> {
    pub(super) stream: Stream<P>,
    pub(super) selector: S,
}

/// The output of a rolling function on a keyed stream.
pub type Rolled<P, S, F> = Stream<Chained<P, ReduceFactory<S, F>>>;

impl<P: Pipe, S: KeySelector<P::Out>> KeyedStream<P, S> {
    pub(super) fn new(stream: Stream<P>, selector: S) -> Self {
        KeyedStream { stream, selector }
    }

    /// Sets the parallelism downstream of the exchange.
    #[must_use]
    pub fn parallelism(mut self, parallelism: u32) -> Self {
        self.stream = self.stream.parallelism(parallelism);
        self
    }

    /// Puts the region downstream of the exchange into a slot sharing group.
    #[must_use]
    pub fn slot_sharing_group(mut self, group: &str) -> Self {
        self.stream = self.stream.slot_sharing_group(group);
        self
    }

    /// Keeps the exchange from being fused away, whatever the parallelism.
    #[must_use]
    pub fn start_new_chain(mut self) -> Self {
        self.stream = self.stream.start_new_chain();
        self
    }

    /// Sets the number of keys to expect. Keyed state is sized for them up front: it need not grow while the job runs,
    /// and its memory is touched when the job opens. More keys may come.
    ///
    /// Tumbling and sliding windows have room for so many keys in their first slice, which is made when its first record
    /// arrives; two-phase windows also in every subtask upstream of the exchange. A window join ignores it: it keeps
    /// records as they arrive, and looks for their keys when a window fires.
    #[must_use]
    pub fn expected_keys(mut self, keys: usize) -> Self {
        self.stream = self.stream.expected_keys(keys);
        self
    }

    /// The records as a stream without a key, in the subtasks of their keys: for operators and sinks that do not ask for
    /// it.
    pub fn into_stream(self) -> Stream<P> {
        self.stream
    }

    /// Applies a function with keyed state, timers, a life cycle and side outputs.
    pub fn process<F>(self, function: F) -> Stream<SideChained<P, KeyedProcessFactory<S, F>>>
    where
        F: KeyedProcessFunction<S::Key, P::Out> + Clone,
    {
        let KeyedStream { stream, selector } = self;
        stream.chain_with_sides(
            "keyed process",
            true,
            KeyedProcessFactory { selector, function },
        )
    }

    /// A running aggregate: emits the key and the result so far after each record.
    pub fn aggregate<A>(
        self,
        aggregate: A,
    ) -> Stream<Chained<P, AggregateFactory<S, A, PairFn<S::Key, A::Out>>>>
    where
        A: Aggregate<P::Out>,
    {
        self.aggregate_with(aggregate, |key, result| (key.to_stored(), result))
    }

    /// A running aggregate: emits `emit(key, result so far)` after each record.
    pub fn aggregate_with<A, R, O>(
        self,
        aggregate: A,
        emit: R,
    ) -> Stream<Chained<P, AggregateFactory<S, A, R>>>
    where
        A: Aggregate<P::Out>,
        R: FnMut(&S::Key, A::Out) -> O + Clone + Send + 'static,
        O: 'static,
    {
        let KeyedStream { stream, selector } = self;
        stream.chain(
            "aggregate",
            true,
            AggregateFactory {
                selector,
                aggregate,
                emit,
            },
        )
    }
}

/// A function that pairs a key, in its owned form, with a result.
pub type PairFn<K, T> = fn(&K, T) -> (<K as Key>::Stored, T);

/// Rolling functions: for each record, they emit the reduction of its key's records so far.
impl<P, S> KeyedStream<P, S>
where
    P: Pipe,
    P::Out: StateValue,
    S: KeySelector<P::Out>,
{
    fn roll<F: RollingFunction<P::Out>>(self, name: &str, function: F) -> Rolled<P, S, F> {
        let KeyedStream { stream, selector } = self;
        stream.chain(name, true, ReduceFactory { selector, function })
    }

    /// Emits the first record of a key unchanged, then `function(reduced, record)` for each further one.
    pub fn reduce<F>(self, function: F) -> Rolled<P, S, Reduce<F>>
    where
        F: FnMut(&P::Out, &P::Out) -> P::Out + Clone + Send + 'static,
    {
        self.roll("reduce", Reduce(function))
    }

    /// The running sum of the field that the lens `field` selects: `|trade| &mut trade.volume`. All other fields
    /// keep the values of the key's first record.
    pub fn sum<N, F>(self, field: F) -> Rolled<P, S, SumOf<F>>
    where
        N: Copy + AddAssign + 'static,
        F: Fn(&mut P::Out) -> &mut N + Clone + Send + 'static,
    {
        self.roll("sum", SumOf::of(field))
    }

    /// The running minimum of a field; all other fields keep the values of the key's first record.
    pub fn min<N, F>(self, field: F) -> Rolled<P, S, MinOf<F>>
    where
        N: Copy + PartialOrd + 'static,
        F: Fn(&mut P::Out) -> &mut N + Clone + Send + 'static,
    {
        self.roll("min", MinOf::of(field))
    }

    /// The running maximum of a field; all other fields keep the values of the key's first record.
    pub fn max<N, F>(self, field: F) -> Rolled<P, S, MaxOf<F>>
    where
        N: Copy + PartialOrd + 'static,
        F: Fn(&mut P::Out) -> &mut N + Clone + Send + 'static,
    {
        self.roll("max", MaxOf::of(field))
    }

    /// The record with the smallest `number(record)` so far; the first one if several are equal.
    pub fn min_by<N, F>(self, number: F) -> Rolled<P, S, MinBy<F>>
    where
        N: PartialOrd,
        F: Fn(&P::Out) -> N + Clone + Send + 'static,
    {
        self.roll("min by", MinBy::of(number))
    }

    /// The record with the largest `number(record)` so far; the first one if several are equal.
    pub fn max_by<N, F>(self, number: F) -> Rolled<P, S, MaxBy<F>>
    where
        N: PartialOrd,
        F: Fn(&P::Out) -> N + Clone + Send + 'static,
    {
        self.roll("max by", MaxBy::of(number))
    }
}
