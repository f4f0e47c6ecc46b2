//! Windowed streams: keyed streams cut into windows.

use std::fmt;
use std::time::Duration;

use rkyv::api::low::LowValidator;
use rkyv::bytecheck::CheckBytes;
use rkyv::rancor::Error;
use rkyv::{Archive, Deserialize, Portable, Serialize};

use crate::operator::{
    AggregateWindow, Elements, Lateness, OutputTag, ProcessWindow, ReduceWindow, TimeWindow,
    WindowAssigner, WindowFunction,
};
use crate::record::{Archived, Key, KeySelector, Record, RecordSerializer, StateValue};
use crate::runtime::Pipe;
use crate::state::Aggregate;

use super::factory::WindowFactory;
use super::keyed_stream::KeyedStream;
use super::pipe::SideChained;
use super::stream::Stream;

/// A keyed stream whose records are assigned to windows by `A`.
///
/// A window fires when the watermark reaches its end, once for each key that has records in it. It fires once
/// more for every late record within the allowed lateness. Records later than that go to the side output of
/// [`late_to`](WindowedStream::late_to), or are counted and dropped.
#[derive(Debug)]
pub struct WindowedStream<P: Pipe, S, A> {
    pub(super) keyed: KeyedStream<P, S>,
    pub(super) assigner: A,
    pub(super) lateness: Lateness,
    pub(super) late: Option<OutputTag<P::Out>>,
}

/// What [`WindowedStream::aggregate`] emits: a result with its key and window.
///
/// It is a record if `rkyv` can archive its key and value: downstream of an exchange it is read as a
/// [`View`](crate::record::View), like any record in the [`Archived`] form.
///
/// ```
/// use thalweg::prelude::*;
///
/// // How many readings each sensor has in an hour, and then the most that one of them has.
/// let busiest = Collected::new();
/// let env = Environment::new().parallelism(2);
/// env.source("readings", Collection::of((0..7_200u64).map(|s| [s * s % 7, s])))
///     .timestamps(Monotonous, |reading| Timestamp::from_secs(reading[1] as i64))
///     .key_by(|reading| reading[0])
///     .window(Tumbling::of(hours(1)))
///     .aggregate(Count)
///     .key_by(|counted| counted.window.end.to_native())
///     .window(Tumbling::of(hours(1)))
///     .aggregate(Max::of(|counted: &View<WindowResult<u64, u64>>| counted.value.to_native()))
///     .sink("busiest", busiest.sink());
/// env.execute("the most readings of one sensor in an hour")?;
///
/// let busiest: Vec<_> = busiest.take().iter().map(|hour| hour.value).collect();
/// assert_eq!(busiest, [Some(1029), Some(1029)]);
/// # Ok::<(), JobError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug, Archive, Serialize, Deserialize)]
pub struct WindowResult<K, T> {
    /// The key.
    pub key: K,
    /// The window.
    pub window: TimeWindow,
    /// The aggregate of the key's records in the window.
    pub value: T,
}

impl<K: 'static, T: 'static> Record for WindowResult<K, T>
where
    Self: Archive + for<'a> Serialize<RecordSerializer<'a>>,
    <Self as Archive>::Archived: for<'a> CheckBytes<LowValidator<'a, Error>> + Portable,
{
    type Form = Archived;
}

impl<K, T> fmt::Debug for ArchivedWindowResult<K, T>
where
    K: Archive<Archived: fmt::Debug>,
    T: Archive<Archived: fmt::Debug>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WindowResult")
            .field("key", &self.key)
            .field("window", &self.window)
            .field("value", &self.value)
            .finish()
    }
}

/// A function that makes a [`WindowResult`] of a key, in its owned form, a window and a result.
pub type WindowResultFn<K, T> = fn(&K, TimeWindow, T) -> WindowResult<<K as Key>::Stored, T>;

/// The output of a window function on a windowed stream.
pub type Windowed<P, S, A, F> = Stream<SideChained<P, WindowFactory<<P as Pipe>::Out, S, A, F>>>;

impl<P: Pipe, S: KeySelector<P::Out>> KeyedStream<P, S> {
    /// Cuts the stream into windows. Event-time windows require timestamps: see
    /// [`Stream::timestamps`].
    pub fn window<A: WindowAssigner<P::Out>>(self, assigner: A) -> WindowedStream<P, S, A> {
        if let Err(error) = assigner.check() {
            self.stream.reject(error.into());
        }
        WindowedStream {
            keyed: self,
            assigner,
            lateness: Lateness::default(),
            late: None,
        }
    }
}

