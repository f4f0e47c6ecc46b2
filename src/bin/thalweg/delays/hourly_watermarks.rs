//! Watermarks that advance by whole hours, and the times at which they did.
//!
//! To hourly windows a watermark matters only where an hour ends, so this strategy emits one there and nowhere else:
//! at the end of the last hour that lies entirely before `greatest − bound`. It is emitted right after the record
//! that caused it, not at the end of a batch. So which flights are late depends only on the order of the rows, not on
//! timing, batches or the parallelism.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use thalweg::operator::TimeWindow;
use thalweg::time::{
    Clock, Timestamp, WatermarkGenerator, WatermarkStrategy, hours, nanos, window_start,
};

use super::flight::Flight;

/// When windows were closed: written once per hour of event time, by the source's subtask.
///
/// A window is closed by the first record whose watermark passes its end. If the source has a rate, the time recorded
/// is when that record was *due*, so that the latency does not look better when the source falls behind.
#[derive(Clone, Debug, Default)]
pub(crate) struct Closings(Arc<Mutex<BTreeMap<Timestamp, u64>>>);

impl Closings {
    fn note(&self, watermark: Timestamp, moment: u64) {
        let mut moments = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        moments.insert(watermark, moment);
    }

    /// The greatest watermark so far, if any.
    pub(crate) fn watermark(&self) -> Option<Timestamp> {
        let moments = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        moments.keys().next_back().copied()
    }

    /// The time at which a record closed `window`, in nanoseconds of the monotonic clock; `None` if only the end of
    /// the input closed it.
    pub(crate) fn moment(&self, window: TimeWindow) -> Option<u64> {
        let moments = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (_, moment) = moments.range(window.max_timestamp()..).next()?;
        Some(*moment)
    }
}

/// A watermark strategy by which flights are out of order by at most a bound, or late.
#[derive(Clone, Debug)]
pub(crate) struct HourlyWatermarks {
    bound: i64,
    records_per_second: Option<u64>,
    closings: Closings,
}

impl HourlyWatermarks {
    /// Watermarks that trail the latest scheduled departure by `bound`, recorded in `closings`; with the source's
    /// rate, if it has one.
    pub(crate) fn new(
        bound: Duration,
        records_per_second: Option<u64>,
        closings: &Closings,
    ) -> Self {
        HourlyWatermarks {
            bound: nanos(bound),
            records_per_second,
            closings: closings.clone(),
        }
    }
}

impl WatermarkStrategy for HourlyWatermarks {
    type Generator = HourlyGenerator;

    fn generator(&self) -> HourlyGenerator {
        HourlyGenerator {
            strategy: self.clone(),
            clock: Clock::System,
            next_hour: Timestamp::MIN,
            records: 0,
            first_moment: 0,
        }
    }
}

/// The generator of [`HourlyWatermarks`].
#[derive(Debug)]
pub(crate) struct HourlyGenerator {
    strategy: HourlyWatermarks,
    clock: Clock,
    /// Records scheduled at this time or later advance the watermark.
    next_hour: Timestamp,
    records: u64,
    first_moment: u64,
}

impl HourlyGenerator {
    /// Closes the hours that are over when `at` is the latest scheduled departure; returns the watermark.
    #[cold]
    fn close_hours(&mut self, at: Timestamp) -> Timestamp {
        let hour = nanos(hours(1));
        let end = window_start(at.saturating_sub(self.strategy.bound), hour, 0);
        self.next_hour = end.saturating_add(hour).saturating_add(self.strategy.bound);
        let watermark = end.saturating_sub(1);
        let now = self.clock.monotonic_nanos();
        if self.records == 0 {
            self.first_moment = now;
        }
        let moment = match self.strategy.records_per_second {
            Some(rate) => {
                let due = u128::from(self.records) * 1_000_000_000 / u128::from(rate);
                let due = self
                    .first_moment
                    .saturating_add(u64::try_from(due).unwrap_or(u64::MAX));
                due.min(now)
            }
            None => now,
        };
        self.strategy.closings.note(watermark, moment);
        watermark
    }
}

impl WatermarkGenerator<Flight> for HourlyGenerator {
    #[inline]
    fn on_record(&mut self, _flight: &Flight, at: Timestamp) -> Option<Timestamp> {
        let watermark = (at >= self.next_hour).then(|| self.close_hours(at));
        self.records += 1;
        watermark
    }

    fn on_batch_end(&mut self, _now: Timestamp) -> Option<Timestamp> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytemuck::Zeroable;
    use thalweg::time::mins;

    const HOUR: i64 = 3_600_000_000_000;

    #[test]
    fn watermark_is_the_end_of_the_last_whole_hour_behind_the_bound() {
        let closings = Closings::default();
        let mut generator = HourlyWatermarks::new(mins(30), None, &closings).generator();
        let mut at = |minutes: i64| {
            let watermark = generator.on_record(&Flight::zeroed(), Timestamp(minutes * HOUR / 60));
            watermark.map(|w| (w.0 + 1) / (HOUR / 60))
        };
        assert_eq!(at(90), Some(60));
        assert_eq!(at(100), None);
        assert_eq!(at(149), None);
        assert_eq!(at(60), None);
        assert_eq!(at(150), Some(120));
        assert_eq!(at(400), Some(360));
    }

    #[test]
    fn window_is_closed_by_the_first_watermark_that_passes_its_end() {
        let window = |hour: i64| TimeWindow {
            start: Timestamp(hour * HOUR),
            end: Timestamp((hour + 1) * HOUR),
        };
        let closings = Closings::default();
        closings.note(Timestamp(2 * HOUR - 1), 7);
        closings.note(Timestamp(5 * HOUR - 1), 9);
        let moments: Vec<_> = (0..6).map(|hour| closings.moment(window(hour))).collect();
        assert_eq!(moments, [Some(7), Some(7), Some(9), Some(9), Some(9), None]);
    }
}
