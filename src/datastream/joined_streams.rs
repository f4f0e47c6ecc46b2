//! Joined streams: two streams partitioned by the same type of key, whose records meet by key and window.
//!
//! Flink writes `left.join(right).where(l).equalTo(r).window(w).apply(f)`. Here both streams are keyed
//! before they are joined, as before [`connect`](KeyedStream::connect): a key is found in one way only, owned
//! or borrowed, each closure is inferred from the stream it stands at, and a parallelism can be given to the
//! exchange.

use std::time::Duration;

use crate::graph::NodeKind;
use crate::operator::{
    CoGroup, EventTime, Group, JoinFunction, JoinPairs, Lateness, OutputTag, SlicedAssigner,
    TimeWindow,
};
use crate::record::{KeySelector, Wire};
use crate::runtime::Pipe;

use super::connected_streams::two_inputs;
use super::factory::{UnboundedJoinFactory, WindowJoinFactory};
use super::keyed_stream::KeyedStream;
use super::pipe::TwoInputs;
use super::stream::Stream;

/// Two keyed streams to be joined.
#[derive(Debug)]
pub struct JoinedStreams<A: Pipe, B: Pipe, S1, S2> {
    left: KeyedStream<A, S1>,
    right: KeyedStream<B, S2>,
}

/// Two keyed streams whose records are assigned to windows by `W`.
///
/// A window fires when the watermark of both inputs reaches its end, and once more, for the records of its
/// key alone, for every record that comes later but within the allowed lateness. Records that come later
/// than that go to a side output, or are counted and dropped.
#[derive(Debug)]
pub struct WindowedJoin<A: Pipe, B: Pipe, S1, S2, W> {
    joined: JoinedStreams<A, B, S1, S2>,
    assigner: W,
    lateness: Lateness,
    late_left: Option<OutputTag<A::Out>>,
    late_right: Option<OutputTag<B::Out>>,
}

/// Two keyed streams that are joined without windows: both are kept for ever.
#[derive(Debug)]
pub struct UnboundedJoinedStreams<A: Pipe, B: Pipe, S1, S2> {
    joined: JoinedStreams<A, B, S1, S2>,
}

/// The operator behind an unbounded join.
pub type UnboundedJoined<A, B, S1, S2, F> =
    Stream<TwoInputs<A, B, UnboundedJoinFactory<S1, S2, F>>>;

/// The operator behind a windowed join.
pub type WindowJoined<A, B, S1, S2, W, F> =
    Stream<TwoInputs<A, B, WindowJoinFactory<<A as Pipe>::Out, <B as Pipe>::Out, S1, S2, W, F>>>;

impl<A: Pipe, S1: KeySelector<A::Out>> KeyedStream<A, S1> {
    /// This stream and another one, to be joined by their keys.
    ///
    /// ```
    /// use thalweg::prelude::*;
    ///
    /// let env = Environment::new();
    /// let numbers = |name, step: u64| {
    ///     env.source(name, Collection::of((0..60u64).map(|n| [n % step, n])))
    ///         .timestamps(Monotonous, |r| Timestamp::from_secs(r[1] as i64))
    /// };
    /// let pairs = Collected::new();
    /// numbers("left", 7)
    ///     .key_by(|l| l[0])
    ///     .join(numbers("right", 5).key_by(|r| r[0]))
    ///     .window(Tumbling::of(secs(10)))
    ///     .apply(|l, r, window| [l[0], l[1], r[1], window.start.0 as u64])
    ///     .sink("pairs", pairs.sink());
    /// env.execute("pairs of the same key and ten seconds")?;
    /// assert!(pairs.take().contains(&[3, 3, 8, 0]));
    /// # Ok::<(), JobError>(())
    /// ```
    pub fn join<B, S2>(self, right: KeyedStream<B, S2>) -> JoinedStreams<A, B, S1, S2>
    where
        B: Pipe,
        S2: KeySelector<B::Out, Key = S1::Key>,
    {
        JoinedStreams { left: self, right }
    }
}

impl<A: Pipe, B: Pipe, S1, S2> JoinedStreams<A, B, S1, S2> {
    /// Joins by windows of event time. Records of both streams need timestamps: see
    /// [`Stream::timestamps`].
    pub fn window<W>(self, assigner: W) -> WindowedJoin<A, B, S1, S2, W>
    where
        W: SlicedAssigner<Time = EventTime>,
    {
        if let Err(error) = assigner.slicing() {
            self.left.stream.reject(error.into());
        }
        WindowedJoin {
            joined: self,
            assigner,
            lateness: Lateness::default(),
            late_left: None,
            late_right: None,
        }
    }

