//! Watermark strategies: how watermarks are derived from the timestamps of records.
//!
//! A [`WatermarkStrategy`] is part of the job graph; each subtask makes its own
//! [`WatermarkGenerator`] from it and runs it inside a [`WatermarkAssigner`](super::WatermarkAssigner).
//! There is no interval timer: Flink's *periodic* watermark is requested at the end of every
//! batch, so a bounded generator's only cost per record is one maximum.

use std::fmt;
use std::time::Duration;

use super::{AlignmentGroup, Timestamp, nanos};

/// Generates watermarks from the records of one subtask or one split.
///
/// A watermark that is not above the last one is dropped; a generator need not check that.
pub trait WatermarkGenerator<V: ?Sized> {
    /// Whether only the greatest timestamp matters: the generator emits no punctuated watermark, and may be
    /// given many records at once by [`on_greatest`](WatermarkGenerator::on_greatest).
    const NEEDS_GREATEST_ONLY: bool = false;

    /// Processes a record with timestamp `at`. A watermark returned here is *punctuated*: it is sent at
    /// once, after the record.
    fn on_record(&mut self, record: &V, at: Timestamp) -> Option<Timestamp>;

    /// Called with the greatest of some records' timestamps, in place of
    /// [`on_record`](WatermarkGenerator::on_record) for each of them. Called only if the generator
    /// [declares](WatermarkGenerator::NEEDS_GREATEST_ONLY) that this is enough.
    fn on_greatest(&mut self, at: Timestamp) {
        let _ = at;
    }

    /// Returns the *periodic* watermark; called at the end of every batch, even an empty one. `now` is the
    /// processing time of the batch.
    fn on_batch_end(&mut self, now: Timestamp) -> Option<Timestamp>;
}

/// Makes generators: sources and assigners are given one when the job is built.
///
/// ```
/// use thalweg::time::{BoundedOutOfOrderness, WatermarkStrategy, secs};
///
/// let strategy = BoundedOutOfOrderness::of(secs(5)).with_idleness(secs(1));
/// assert_eq!(strategy.idle_timeout(), Some(secs(1)));
/// ```
pub trait WatermarkStrategy: Clone + Send {
    /// The generator it makes; a [`WatermarkGenerator`] of the record type it is used with.
    type Generator;

    /// Makes a generator that has seen nothing.
    fn generator(&self) -> Self::Generator;

    /// How long the subtask must be without records to count as idle. Default: it never does.
    fn idle_timeout(&self) -> Option<Duration> {
        None
    }

    /// How long after one batch's end the next must come even without records, for generators whose watermark moves
    /// with processing time. Default: `None`, only records move it.
    fn interval(&self) -> Option<Duration> {
        None
    }

    /// The group that the readers are aligned with. Default: none.
    fn alignment(&self) -> Option<&AlignmentGroup> {
        None
    }

    /// The same strategy, with its readers aligned with those of `group`.
    fn with_alignment(self, group: &AlignmentGroup) -> WithAlignment<Self> {
        WithAlignment {
            strategy: self,
            group: group.clone(),
        }
    }

    /// The same strategy, with subtasks idle after more than `timeout` without a record.
    ///
    /// # Panics
    /// If `timeout` is zero.
    fn with_idleness(self, timeout: Duration) -> WithIdleness<Self> {
        assert!(!timeout.is_zero(), "the idle timeout is above zero");
        WithIdleness {
            strategy: self,
            timeout,
        }
    }
}

/// A strategy with an idle timeout: see [`WatermarkStrategy::with_idleness`].
#[derive(Clone, Copy, Debug)]
pub struct WithIdleness<S> {
    strategy: S,
    timeout: Duration,
}

impl<S: WatermarkStrategy> WatermarkStrategy for WithIdleness<S> {
    type Generator = S::Generator;

    fn generator(&self) -> S::Generator {
        self.strategy.generator()
    }

    fn idle_timeout(&self) -> Option<Duration> {
        Some(self.timeout)
    }

    fn interval(&self) -> Option<Duration> {
        self.strategy.interval()
    }

