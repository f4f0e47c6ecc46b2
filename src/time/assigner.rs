//! The watermark assigner: a generator, the last watermark it sent, and the idleness of its subtask.
//!
//! Flink's `TimestampsAndWatermarksOperator` without the operator. Invariant: the watermarks it sends never
//! decrease, idleness is sent once, and a watermark sent while idle is preceded by [`TimeSignal::Active`].

use std::time::Duration;

use super::{Idleness, TimeSignal, TimeSignals, Timestamp, WatermarkGenerator, WatermarkStrategy};

/// What the idleness check needs to know about a batch.
#[derive(Clone, Copy, Debug)]
pub struct BatchEnd {
    /// Processing time, read once for the batch.
    pub now: Timestamp,
    /// Records seen since the start of the subtask.
    pub records_seen: u64,
    /// Time spent waiting for room downstream since the end of the last batch.
    pub back_pressured: Duration,
}

/// Runs the generator of one subtask and decides what is sent.
#[derive(Clone, Debug)]
pub struct WatermarkAssigner<G> {
    generator: G,
    idleness: Option<Idleness>,
    last_output: Timestamp,
    idle: bool,
}

impl<G> WatermarkAssigner<G> {
    /// Creates an assigner that has seen nothing.
    #[must_use]
    pub fn new<S: WatermarkStrategy<Generator = G>>(strategy: &S) -> Self {
        WatermarkAssigner {
            generator: strategy.generator(),
            idleness: strategy.idle_timeout().map(Idleness::new),
            last_output: Timestamp::MIN,
            idle: false,
        }
    }

    /// The last watermark that was sent; [`Timestamp::MIN`] before the first.
    #[inline]
    #[must_use]
    pub fn watermark(&self) -> Timestamp {
        self.last_output
    }