impl<P, S, A> WindowedStream<P, S, A>
where
    P: Pipe,
    S: KeySelector<P::Out>,
    A: WindowAssigner<P::Out>,
{
    /// How long windows are kept after the watermark has passed their end. Default: not at all.
    ///
    /// A checkpoint whose barriers were not aligned is then tied to its parallelism, if some subtasks had fired windows
    /// that others had not. That does not concern sessions.
    #[must_use]
    pub fn allowed_lateness(self, lateness: Duration) -> Self {
        WindowedStream {
            lateness: Lateness::of(lateness),
            ..self
        }
    }

    /// Sends records later than the allowed lateness to the side output `tag` of the result stream.
    #[must_use]
    pub fn late_to(self, tag: &OutputTag<P::Out>) -> Self {
        WindowedStream {
            late: Some(tag.clone()),
            ..self
        }
    }

    fn apply<F>(self, name: &str, function: F) -> Windowed<P, S, A, F>
    where
        F: WindowFunction<P::Out, S::Key> + Clone,
    {
        let WindowedStream {
            keyed,
            assigner,
            lateness,
            late,
        } = self;
        let factory = WindowFactory {
            assigner,
            selector: keyed.selector,
            function,
            lateness,
            late,
        };
        keyed.stream.chain_with_sides(name, true, factory)
    }

    /// Aggregates the records of each key and window.
    pub fn aggregate<G>(
        self,
        aggregate: G,
    ) -> Windowed<P, S, A, AggregateWindow<G, WindowResultFn<S::Key, G::Out>>>
    where
        G: Aggregate<P::Out>,
    {
        self.aggregate_with(aggregate, |key: &S::Key, window, value| WindowResult {
            key: key.to_stored(),
            window,
            value,
        })
    }

    /// Aggregates the records of each key and window; emits `result(key, window, aggregated)`.
    pub fn aggregate_with<G, R, O>(
        self,
        aggregate: G,
        result: R,
    ) -> Windowed<P, S, A, AggregateWindow<G, R>>
    where
        G: Aggregate<P::Out>,
        R: FnMut(&S::Key, TimeWindow, G::Out) -> O + Clone + Send + 'static,
        O: 'static,
    {
        self.apply("window", AggregateWindow::new(aggregate, result))
    }

    /// Reduces the records of each key and window pairwise, with an associative function.
    ///
    /// Where windows overlap, their slices are reduced first, and those reductions in the order of time: records that
    /// arrive out of order may then be combined in another order than they arrived in.
    pub fn reduce<F>(self, function: F) -> Windowed<P, S, A, ReduceWindow<F>>
    where
        P::Out: StateValue,
        F: Fn(&P::Out, &P::Out) -> P::Out + Clone + Send + 'static,
    {
        self.apply("window", ReduceWindow(function))
    }

    /// Hands all records of a key and window to `function(key, window, records, emit)`.
    ///
    /// Keeps a copy of every record until its last window closes: prefer
    /// [`aggregate`](WindowedStream::aggregate) where it suffices.
    pub fn process<O, F>(
        self,
        function: F,
    ) -> Windowed<P, S, A, ProcessWindow<P::Out, O, fn(&P::Out) -> P::Out, F>>
    where
        P::Out: StateValue,
        O: 'static,
        F: FnMut(&S::Key, TimeWindow, &Elements<P::Out>, &mut dyn FnMut(&O))
            + Clone
            + Send
            + 'static,
    {
        self.apply("window", ProcessWindow::new(function))
    }
}

#[cfg(test)]
mod tests {
    use compact_str::CompactString;

    use super::*;
    use crate::record::{Form, Scratch, View};
    use crate::time::Timestamp;

    #[test]
    fn results_come_back_from_their_bytes() {
        let result = WindowResult {
            key: CompactString::from("a key that is longer than any short one"),
            window: TimeWindow {
                start: Timestamp(0),
                end: Timestamp(10),
            },
            value: Some(2.5_f64),
        };
        let (mut scratch, mut bytes) = (Scratch::new(), Vec::new());
        result.encode(&mut scratch, &mut bytes);
        assert_eq!(WindowResult::decode(&bytes).expect("a result"), result);
        bytes.pop();
        assert!(WindowResult::<CompactString, Option<f64>>::decode(&bytes).is_err());

        let view: &View<WindowResult<_, _>> = Archived::far(&result, &mut scratch);
        assert_eq!(view.key, *result.key);
        assert!(format!("{view:?}").starts_with("WindowResult { key: \"a key"));
    }
}