    fn alignment(&self) -> Option<&AlignmentGroup> {
        self.strategy.alignment()
    }
}

/// A strategy with an alignment group: see [`WatermarkStrategy::with_alignment`].
#[derive(Clone, Debug)]
pub struct WithAlignment<S> {
    strategy: S,
    group: AlignmentGroup,
}

impl<S: WatermarkStrategy> WatermarkStrategy for WithAlignment<S> {
    type Generator = S::Generator;

    fn generator(&self) -> S::Generator {
        self.strategy.generator()
    }

    fn idle_timeout(&self) -> Option<Duration> {
        self.strategy.idle_timeout()
    }

    fn interval(&self) -> Option<Duration> {
        self.strategy.interval()
    }

    fn alignment(&self) -> Option<&AlignmentGroup> {
        Some(&self.group)
    }
}

/// Flink's default for `pipeline.auto-watermark-interval`.
const INTERVAL: Duration = Duration::from_millis(200);

/// Records are out of order by at most a bound: the watermark is `greatest − bound − 1 ns`.
#[derive(Clone, Copy, Debug)]
pub struct BoundedOutOfOrderness {
    /// The bound and one nanosecond.
    reach: i64,
}

impl BoundedOutOfOrderness {
    /// Creates a strategy for records out of order by at most `bound`.
    #[must_use]
    pub const fn of(bound: Duration) -> Self {
        BoundedOutOfOrderness {
            reach: nanos(bound).saturating_add(1),
        }
    }
}

impl WatermarkStrategy for BoundedOutOfOrderness {
    type Generator = BoundedGenerator;

    fn generator(&self) -> BoundedGenerator {
        BoundedGenerator {
            greatest: Timestamp::MIN.saturating_add(self.reach),
            reach: self.reach,
        }
    }
}

/// Timestamps never decrease: the watermark is `greatest − 1 ns`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Monotonous;

impl WatermarkStrategy for Monotonous {
    type Generator = BoundedGenerator;

    fn generator(&self) -> BoundedGenerator {
        BoundedOutOfOrderness::of(Duration::ZERO).generator()
    }
}

/// The generator of [`BoundedOutOfOrderness`] and [`Monotonous`].
#[derive(Clone, Debug)]
pub struct BoundedGenerator {
    /// The greatest timestamp so far. Starts at `MIN + reach`, so that the first watermark is `MIN` and
    /// the subtraction never overflows.
    greatest: Timestamp,
    reach: i64,
}

impl<V: ?Sized> WatermarkGenerator<V> for BoundedGenerator {
    const NEEDS_GREATEST_ONLY: bool = true;

    #[inline(always)]
    fn on_record(&mut self, _record: &V, at: Timestamp) -> Option<Timestamp> {
        self.greatest = self.greatest.max(at);
        None
    }

    #[inline]
    fn on_greatest(&mut self, at: Timestamp) {
        self.greatest = self.greatest.max(at);
    }

    #[inline]
    fn on_batch_end(&mut self, _now: Timestamp) -> Option<Timestamp> {
        Some(Timestamp(self.greatest.0 - self.reach))
    }
}

/// No watermarks except the one at the end of input: for processing time only, and for batch jobs.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoWatermarks;

impl WatermarkStrategy for NoWatermarks {
    type Generator = NoWatermarks;

    fn generator(&self) -> NoWatermarks {
        NoWatermarks
    }
}

impl<V: ?Sized> WatermarkGenerator<V> for NoWatermarks {
    const NEEDS_GREATEST_ONLY: bool = true;

    #[inline(always)]
    fn on_record(&mut self, _record: &V, _at: Timestamp) -> Option<Timestamp> {
        None
    }

    #[inline]
    fn on_batch_end(&mut self, _now: Timestamp) -> Option<Timestamp> {
        None
    }
}

/// The watermark trails processing time by a fixed span, whatever the records' timestamps.
#[derive(Clone, Copy, Debug)]
pub struct ProcessingTimeLag {
    lag: i64,
}

