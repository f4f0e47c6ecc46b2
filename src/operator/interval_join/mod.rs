//! Interval joins: pairs of records with equal keys whose timestamps are not too far apart.
//!
//! Flink's `IntervalJoinOperator`, as a function of two keyed inputs: a record joins at once with those of the other
//! side that are there, and is then kept for as long as one may come that it joins with.
//!
//! ```text
//! left record at 10, from 3 before to 5 after      right records in 7 … 15 join with it; it is kept through 15
//! right record at 10, by the same interval         left records in 5 … 13 join with it;  it is kept through 13
//! ```

mod timed_records;

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::metrics::Counter;
use crate::record::{Key, StateValue};
use crate::state::ValueState;
use crate::time::{Timestamp, nanos};

use super::{
    KeyedCoProcessFunction, KeyedOpenContext, KeyedProcessContext, Outcome, OutputTag,
    ProcessContext, TimeDomain,
};

use timed_records::TimedRecords;

/// One end of the interval around a left record in which right ones join with it. Inclusive.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IntervalBound {
    /// So much before the left record's timestamp.
    Before(Duration),
    /// So much after it.
    After(Duration),
}

impl IntervalBound {
    fn nanos(self) -> i64 {
        match self {
            IntervalBound::Before(span) => -nanos(span),
            IntervalBound::After(span) => nanos(span),
        }
    }
}

/// The interval around a left record's timestamp, in nanoseconds, both ends included.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Interval {
    lower: i64,
    upper: i64,
}

impl Interval {
    /// From `lower` to `upper`.
    #[must_use]
    pub fn new(lower: IntervalBound, upper: IntervalBound) -> Self {
        let (lower, upper) = (lower.nanos(), upper.nanos());
        Interval { lower, upper }
    }

    /// Without its lower end.
    #[must_use]
    pub fn exclude_lower(self) -> Self {
        let lower = self.lower.saturating_add(1);
        Interval { lower, ..self }
    }

    /// Without its upper end.
    #[must_use]
    pub fn exclude_upper(self) -> Self {
        let upper = self.upper.saturating_sub(1);
        Interval { upper, ..self }
    }

    /// Whether no timestamp is in it.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.lower > self.upper
    }

    /// When right records join with a left one.
    fn of_left(self, at: Timestamp) -> RangeInclusive<Timestamp> {
        around(at, self.lower, self.upper)
    }

    /// When left records join with a right one.
    fn of_right(self, at: Timestamp) -> RangeInclusive<Timestamp> {
        around(at, self.upper.saturating_neg(), self.lower.saturating_neg())
    }

    /// For how long a left record is kept, after its own time.
    fn left_kept(self) -> i64 {
        self.upper.max(0)
    }

    /// For how long a right record is kept, after its own time.
    fn right_kept(self) -> i64 {
        self.lower.min(0).saturating_neg()
    }
}

/// From `lower` to `upper` nanoseconds after a time. None, rather than the last or first of all, if that is after the end
/// of time or before its beginning.
fn around(at: Timestamp, lower: i64, upper: i64) -> RangeInclusive<Timestamp> {
    match (at.0.checked_add(lower), at.0.checked_add(upper)) {
        (None, _) if lower > 0 => Timestamp::MAX..=Timestamp::MIN,
        (_, None) if upper < 0 => Timestamp::MAX..=Timestamp::MIN,
        (from, to) => from.map_or(Timestamp::MIN, Timestamp)..=to.map_or(Timestamp::MAX, Timestamp),
    }
}

/// Emits a result for every pair, with the later of the two timestamps. A record that is behind the watermark is late:
/// it joins with nothing, and goes to a side output if there is one.
pub struct IntervalJoin<A, B, O, F> {
    interval: Interval,
    function: F,
    late_left: Option<OutputTag<A>>,
    late_right: Option<OutputTag<B>>,
    late: Late,
    left: ValueState<TimedRecords<A>>,
    right: ValueState<TimedRecords<B>>,
    /// What a record has come to, until it is emitted.
    results: Vec<(O, Timestamp)>,
}

/// How many records were late, and how many of them had no side output.
#[derive(Clone, Default)]
struct Late {
    records: Counter,
    dropped: Counter,
}

impl<A, B, O, F: Clone> Clone for IntervalJoin<A, B, O, F> {
    fn clone(&self) -> Self {
        IntervalJoin {
            interval: self.interval,
            function: self.function.clone(),
            late_left: self.late_left.clone(),
            late_right: self.late_right.clone(),
            late: self.late.clone(),
            left: self.left,
            right: self.right,
            results: Vec::new(),
        }
    }
}

impl<A, B, O, F> std::fmt::Debug for IntervalJoin<A, B, O, F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IntervalJoin")
            .field("interval", &self.interval)
            .finish_non_exhaustive()
    }
}

impl<A: 'static, B: 'static, O, F> IntervalJoin<A, B, O, F> {
    /// Joins by `function(left, right)`.
    pub fn new(interval: Interval, function: F) -> Self {
        IntervalJoin {
            interval,
            function,
            late_left: None,
            late_right: None,
            late: Late::default(),
            left: ValueState::default(),
            right: ValueState::default(),
            results: Vec::new(),
        }
    }

    /// Sends late left records to a side output.
    #[must_use]
    pub fn late_left_to(self, tag: Option<OutputTag<A>>) -> Self {
        IntervalJoin {
            late_left: tag,
            ..self
        }
    }

