//! Interval joins: two streams partitioned by the same type of key, whose records meet if their timestamps are near.

use crate::graph::GraphError;
use crate::operator::{Interval, IntervalBound, IntervalJoin, OutputTag};
use crate::record::{KeySelector, StateValue};
use crate::runtime::Pipe;

use super::connected_streams::KeyedCoProcessed;
use super::joined_streams::JoinedStreams;

/// Two keyed streams to be joined by an interval of event time.
#[derive(Debug)]
pub struct IntervalJoinedStreams<A: Pipe, B: Pipe, S1, S2> {
    joined: JoinedStreams<A, B, S1, S2>,
    interval: Interval,
    excludes_lower: bool,
    excludes_upper: bool,
    late_left: Option<OutputTag<A::Out>>,
    late_right: Option<OutputTag<B::Out>>,
}

/// The operator behind an interval join.
pub type IntervalJoined<A, B, S1, S2, O, F> =
    KeyedCoProcessed<A, B, S1, S2, IntervalJoin<<A as Pipe>::Out, <B as Pipe>::Out, O, F>>;

impl<A: Pipe, B: Pipe, S1, S2> JoinedStreams<A, B, S1, S2> {
    /// Joins each left record with the right ones whose timestamps are between `lower` and `upper` of its own, both
    /// included (Flink's `intervalJoin`). Records of both streams need timestamps.
    ///
    /// A pair is emitted as soon as both of its records are there, with the later of their timestamps. A record is kept
    /// until the watermark says that nothing can join with it any more; one that comes behind the watermark is late.
    ///
    /// ```
    /// use thalweg::prelude::*;
    ///
    /// let env = Environment::new();
    /// let timed = |name, seconds: Vec<i64>| {
    ///     env.source(name, Collection::of(seconds))
    ///         .timestamps(Monotonous, |at| Timestamp::from_secs(*at))
    ///         .key_by(|_| 0)
    /// };
    /// let pairs = Collected::new();
    /// timed("orders", vec![10, 20])
    ///     .join(timed("payments", vec![9, 11, 25]))
    ///     .between(IntervalBound::Before(secs(0)), IntervalBound::After(secs(5)))
    ///     .apply(|order, payment| (*order, *payment))
    ///     .sink("pairs", pairs.sink());
    /// env.execute("payments within five seconds")?;
    /// let mut pairs = pairs.take();
    /// pairs.sort();
    /// assert_eq!(pairs, [(10, 11), (20, 25)]);
    /// # Ok::<(), JobError>(())
    /// ```
    pub fn between(
        self,
        lower: IntervalBound,
        upper: IntervalBound,
    ) -> IntervalJoinedStreams<A, B, S1, S2> {
        IntervalJoinedStreams {
            joined: self,
            interval: Interval::new(lower, upper),
            excludes_lower: false,
            excludes_upper: false,
            late_left: None,
            late_right: None,
        }
    }
}

impl<A, B, S1, S2> IntervalJoinedStreams<A, B, S1, S2>
where
    A: Pipe,
    B: Pipe,
    A::Out: StateValue,
    B::Out: StateValue,
    S1: KeySelector<A::Out>,
    S2: KeySelector<B::Out, Key = S1::Key>,
{
    /// Excludes the lower bound.
    #[must_use]
    pub fn lower_bound_exclusive(self) -> Self {
        IntervalJoinedStreams {
            excludes_lower: true,
            ..self
        }
    }

    /// Excludes the upper bound.
    #[must_use]
    pub fn upper_bound_exclusive(self) -> Self {
        IntervalJoinedStreams {
            excludes_upper: true,
            ..self
        }
    }

    /// Sends left records that come behind the watermark to the side output `tag` of the stream of results. Else they
    /// are counted and dropped.
    #[must_use]
    pub fn late_left_to(self, tag: &OutputTag<A::Out>) -> Self {
        IntervalJoinedStreams {
            late_left: Some(tag.clone()),
            ..self
        }
    }

    /// Sends right records that come behind the watermark to the side output `tag` of the stream of results. Else they
    /// are counted and dropped.
    #[must_use]
    pub fn late_right_to(self, tag: &OutputTag<B::Out>) -> Self {
        IntervalJoinedStreams {
            late_right: Some(tag.clone()),
            ..self
        }
    }

    /// Emits `function(left, right)` for every pair. Keeps copies of the records: records in the `Archived` form are
    /// mapped to plain data first.
    pub fn apply<O, F>(self, function: F) -> IntervalJoined<A, B, S1, S2, O, F>
    where
        O: Send + 'static,
        F: FnMut(&A::Out, &B::Out) -> O + Clone + Send + 'static,
    {
        let JoinedStreams { left, right } = self.joined;
        let mut interval = self.interval;
        if self.excludes_lower {
            interval = interval.exclude_lower();
        }
        if self.excludes_upper {
            interval = interval.exclude_upper();
        }
        if interval.is_empty() {
            left.stream.reject(GraphError::EmptyInterval);
        }
        let function = IntervalJoin::new(interval, function)
            .late_left_to(self.late_left)
            .late_right_to(self.late_right);
        left.connect(right).process_as("interval join", function)
    }
}