impl ProcessingTimeLag {
    /// Creates a strategy that trails processing time by `lag`.
    #[must_use]
    pub const fn of(lag: Duration) -> Self {
        ProcessingTimeLag { lag: nanos(lag) }
    }
}

impl WatermarkStrategy for ProcessingTimeLag {
    type Generator = ProcessingTimeLag;

    fn generator(&self) -> ProcessingTimeLag {
        *self
    }

    /// 200 ms.
    fn interval(&self) -> Option<Duration> {
        Some(INTERVAL)
    }
}

impl<V: ?Sized> WatermarkGenerator<V> for ProcessingTimeLag {
    const NEEDS_GREATEST_ONLY: bool = true;

    #[inline(always)]
    fn on_record(&mut self, _record: &V, _at: Timestamp) -> Option<Timestamp> {
        None
    }

    #[inline]
    fn on_batch_end(&mut self, now: Timestamp) -> Option<Timestamp> {
        Some(now.saturating_sub(self.lag))
    }
}

/// Watermarks that a function extracts from the records.
#[derive(Clone)]
pub struct Punctuated<F> {
    function: F,
}

impl<F> Punctuated<F> {
    /// Calls `function` for each record and its timestamp; the watermark it returns is sent after the record.
    #[must_use]
    pub fn new<V: ?Sized>(function: F) -> Self
    where
        F: FnMut(&V, Timestamp) -> Option<Timestamp>,
    {
        Punctuated { function }
    }
}

impl<F: Clone + Send> WatermarkStrategy for Punctuated<F> {
    type Generator = Punctuated<F>;

    fn generator(&self) -> Self {
        self.clone()
    }
}

impl<V: ?Sized, F: FnMut(&V, Timestamp) -> Option<Timestamp>> WatermarkGenerator<V>
    for Punctuated<F>
{
    #[inline(always)]
    fn on_record(&mut self, record: &V, at: Timestamp) -> Option<Timestamp> {
        (self.function)(record, at)
    }

    #[inline]
    fn on_batch_end(&mut self, _now: Timestamp) -> Option<Timestamp> {
        None
    }
}

impl<F> fmt::Debug for Punctuated<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Punctuated").finish_non_exhaustive()
    }
}

/// Watermarks from two functions over a state: one called for each record, one at the end
/// of each batch.
#[derive(Clone)]
pub struct Periodic<S, F, G> {
    state: S,
    note: F,
    watermark: G,
}

impl<S, F, G> Periodic<S, F, G> {
    /// Starts from `state`; `note` is called with each record and its timestamp, `watermark` with the processing
    /// time at the end of each batch.
    #[must_use]
    pub fn new<V: ?Sized>(state: S, note: F, watermark: G) -> Self
    where
        F: FnMut(&mut S, &V, Timestamp),
        G: FnMut(&mut S, Timestamp) -> Option<Timestamp>,
    {
        Periodic {
            state,
            note,
            watermark,
        }
    }
}

impl<S, F, G> WatermarkStrategy for Periodic<S, F, G>
where
    S: Clone + Send,
    F: Clone + Send,
    G: Clone + Send,
{
    type Generator = Periodic<S, F, G>;

    fn generator(&self) -> Self {
        self.clone()
    }

    /// 200 ms: the function may depend on processing time.
    fn interval(&self) -> Option<Duration> {
        Some(INTERVAL)
    }
}

impl<V: ?Sized, S, F, G> WatermarkGenerator<V> for Periodic<S, F, G>
where
    F: FnMut(&mut S, &V, Timestamp),
    G: FnMut(&mut S, Timestamp) -> Option<Timestamp>,
{
    #[inline(always)]
    fn on_record(&mut self, record: &V, at: Timestamp) -> Option<Timestamp> {
        (self.note)(&mut self.state, record, at);
        None
    }

    #[inline]
    fn on_batch_end(&mut self, now: Timestamp) -> Option<Timestamp> {
        (self.watermark)(&mut self.state, now)
    }
}

