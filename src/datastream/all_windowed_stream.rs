//! Windows over a whole stream, regardless of key.

use std::time::Duration;

use crate::graph::Partitioning;
use crate::operator::{
    Aggregate, Elements, EventTime, Global, MergePartials, ReduceWindow, SlicedAssigner,
    TimeWindow, WindowAssigner,
};
use crate::record::{Far, KeySelector, OwnedForm, Record, StateValue};
use crate::runtime::Pipe;

use super::factory::PartialFactory;
use super::keyed_stream::KeyedStream;
use super::pipe::Exchanged;
use super::stream::Stream;
use super::windowed_stream::{WindowResult, Windowed, WindowedStream};

/// A stream whose records are all assigned to windows by `W`: Flink's `windowAll`.
///
/// If they are aggregated, every subtask first aggregates its own records, then one subtask merges these partial results.
/// So windows over all records are as parallel as the stream itself, and only one accumulator per subtask and window
/// slice crosses the exchange. If they are reduced or handed to a function, all records are brought to one subtask: see
/// [`gather`](AllWindowedStream::gather).
///
/// ```
/// use thalweg::prelude::*;
///
/// let env = Environment::new().parallelism(2);
/// let sums = Collected::new();
/// env.source("readings", Collection::of((0..120u64).map(|second| [second, second % 7])))
///     .timestamps(Monotonous, |reading| Timestamp::from_secs(reading[0] as i64))
///     .window_all(Tumbling::of(mins(1)))
///     .aggregate(Sum::of(|reading: &[u64; 2]| reading[1]))
///     .sink("sums", sums.sink());
/// env.execute("sums per minute")?;
///
/// let sums: Vec<_> = sums.take().iter().map(|sum| (sum.window.start, sum.value)).collect();
/// assert_eq!(sums, [(Timestamp::from_secs(0), 174), (Timestamp::from_secs(60), 183)]);
/// # Ok::<(), JobError>(())
/// ```
#[derive(Debug)]
pub struct AllWindowedStream<P: Pipe, W> {
    stream: Stream<P>,
    assigner: W,
    allowed_lateness: Duration,
}

/// The operator of windows over all records of a stream, which were brought to one subtask.
pub type AllWindowed<P, W, F> = Windowed<Exchanged<P, Global>, Together, W, F>;

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

    /// Reduces the records of each window pairwise, with an associative function, in one subtask.
    ///
    /// ```
    /// # use thalweg::prelude::*;
    /// # let env = Environment::new().parallelism(2);
    /// # let readings = env
    /// #     .source("readings", Collection::of((0..120u64).map(|second| [second, second % 7])))
    /// #     .timestamps(Monotonous, |reading| Timestamp::from_secs(reading[0] as i64));
    /// let last = Collected::new();
    /// readings
    ///     .window_all(Tumbling::of(mins(1)))
    ///     .reduce(|one, other| *one.max(other))
    ///     .sink("last", last.sink());
    /// # env.execute("the last reading of every minute")?;
    /// assert_eq!(last.take(), [[59, 3], [119, 0]]);
    /// # Ok::<(), JobError>(())
    /// ```
    pub fn reduce<F>(self, function: F) -> AllWindowed<P, W, ReduceWindow<F>>
    where
        P::Out: Record,
        Far<P::Out>: StateValue,
        W: WindowAssigner<Far<P::Out>>,
        F: Fn(&Far<P::Out>, &Far<P::Out>) -> Far<P::Out> + Clone + Send + 'static,
    {
        self.gather().reduce(function).name("window all")
    }

    /// Hands all records of a window to `function(window, records, emit)`, in one subtask.
    ///
    /// Keeps a copy of every record until its last window closes: prefer
    /// [`aggregate`](AllWindowedStream::aggregate) where it suffices.
    ///
    /// ```
    /// # use thalweg::prelude::*;
    /// # let env = Environment::new().parallelism(2);
    /// # let readings = env
    /// #     .source("readings", Collection::of((0..120u64).map(|second| [second, second % 7])))
    /// #     .timestamps(Monotonous, |reading| Timestamp::from_secs(reading[0] as i64));
    /// let medians = Collected::new();
    /// readings
    ///     .window_all(Tumbling::of(mins(1)))
    ///     .process(|_window, readings, emit| {
    ///         let mut values: Vec<u64> = readings.iter().map(|reading| reading[1]).collect();
    ///         values.sort_unstable();
    ///         emit(&values[values.len() / 2]);
    ///     })
    ///     .sink("medians", medians.sink());
    /// # env.execute("the median reading of every minute")?;
    /// assert_eq!(medians.take(), [3, 3]);
    /// # Ok::<(), JobError>(())
    /// ```
    pub fn process<O, F>(self, mut function: F) -> Stream<impl Pipe<Out = O>>
    where
        P::Out: Record,
        Far<P::Out>: StateValue,
        W: WindowAssigner<Far<P::Out>>,
        O: 'static,
        F: FnMut(TimeWindow, &Elements<Far<P::Out>>, &mut dyn FnMut(&O)) + Clone + Send + 'static,
    {
        self.gather()
            .process(
                move |_: &u8, window, records: &_, emit: &mut dyn FnMut(&O)| {
                    function(window, records, emit);
                },
            )
            .name("window all")
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
    /// Aggregates the records of each window. The results have `()` as their key.
    ///
    /// Windows that are not made of slices, such as sessions, are aggregated after
    /// [`gather`](AllWindowedStream::gather).
    pub fn aggregate<G>(self, aggregate: G) -> Stream<impl Pipe<Out = WindowResult<(), G::Out>>>
    where
        G: Aggregate<P::Out>,
        G::Accumulator: Record,
        <G::Accumulator as Record>::Form: OwnedForm<G::Accumulator>,
    {
        self.aggregate_with(aggregate, |window, value| WindowResult {
            key: (),
            window,
            value,
        })
    }

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
