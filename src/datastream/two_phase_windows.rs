//! Windows in two phases: records are aggregated locally, and the partial results merged by key.

use crate::graph::Partitioning;
use crate::operator::{
    EventTime, KeyGroups, KeyedPartial, Lateness, MergeKeyedPartials, PartialKey, SlicedAssigner,
    TimeWindow, WindowError,
};
use crate::record::{Far, Key, KeySelector, OwnedForm, Record};
use crate::runtime::Pipe;
use crate::state::Aggregate;

use super::factory::KeyedPartialFactory;
use super::keyed_stream::KeyedStream;
use super::pipe::{Chained, Exchanged};
use super::stream::Stream;
use super::windowed_stream::{WindowResult, WindowedStream};

/// Keyed windows whose records are aggregated before they cross the exchange.
///
/// Each subtask aggregates its own records by key and window slice. One accumulator for each crosses the exchange,
/// when the watermark closes the slice. That pays off where many records share few keys, and keeps a hot key from
/// overloading the subtask that owns it. Where most keys have one record per slice, it costs an extra table and
/// saves nothing.
///
/// Results are those of one-phase windows. Records that are too late are counted and dropped: once aggregated, there
/// is no record left that could go to a side output. A subtask that was idle aggregates nothing any more, as event time
/// may not be waiting for it: from then on each of its records crosses the exchange.
#[derive(Debug)]
pub struct TwoPhaseWindows<P: Pipe, S, A>
where
    P::Out: Record,
    S: KeySelector<Far<P::Out>>,
{
    keyed: KeyedStream<Exchanged<P, KeyGroups<S>>, S>,
    assigner: A,
    lateness: Lateness,
}

impl<P, S, A> WindowedStream<Exchanged<P, KeyGroups<S>>, S, A>
where
    P: Pipe,
    P::Out: Record,
    S: KeySelector<Far<P::Out>>,
    A: SlicedAssigner<Time = EventTime>,
{
    /// Aggregates the records locally, before they cross the exchange, and merges the partial results after it.
    /// There can be no side output of late records.
    #[must_use]
    pub fn two_phase(self) -> TwoPhaseWindows<P, S, A> {
        if self.late.is_some() {
            self.keyed
                .stream
                .reject(WindowError::LateInTwoPhases.into());
        }
        TwoPhaseWindows {
            keyed: self.keyed,
            assigner: self.assigner,
            lateness: self.lateness,
        }
    }
}

impl<P, S, A> TwoPhaseWindows<P, S, A>
where
    P: Pipe,
    P::Out: Record,
    S: KeySelector<Far<P::Out>>,
    A: SlicedAssigner<Time = EventTime>,
{
    /// Aggregates the records of each key and window.
    pub fn aggregate<G>(
        self,
        aggregate: G,
    ) -> Stream<impl Pipe<Out = WindowResult<<S::Key as Key>::Stored, G::Out>>>
    where
        G: Aggregate<Far<P::Out>>,
        KeyedPartial<S::Key, G::Accumulator>:
            Record<Form: OwnedForm<KeyedPartial<S::Key, G::Accumulator>>>,
    {
        self.aggregate_with(aggregate, |key: &S::Key, window, value| WindowResult {
            key: key.to_stored(),
            window,
            value,
        })
    }

    /// Aggregates the records of each key and window; emits `result(key, window, aggregated)`.
    pub fn aggregate_with<G, R, O>(self, aggregate: G, result: R) -> Stream<impl Pipe<Out = O>>
    where
        G: Aggregate<Far<P::Out>>,
        KeyedPartial<S::Key, G::Accumulator>:
            Record<Form: OwnedForm<KeyedPartial<S::Key, G::Accumulator>>>,
        R: FnMut(&S::Key, TimeWindow, G::Out) -> O + Clone + Send + 'static,
        O: 'static,
    {
        let (env, node, exchanged) = self.keyed.stream.take();
        let expected_keys = env.drawing().graph.node(node).expected_keys;
        let exchange = env.drawing().graph.precede(node, "partial window".into());
        let factory = KeyedPartialFactory {
            assigner: self.assigner.clone(),
            selector: self.keyed.selector,
            aggregate: aggregate.clone(),
            expected_keys,
        };
        let before = Chained {
            before: exchanged.before,
            node,
            factory,
        };
        let selector = PartialKey::<S::Key, G::Accumulator>::new();
        let together = Exchanged {
            before,
            node: exchange,
            partitioning: Partitioning::KeyGroups,
            partitioner: KeyGroups(selector.clone()),
        };
        let together = KeyedStream::new(Stream::new(env, exchange, together), selector);
        let merge = MergeKeyedPartials::<Far<P::Out>, S::Key, G>::new(aggregate);
        WindowedStream {
            lateness: self.lateness,
            ..together.window(self.assigner)
        }
        .aggregate_with(merge, result)
        .with_part(node)
    }
}