impl<S: fmt::Debug, F, G> fmt::Debug for Periodic<S, F, G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Periodic")
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{nanoseconds, secs};

    const NOW: Timestamp = Timestamp(1_000);

    fn after(generator: &mut BoundedGenerator, times: &[i64]) -> Option<Timestamp> {
        for &at in times {
            let punctuated = WatermarkGenerator::<()>::on_record(generator, &(), Timestamp(at));
            assert_eq!(punctuated, None, "a bounded generator is periodic");
        }
        WatermarkGenerator::<()>::on_batch_end(generator, NOW)
    }

    #[test]
    fn bounded_watermark_starts_at_min_and_trails_the_greatest_by_bound_and_one() {
        let mut generator = BoundedOutOfOrderness::of(nanoseconds(10)).generator();
        assert_eq!(after(&mut generator, &[]), Some(Timestamp::MIN));
        assert_eq!(after(&mut generator, &[100]), Some(Timestamp(89)));
        assert_eq!(after(&mut generator, &[50, 99]), Some(Timestamp(89)));
        assert_eq!(after(&mut generator, &[200, 150]), Some(Timestamp(189)));
        let mut generator = Monotonous.generator();
        assert_eq!(after(&mut generator, &[]), Some(Timestamp::MIN));
        assert_eq!(after(&mut generator, &[100]), Some(Timestamp(99)));
    }

    #[test]
    fn bounded_watermark_does_not_overflow_at_the_ends_of_time() {
        for bound in [Duration::ZERO, nanoseconds(10), secs(u64::MAX)] {
            let reach = nanos(bound).saturating_add(1);
            let mut generator = BoundedOutOfOrderness::of(bound).generator();
            let lowest = after(&mut generator, &[i64::MIN, i64::MIN + 1]);
            assert_eq!(lowest, Some(Timestamp::MIN));
            let greatest = after(&mut generator, &[i64::MAX]);
            assert_eq!(greatest, Some(Timestamp(i64::MAX - reach)));
        }
    }

    #[test]
    fn no_watermarks_gives_none() {
        let mut generator = NoWatermarks.generator();
        assert_eq!(generator.on_record("record", Timestamp(5)), None);
        assert_eq!(
            WatermarkGenerator::<str>::on_batch_end(&mut generator, NOW),
            None
        );
    }

    #[test]
    fn processing_time_lag_follows_the_clock() {
        let mut generator = ProcessingTimeLag::of(nanoseconds(10)).generator();
        let mut at = |now| WatermarkGenerator::<()>::on_batch_end(&mut generator, now);
        assert_eq!(at(NOW), Some(Timestamp(990)));
        assert_eq!(at(Timestamp::MIN), Some(Timestamp::MIN));
    }

    #[test]
    fn punctuated_watermark_is_immediate() {
        let strategy = Punctuated::new(|marker: &bool, at| marker.then_some(at));
        let mut generator = strategy.generator();
        assert_eq!(generator.on_record(&false, Timestamp(5)), None);
        let watermark = generator.on_record(&true, Timestamp(6));
        assert_eq!(watermark, Some(Timestamp(6)));
        assert_eq!(
            WatermarkGenerator::<bool>::on_batch_end(&mut generator, NOW),
            None
        );
    }

    #[test]
    fn periodic_functions_share_a_state_that_no_other_generator_sees() {
        let strategy = Periodic::new(
            Timestamp::MIN,
            |least: &mut Timestamp, record: &i64, _| *least = Timestamp(*record).max(*least),
            |least: &mut Timestamp, _| Some(*least),
        );
        let (mut one, mut other) = (strategy.generator(), strategy.generator());
        assert_eq!(one.on_record(&7, Timestamp(0)), None);
        let watermark = WatermarkGenerator::<i64>::on_batch_end;
        assert_eq!(watermark(&mut one, NOW), Some(Timestamp(7)));
        assert_eq!(watermark(&mut other, NOW), Some(Timestamp::MIN));
    }

    #[test]
    #[should_panic(expected = "above zero")]
    fn idle_timeout_of_zero_is_refused() {
        let _ = Monotonous.with_idleness(Duration::ZERO);
    }
}
