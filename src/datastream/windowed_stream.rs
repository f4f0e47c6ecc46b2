//! Windowed streams: keyed streams cut into windows.

use std::time::Duration;

use crate::operator::{
    AggregateWindow, Elements, Lateness, OutputTag, ProcessWindow, ReduceWindow, TimeWindow,
    WindowAssigner, WindowFunction,
};
use crate::record::{Key, KeySelector, StateValue};
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
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WindowResult<K, T> {
    /// The key.
    pub key: K,
    /// The window.
    pub window: TimeWindow,
    /// The aggregate of the key's records in the window.
    pub value: T,
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