    /// Joins without windows: the regular join of Flink's SQL. Every record of both streams is kept for ever, so
    /// this is for streams that end, or that stay small: changes of reference data, filtered streams.
    #[must_use]
    pub fn unbounded(self) -> UnboundedJoinedStreams<A, B, S1, S2> {
        UnboundedJoinedStreams { joined: self }
    }
}

impl<A, B, S1, S2> UnboundedJoinedStreams<A, B, S1, S2>
where
    A: Pipe,
    B: Pipe,
    A::Out: Wire,
    B::Out: Wire,
    S1: KeySelector<A::Out>,
    S2: KeySelector<B::Out, Key = S1::Key>,
{
    /// Emits `function(left, right)` for every pair of records with equal keys, as soon as both are there: an
    /// inner join. A result has the timestamp of the record that came second.
    pub fn apply<O, F>(self, function: F) -> UnboundedJoined<A, B, S1, S2, F>
    where
        O: 'static,
        F: FnMut(&A::Out, &B::Out) -> O + Clone + Send + 'static,
    {
        let JoinedStreams { left, right } = self.joined;
        let factory = UnboundedJoinFactory {
            selectors: (left.selector, right.selector),
            function,
        };
        let kind = NodeKind::Operator { stateful: true };
        two_inputs(kind, "unbounded join", left.stream, right.stream, factory)
    }
}

impl<A, B, S1, S2, W> WindowedJoin<A, B, S1, S2, W>
where
    A: Pipe,
    B: Pipe,
    A::Out: Wire,
    B::Out: Wire,
    S1: KeySelector<A::Out>,
    S2: KeySelector<B::Out, Key = S1::Key>,
    W: SlicedAssigner<Time = EventTime>,
{
    /// Keeps windows for some time after the watermark has passed them. Default: not at all.
    #[must_use]
    pub fn allowed_lateness(self, lateness: Duration) -> Self {
        WindowedJoin {
            lateness: Lateness::of(lateness),
            ..self
        }
    }

    /// Sends records of the left stream that are too late to the side output `tag` of the stream of results.
    #[must_use]
    pub fn late_left_to(self, tag: &OutputTag<A::Out>) -> Self {
        WindowedJoin {
            late_left: Some(tag.clone()),
            ..self
        }
    }

    /// Sends records of the right stream that are too late to the side output `tag` of the stream of results.
    #[must_use]
    pub fn late_right_to(self, tag: &OutputTag<B::Out>) -> Self {
        WindowedJoin {
            late_right: Some(tag.clone()),
            ..self
        }
    }

    fn join_by<F>(self, name: &str, function: F) -> WindowJoined<A, B, S1, S2, W, F>
    where
        F: JoinFunction<S1::Key, A::Out, B::Out> + Clone,
    {
        let JoinedStreams { left, right } = self.joined;
        let factory = WindowJoinFactory {
            assigner: self.assigner,
            selectors: (left.selector, right.selector),
            function,
            lateness: self.lateness,
            late_left: self.late_left,
            late_right: self.late_right,
        };
        let kind = NodeKind::Operator { stateful: true };
        two_inputs(kind, name, left.stream, right.stream, factory)
    }

    /// Emits `function(left, right, window)` for every pair of records with equal keys in the same window: an
    /// inner join. Results have the window's last timestamp; those of one window come in no particular order.
    ///
    /// Both streams are kept until their windows are over: map them to what the function needs first. It takes
    /// less time if the left one is that with fewer records in a window.
    pub fn apply<O, F>(self, function: F) -> WindowJoined<A, B, S1, S2, W, JoinPairs<F>>
    where
        O: 'static,
        F: FnMut(&A::Out, &B::Out, TimeWindow) -> O + Clone + Send + 'static,
    {
        self.join_by("window join", JoinPairs(function))
    }

    /// Hands all records of a key in a window to `function(key, window, lefts, rights, emit)`, also where one
    /// of the streams has none: what outer joins are made of.
    pub fn co_group<O, F>(self, function: F) -> WindowJoined<A, B, S1, S2, W, CoGroup<F, O>>
    where
        O: 'static,
        F: FnMut(&S1::Key, TimeWindow, Group<'_, A::Out>, Group<'_, B::Out>, &mut dyn FnMut(&O))
            + Clone
            + Send
            + 'static,
    {
        self.join_by("co-group", CoGroup::new(function))
    }
}
