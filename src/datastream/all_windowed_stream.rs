//! Windows over a whole stream, regardless of key.

use std::time::Duration;

use crate::graph::Partitioning;
use crate::operator::{
    Aggregate, EventTime, Global, MergePartials, SlicedAssigner, TimeWindow, WindowAssigner,
};
use crate::record::{Far, KeySelector, OwnedForm, Record};
use crate::runtime::Pipe;

use super::factory::PartialFactory;
use super::keyed_stream::KeyedStream;
use super::pipe::Exchanged;
use super::stream::Stream;
use super::windowed_stream::WindowedStream;

/// A stream whose records are all assigned to windows by `W`: Flink's `windowAll`.
///
/// Every subtask first aggregates its own records, then one subtask merges these partial results. So windows
/// over all records are as parallel as the stream itself, and only one accumulator per subtask and window slice
/// crosses the exchange.
#[derive(Debug)]
pub struct AllWindowedStream<P: Pipe, W> {
    stream: Stream<P>,
    assigner: W,
    allowed_lateness: Duration,
}

/// Selects one key, 0, for all records.
#[derive(Clone, Copy, Debug)]
pub struct Together;

impl<V: ?Sized> KeySelector<V> for Together {
    type Key = u8;
    type Found<'a>
        = u8
    where
        V: 'a;

    #[inline(always)]
    fn key(&self, _record: &V) -> u8 {
        0
    }
}

impl<P: Pipe> Stream<P> {
    /// Cuts the whole stream into windows. Event-time windows require timestamps: see
    /// [`timestamps`](Stream::timestamps).
    pub fn window_all<W>(self, assigner: W) -> AllWindowedStream<P, W> {
        AllWindowedStream {
            stream: self,
            assigner,
            allowed_lateness: Duration::ZERO,
        }
    }
}

impl<P: Pipe, W> AllWindowedStream<P, W> {
    /// Sends all records to one subtask, as Flink does, where windows of any kind and any window function are
    /// possible: sessions, processing-time windows, reductions, side outputs of late records.
    #[must_use]
    pub fn gather(self) -> WindowedStream<Exchanged<P, Global>, Together, W>
    where
        P::Out: Record,
        W: WindowAssigner<Far<P::Out>>,
    {
        let together = self.stream.exchange(Partitioning::Global, Global);
        KeyedStream::new(together.parallelism(1), Together)
            .window(self.assigner)
            .allowed_lateness(self.allowed_lateness)
    }

    /// How long windows are kept after the watermark has passed their end. Default: not at all.
    #[must_use]
    pub fn allowed_lateness(self, allowed_lateness: Duration) -> Self {
        AllWindowedStream {
            allowed_lateness,
            ..self
        }
    }
}

impl<P: Pipe, W: SlicedAssigner<Time = EventTime>> AllWindowedStream<P, W> {
    /// Aggregates the records of each window and emits `result(window, aggregated)`, in one subtask.
    pub fn aggregate_with<G, R, O>(self, aggregate: G, mut result: R) -> Stream<impl Pipe<Out = O>>
    where
        G: Aggregate<P::Out>,
        G::Accumulator: Record,
        <G::Accumulator as Record>::Form: OwnedForm<G::Accumulator>,
        R: FnMut(TimeWindow, G::Out) -> O + Clone + Send + 'static,
        O: 'static,
    {
        if let Err(error) = self.assigner.slicing() {
            self.stream.reject(error.into());
        }
        let partial = PartialFactory {
            assigner: self.assigner.clone(),
            aggregate: aggregate.clone(),
        };
        let partials = self.stream.chain("partial windows", true, partial);
        let part = partials.node();
        let together = partials.exchange(Partitioning::Global, Global);
        let merge = MergePartials::<P::Out, G>::new(aggregate);
        KeyedStream::new(together.parallelism(1), Together)
            .window(self.assigner)
            .allowed_lateness(self.allowed_lateness)
            .aggregate_with(merge, move |_: &u8, window, value| result(window, value))
            .name("window all")
            .with_part(part)
    }
}
