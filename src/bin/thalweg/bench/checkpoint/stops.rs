//! How long processing stood still, and when.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde_json::{Value, json};

/// The longest stop that can be distinguished from longer ones: one minute.
const NANOS_MAX: u64 = 60_000_000_000;
/// Stops of at least this length are stored with their time.
const LONG: Duration = Duration::from_micros(20);
/// The maximum number of such stops; their memory is allocated in advance.
const LONG_MAX: usize = 1 << 18;

/// The stops of one reader.
#[derive(Clone, Debug)]
pub(super) struct Stops {
    /// From the end of a poll that emitted records to the start of the next, in nanoseconds.
    gaps: Histogram<u64>,
    /// From start to start.
    turns: Histogram<u64>,
    long: Vec<(Instant, Duration)>,
    /// The start and end of the last poll that emitted records.
    last: Option<(Instant, Instant)>,
}

fn histogram() -> Histogram<u64> {
    let histogram = Histogram::new_with_bounds(1, NANOS_MAX, 3);
    let mut histogram = histogram.expect("the bounds are constants and in order");
    // Touches the memory: the first touch of a huge page is itself a stop of milliseconds.
    histogram.clear();
    histogram
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos())
        .unwrap_or(u64::MAX)
        .max(1)
}

impl Stops {
    pub(super) fn new() -> Self {
        // Memory that has been touched, see `histogram`.
        let mut long = vec![(Instant::now(), LONG); LONG_MAX];
        long.clear();
        Stops {
            gaps: histogram(),
            turns: histogram(),
            long,
            last: None,
        }
    }

    /// Records a poll from `begin` to `end` that emitted records.
    #[inline]
    pub(super) fn note(&mut self, begin: Instant, end: Instant) {
        if let Some((last_begin, last_end)) = self.last.replace((begin, end)) {
            let gap = begin - last_end;
            self.gaps.saturating_record(nanos(gap));
            self.turns.saturating_record(nanos(begin - last_begin));
            if gap >= LONG && self.long.len() < LONG_MAX {
                self.long.push((last_end, gap));
            }
        }
    }

    pub(super) fn merge(&mut self, other: &Stops) {
        let same = "all histograms have the same bounds";
        self.gaps.add(&other.gaps).expect(same);
        self.turns.add(&other.turns).expect(same);
        self.long.extend(&other.long);
    }

    /// The longest stop that began between two moments; zero if there was no long one.
    pub(super) fn longest(&self, from: Instant, to: Instant) -> Duration {
        let between = self.long.iter().filter(|(at, _)| (from..=to).contains(at));
        between.map(|(_, gap)| *gap).max().unwrap_or_default()
    }

    pub(super) fn gaps(&self) -> Value {
        percentiles(&self.gaps)
    }

    pub(super) fn turns(&self) -> Value {
        percentiles(&self.turns)
    }
}

/// Percentiles of the stops of checkpoints, one per checkpoint.
pub(super) fn percentiles_of(stops: impl Iterator<Item = Duration>) -> Value {
    let mut all = histogram();
    stops.for_each(|stop| all.saturating_record(nanos(stop)));
    percentiles(&all)
}

/// Percentiles in microseconds.
fn percentiles(histogram: &Histogram<u64>) -> Value {
    let at = |percentile| histogram.value_at_percentile(percentile) as f64 / 1e3;
    json!({
        "p50_us": at(50.0),
        "p99_us": at(99.0),
        "p99_9_us": at(99.9),
        "max_us": histogram.max() as f64 / 1e3,
        "count": histogram.len(),
    })
}
