//! Joined streams: two streams partitioned by the same type of key, joined by key and, usually, window.
//!
//! Flink writes `left.join(right).where(l).equalTo(r).window(w).apply(f)`. Here both streams are keyed
//! before they are joined, as for [`connect`](KeyedStream::connect): there is one way to select a key, owned
//! or borrowed; each closure's types are inferred from the stream it is called on; and the exchange can be given a
//! parallelism.

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
    pub(super) left: KeyedStream<A, S1>,
    pub(super) right: KeyedStream<B, S2>,
}

/// Two keyed streams whose records are assigned to windows by `W`.
///
/// A window fires when the combined watermark of both inputs reaches its end. It fires once more, for one key,
/// whenever a late record of that key arrives within the allowed lateness. Records that are later than that go to
/// a side output, or are counted and dropped.
#[derive(Debug)]
pub struct WindowedJoin<A: Pipe, B: Pipe, S1, S2, W> {
    joined: JoinedStreams<A, B, S1, S2>,
    assigner: W,
    lateness: Lateness,
    late_left: Option<OutputTag<A::Out>>,
    late_right: Option<OutputTag<B::Out>>,
}

/// Two keyed streams joined without windows: the records of both are kept forever.
#[derive(Debug)]
pub struct UnboundedJoinedStreams<A: Pipe, B: Pipe, S1, S2> {
    joined: JoinedStreams<A, B, S1, S2>,
}

/// The output of an unbounded join.
pub type UnboundedJoined<A, B, S1, S2, F> =
    Stream<TwoInputs<A, B, UnboundedJoinFactory<S1, S2, F>>>;

/// The output of a windowed join.
pub type WindowJoined<A, B, S1, S2, W, F> =
    Stream<TwoInputs<A, B, WindowJoinFactory<<A as Pipe>::Out, <B as Pipe>::Out, S1, S2, W, F>>>;

impl<A: Pipe, S1: KeySelector<A::Out>> KeyedStream<A, S1> {
    /// Joins this stream with another one by key.
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
    /// Joins within windows of event time. Records of both streams need timestamps: see
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

    /// Joins without windows, like the regular join of Flink SQL. Every record of both streams is kept forever, so
    /// use this for streams that end or stay small: changes to reference data, filtered streams.
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
    /// Emits `function(left, right)` for every pair of records with equal keys, as soon as both have arrived: an
    /// inner join. A result has the timestamp of the record that arrived second.
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
    /// How long windows are kept after the watermark has passed their end. Default: not at all.
    ///
    /// A checkpoint whose barriers were not aligned is then tied to its parallelism, if some subtasks had fired windows
    /// that others had not.
    #[must_use]
    pub fn allowed_lateness(self, lateness: Duration) -> Self {
        WindowedJoin {
            lateness: Lateness::of(lateness),
            ..self
        }
    }

    /// Sends records of the left stream that exceed the allowed lateness to the side output `tag` of the result stream.
    #[must_use]
    pub fn late_left_to(self, tag: &OutputTag<A::Out>) -> Self {
        WindowedJoin {
            late_left: Some(tag.clone()),
            ..self
        }
    }

    /// Sends records of the right stream that exceed the allowed lateness to the side output `tag` of the result
    /// stream.
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
    /// inner join. Results have the window's last timestamp; within a window they come in no particular order.
    ///
    /// Records of both streams are kept until their window closes, so first map them to what the function needs. The
    /// join is faster if the left stream is the one with fewer records per window.
    pub fn apply<O, F>(self, function: F) -> WindowJoined<A, B, S1, S2, W, JoinPairs<F>>
    where
        O: 'static,
        F: FnMut(&A::Out, &B::Out, TimeWindow) -> O + Clone + Send + 'static,
    {
        self.join_by("window join", JoinPairs(function))
    }

    /// Hands all records of a key and window to `function(key, window, lefts, rights, emit)`, even if one of the
    /// streams has none: use this to build outer joins.
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
