//! How long the processing stood still, and when.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde_json::{Value, json};

/// The longest stop that is told from longer ones: a minute.
const NANOS_MAX: u64 = 60_000_000_000;
/// Stops that are at least so long are kept with their moment.
const LONG: Duration = Duration::from_micros(20);
/// So many of them at most: memory for them is there before they come.
const LONG_MAX: usize = 1 << 18;

/// The stops of one reader.
#[derive(Clone, Debug)]
pub(super) struct Stops {
    /// From the end of a poll that emitted to the begin of the next, in nanoseconds.
    gaps: Histogram<u64>,
    /// From begin to begin.
    turns: Histogram<u64>,
    long: Vec<(Instant, Duration)>,
    /// The begin and the end of the last poll that emitted.
    last: Option<(Instant, Instant)>,
}

fn histogram() -> Histogram<u64> {
    let histogram = Histogram::new_with_bounds(1, NANOS_MAX, 3);
    let mut histogram = histogram.expect("the bounds are constants and in order");
    // Touches its memory: the first touch of a huge page is itself a stop of milliseconds.
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
        // Room that has been touched, see `histogram`.
        let mut long = vec![(Instant::now(), LONG); LONG_MAX];
        long.clear();
        Stops {
            gaps: histogram(),
            turns: histogram(),
            long,
            last: None,
        }
    }

    /// A poll from `begin` to `end` has emitted records.
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

    /// The longest stop that began between two moments; those that are not long count for none.
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

/// The stops of checkpoints, one each.
pub(super) fn percentiles_of(stops: impl Iterator<Item = Duration>) -> Value {
    let mut all = histogram();
    stops.for_each(|stop| all.saturating_record(nanos(stop)));
    percentiles(&all)
}

/// In microseconds.
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