    /// Whether [`TimeSignal::Idle`] was the last status sent.
    #[inline]
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.idle
    }

    /// When a batch, even an empty one, should end for idleness to be noticed; `now` is the processing
    /// time of the last one. `None` if there is no idleness to detect.
    #[must_use]
    pub fn deadline(&self, now: Timestamp) -> Option<Timestamp> {
        let idleness = self.idleness.as_ref().filter(|_| !self.idle)?;
        Some(idleness.deadline().unwrap_or(now))
    }

    /// Processes a record and returns what to send after it. With a periodic generator that is
    /// nothing, and the compiler can tell.
    #[inline(always)]
    pub fn on_record<V: ?Sized>(&mut self, record: &V, at: Timestamp) -> TimeSignals
    where
        G: WatermarkGenerator<V>,
    {
        match self.generator.on_record(record, at) {
            Some(watermark) => self.emit(watermark),
            None => TimeSignals::NONE,
        }
    }

    /// The greatest timestamp of some records, for a generator that needs nothing else.
    #[inline(always)]
    pub fn on_greatest<V: ?Sized>(&mut self, at: Timestamp)
    where
        G: WatermarkGenerator<V>,
    {
        debug_assert!(G::NEEDS_GREATEST_ONLY);
        self.generator.on_greatest(at);
    }

    /// Ends a batch, empty or not: returns idleness, or else the periodic watermark.
    pub fn on_batch_end<V: ?Sized>(&mut self, batch: BatchEnd) -> TimeSignals
    where
        G: WatermarkGenerator<V>,
    {
        if let Some(idleness) = &mut self.idleness {
            idleness.on_back_pressure(batch.back_pressured);
            if idleness.check(batch.now, batch.records_seen) {
                let became_idle = !std::mem::replace(&mut self.idle, true);
                return TimeSignals::of(became_idle.then_some(TimeSignal::Idle), None);
            }
        }
        match self.generator.on_batch_end(batch.now) {
            Some(watermark) => self.emit(watermark),
            None => TimeSignals::NONE,
        }
    }

    fn emit(&mut self, watermark: Timestamp) -> TimeSignals {
        if watermark <= self.last_output {
            return TimeSignals::NONE;
        }
        self.last_output = watermark;
        let became_active = std::mem::replace(&mut self.idle, false);
        TimeSignals::of(
            became_active.then_some(TimeSignal::Active),
            Some(TimeSignal::Watermark(watermark)),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{BoundedOutOfOrderness, Monotonous, Punctuated, nanoseconds};
    use TimeSignal::{Active, Idle, Watermark};

    fn batch(now: i64, records_seen: u64) -> BatchEnd {
        BatchEnd {
            now: Timestamp(now),
            records_seen,
            back_pressured: Duration::ZERO,
        }
    }

    fn watermark(at: i64) -> TimeSignal {
        Watermark(Timestamp(at))
    }

    #[test]
    fn watermark_goes_out_at_the_end_of_a_batch_only_when_it_grew() {
        let strategy = BoundedOutOfOrderness::of(nanoseconds(2));
        let mut assigner = WatermarkAssigner::new(&strategy);
        let first = assigner.on_batch_end::<()>(batch(0, 0));
        assert!(first.is_empty(), "MIN is not above MIN");
        assert!(assigner.on_record(&(), Timestamp(10)).is_empty());
        let grown = assigner.on_batch_end::<()>(batch(1, 1));
        assert_eq!(grown, TimeSignals::one(watermark(7)));
        assert!(assigner.on_record(&(), Timestamp(9)).is_empty());
        assert!(assigner.on_batch_end::<()>(batch(2, 2)).is_empty());
        assert_eq!(assigner.watermark(), Timestamp(7));
    }

    #[test]
    fn punctuated_watermark_that_does_not_grow_is_dropped() {
        let mut assigner = WatermarkAssigner::new(&Punctuated::new(|(): &(), at| Some(at)));
        let mut send = |at| assigner.on_record(&(), Timestamp(at)).collect::<Vec<_>>();
        assert_eq!(send(5), [watermark(5)]);
        assert_eq!(send(5), []);
        assert_eq!(send(4), []);
        assert_eq!(send(6), [watermark(6)]);
    }

    #[test]
    fn idle_is_sent_once_and_the_next_watermark_marks_active() {
        let mut assigner = WatermarkAssigner::new(&Monotonous.with_idleness(nanoseconds(10)));
        let mut end = |record: Option<i64>, now, seen| {
            if let Some(at) = record {
                assert!(assigner.on_record(&(), Timestamp(at)).is_empty());
            }
            let sent = assigner.on_batch_end::<()>(batch(now, seen));
            sent.collect::<Vec<_>>()
        };
        assert_eq!(end(Some(5), 0, 1), [watermark(4)]);
        assert_eq!(end(None, 1, 1), []);
        assert_eq!(end(None, 12, 1), [Idle]);
        assert_eq!(end(None, 13, 1), [], "idle is sent once");
        assert_eq!(end(Some(3), 14, 2), [], "a late record moves nothing");
        assert_eq!(end(None, 15, 2), []);
        assert_eq!(end(None, 26, 2), [], "downstream still holds it idle");
        assert_eq!(end(Some(9), 27, 3), [Active, watermark(8)]);
        assert_eq!(end(None, 28, 3), []);
        assert_eq!(end(None, 39, 3), [Idle], "idle again");
    }

    #[test]
    fn back_pressured_subtask_is_not_idle() {
        let mut assigner = WatermarkAssigner::new(&Monotonous.with_idleness(nanoseconds(10)));
        assert!(assigner.on_batch_end::<()>(batch(0, 0)).is_empty());
        let stalled = BatchEnd {
            back_pressured: nanoseconds(95),
            ..batch(100, 0)
        };
        assert!(assigner.on_batch_end::<()>(stalled).is_empty());
        let idle = assigner.on_batch_end::<()>(batch(106, 0));
        assert_eq!(idle, TimeSignals::one(Idle));
    }
}
