//! Records the latency of every record where it arrives.

use hdrhistogram::Histogram;

use super::stopwatch::Stopwatch;

/// The longest latency that can be distinguished from longer ones: 18 minutes.
const NANOS_MAX: u64 = 1 << 40;

/// The number of significant digits of recorded latencies.
const DIGITS: u8 = 3;

/// The percentiles that are reported, next to the maximum.
pub(crate) const PERCENTILES: [(&str, f64); 5] = [
    ("p50", 50.0),
    ("p90", 90.0),
    ("p99", 99.0),
    ("p99.9", 99.9),
    ("p99.99", 99.99),
];

/// The latencies of one sink instance, and the checksum of its records.
#[derive(Clone, Debug)]
pub(crate) struct Recorder {
    stopwatch: Stopwatch,
    /// Records due before this are warm-up and are not recorded.
    recorded_from_nanos: i64,
    latencies: Latencies,
}

/// The findings of one or several recorders.
#[derive(Clone, Debug)]
pub(crate) struct Latencies {
    /// The recorded latencies, in nanoseconds.
    pub(crate) histogram: Histogram<u64>,
    /// The number of all records, including those of the warm-up.
    pub(crate) records: u64,
    /// The sum over all records, for verification.
    pub(crate) checksum: u64,
    /// The latency of the last record.
    pub(crate) last_nanos: u64,
}

impl Latencies {
    /// Nothing yet.
    pub(crate) fn new() -> Self {
        let histogram = Histogram::new_with_bounds(1, NANOS_MAX, DIGITS);
        Latencies {
            histogram: histogram.expect("the bounds are constants and in order"),
            records: 0,
            checksum: 0,
            last_nanos: 0,
        }
    }

    /// Adds the findings of another sink instance.
    pub(crate) fn merge(&mut self, other: &Latencies) {
        self.histogram
            .add(&other.histogram)
            .expect("all histograms have the same bounds");
        self.records += other.records;
        self.checksum = self.checksum.wrapping_add(other.checksum);
        self.last_nanos = self.last_nanos.max(other.last_nanos);
    }

    /// The latency that `percentile` percent of the records do not exceed.
    pub(crate) fn at_percentile(&self, percentile: f64) -> u64 {
        self.histogram.value_at_percentile(percentile)
    }
}

impl Recorder {
    /// An empty recorder, for records due at `recorded_from_nanos` or later.
    pub(crate) fn new(stopwatch: Stopwatch, recorded_from_nanos: i64) -> Self {
        Recorder {
            stopwatch,
            recorded_from_nanos,
            latencies: Latencies::new(),
        }
    }

    /// Records the arrival of a record that was due at `due_nanos`. `summand` is added to the checksum.
    ///
    /// The clock is read for every record: that is the measurement, and its cost is part of the result.
    #[inline(always)]
    pub(crate) fn arrived(&mut self, due_nanos: i64, summand: u64) {
        self.arrived_at(self.stopwatch.nanos(), due_nanos, summand);
    }

    #[inline(always)]
    fn arrived_at(&mut self, now_nanos: i64, due_nanos: i64, summand: u64) {
        let nanos = (now_nanos - due_nanos).max(0).unsigned_abs();
        let latencies = &mut self.latencies;
        latencies.records += 1;
        latencies.checksum = latencies.checksum.wrapping_add(summand);
        latencies.last_nanos = nanos;
        if due_nanos >= self.recorded_from_nanos {
            latencies.histogram.saturating_record(nanos);
        }
    }

    /// The findings.
    pub(crate) fn into_latencies(self) -> Latencies {
        self.latencies
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The smallest latency that `percentile` percent of the sorted ones do not exceed.
    fn naive(sorted: &[u64], percentile: f64) -> u64 {
        let rank = (percentile / 100.0 * sorted.len() as f64).ceil() as usize;
        sorted[rank.clamp(1, sorted.len()) - 1]
    }

    /// Whether two values are equal to three digits.
    fn are_close(a: u64, b: u64) -> bool {
        a.abs_diff(b) as f64 <= a.max(b) as f64 / 1000.0
    }

    proptest! {
        #[test]
        fn percentiles_of_all_instances_are_those_of_the_sorted_latencies(
            latencies in prop::collection::vec((0..2_usize, 0..2_000_i64, 1..1_u64 << 38), 1..300),
        ) {
            const WARM_UP_NANOS: i64 = 1_000;
            let mut recorders =
                [0, 1].map(|_| Recorder::new(Stopwatch::start(), WARM_UP_NANOS));
            for &(instance, due, latency) in &latencies {
                recorders[instance].arrived_at(due + latency as i64, due, latency);
            }
            let [mut merged, other] = recorders.map(Recorder::into_latencies);
            merged.merge(&other);

            let all = latencies.iter().map(|&(_, _, latency)| latency);
            prop_assert_eq!(merged.records, latencies.len() as u64);
            prop_assert_eq!(merged.checksum, all.sum::<u64>());
            let recorded = latencies.iter().filter(|&&(_, due, _)| due >= WARM_UP_NANOS);
            let mut sorted: Vec<u64> = recorded.map(|&(_, _, latency)| latency).collect();
            sorted.sort_unstable();
            prop_assert_eq!(merged.histogram.len(), sorted.len() as u64);
            for percentile in [0.0, 50.0, 90.0, 99.0, 99.9, 99.99, 100.0] {
                if sorted.is_empty() {
                    break;
                }
                let (found, expected) = (merged.at_percentile(percentile), naive(&sorted, percentile));
                prop_assert!(are_close(found, expected), "p{}: {} and {}", percentile, found, expected);
            }
        }
    }

    #[test]
    fn record_that_is_early_or_very_late_is_recorded_as_far_as_can_be_told() {
        let mut recorder = Recorder::new(Stopwatch::start(), 0);
        recorder.arrived_at(5, 6, 0);
        recorder.arrived_at(i64::MAX, 6, 0);
        let latencies = recorder.into_latencies();
        assert_eq!(latencies.histogram.len(), 2);
        assert_eq!(latencies.at_percentile(50.0), 0);
        assert!(latencies.histogram.max() >= NANOS_MAX - 1);
    }
}