    /// Sends late right records to a side output.
    #[must_use]
    pub fn late_right_to(self, tag: Option<OutputTag<B>>) -> Self {
        IntervalJoin {
            late_right: tag,
            ..self
        }
    }
}

/// The time of a record, if it is not late; a late one is counted, and goes to `tag`.
fn in_time<K: Key + ?Sized, V: 'static, O: 'static>(
    record: &V,
    (tag, late): (&Option<OutputTag<V>>, &Late),
    cx: &mut impl KeyedProcessContext<K, O>,
) -> Result<Option<Timestamp>, &'static str> {
    let at = cx
        .timestamp()
        .ok_or("a record has no timestamp (is `timestamps(…)` missing before the join?)")?;
    if at >= cx.watermark() {
        return Ok(Some(at));
    }
    late.records.add(1);
    match tag {
        Some(tag) => cx.emit_to(tag, record),
        None => late.dropped.add(1),
    }
    Ok(None)
}

/// Keeps a record until the watermark reaches `until`.
fn keep<K: Key + ?Sized, V: StateValue, O: 'static>(
    state: &ValueState<TimedRecords<V>>,
    (record, at, until): (&V, Timestamp, Timestamp),
    cx: &mut impl KeyedProcessContext<K, O>,
) {
    state.update(cx, |records| records.insert(at, record.clone()));
    cx.register_event_timer(until);
}

/// Forgets the records of the current key up to `last`.
fn forget<K: Key + ?Sized, V: StateValue, O: 'static>(
    state: &ValueState<TimedRecords<V>>,
    last: Timestamp,
    cx: &mut impl KeyedProcessContext<K, O>,
) {
    // What is not changed need not be in the next checkpoint.
    let first = state.get(cx).and_then(TimedRecords::first);
    if first.is_some_and(|first| first <= last)
        && state.update(cx, |records| records.remove_through(last))
    {
        state.clear(cx);
    }
}

impl<K, A, B, O, F> KeyedCoProcessFunction<K, A, B> for IntervalJoin<A, B, O, F>
where
    K: Key + ?Sized,
    A: StateValue,
    B: StateValue,
    O: Send + 'static,
    F: FnMut(&A, &B) -> O + Send + 'static,
{
    type Out = O;

    fn open(&mut self, cx: &mut KeyedOpenContext<'_, K>) -> Outcome {
        self.late = Late {
            records: cx.metrics.counter("late_records"),
            dropped: cx.metrics.counter("late_records_dropped"),
        };
        self.left = cx.state().value_state("left")?;
        self.right = cx.state().value_state("right")?;
        Ok(())
    }

    fn process_first(&mut self, left: &A, cx: &mut impl KeyedProcessContext<K, O>) -> Outcome {
        let Some(at) = in_time(left, (&self.late_left, &self.late), cx)? else {
            return Ok(());
        };
        let until = at.saturating_add(self.interval.left_kept());
        keep(&self.left, (left, at, until), cx);
        if let Some(rights) = self.right.get(cx) {
            for (other, right) in rights.within(self.interval.of_left(at)) {
                let result = (self.function)(left, right);
                self.results.push((result, at.max(*other)));
            }
        }
        self.emit(cx);
        Ok(())
    }

    fn process_second(&mut self, right: &B, cx: &mut impl KeyedProcessContext<K, O>) -> Outcome {
        let Some(at) = in_time(right, (&self.late_right, &self.late), cx)? else {
            return Ok(());
        };
        let until = at.saturating_add(self.interval.right_kept());
        keep(&self.right, (right, at, until), cx);
        if let Some(lefts) = self.left.get(cx) {
            for (other, left) in lefts.within(self.interval.of_right(at)) {
                let result = (self.function)(left, right);
                self.results.push((result, at.max(*other)));
            }
        }
        self.emit(cx);
        Ok(())
    }

    fn on_timer(
        &mut self,
        at: Timestamp,
        _domain: TimeDomain,
        cx: &mut impl KeyedProcessContext<K, O>,
    ) -> Outcome {
        let interval = self.interval;
        forget(&self.left, at.saturating_sub(interval.left_kept()), cx);
        forget(&self.right, at.saturating_sub(interval.right_kept()), cx);
        Ok(())
    }
}

impl<A, B, O: 'static, F> IntervalJoin<A, B, O, F> {
    fn emit(&mut self, cx: &mut impl ProcessContext<O>) {
        for (result, at) in self.results.drain(..) {
            cx.emit_at(&result, at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_beyond_the_ends_of_time_holds_nothing() {
        let shown = |lower, upper, at| {
            let interval = Interval { lower, upper };
            let times = [
                interval.of_left(Timestamp(at)),
                interval.of_right(Timestamp(at)),
            ];
            times.map(|times| (!times.is_empty()).then(|| (times.start().0, times.end().0)))
        };
        let (first, last) = (i64::MIN, i64::MAX);
        assert_eq!(shown(-3, 5, 10), [Some((7, 15)), Some((5, 13))]);
        assert_eq!(
            shown(-3, 5, last),
            [Some((last - 3, last)), Some((last - 5, last))]
        );
        assert_eq!(shown(2, 5, last), [None, Some((last - 5, last - 2))]);
        assert_eq!(shown(-5, -2, last), [Some((last - 5, last - 2)), None]);
        assert_eq!(shown(-5, -2, first), [None, Some((first + 2, first + 5))]);
    }
}
