//! The summary: what was read, how fast, what was late, how long results took.

use std::fmt;
use std::time::Duration;

use thalweg::runtime::JobResult;

use crate::duration::shown;

use super::options::DelaysOptions;
use super::ordered_results::Findings;

/// The percentiles that are shown.
const PERCENTILES: [(&str, f64); 4] =
    [("p50", 50.0), ("p90", 90.0), ("p99", 99.0), ("p99.9", 99.9)];

/// What is told of a run at its end.
#[derive(Debug)]
pub(crate) struct Summary {
    parallelism: u32,
    rate: Option<u64>,
    bound: Duration,
    duration: Duration,
    flights: u64,
    late: u64,
    malformed: u64,
    results: u64,
    /// Name and value.
    latencies: Vec<(&'static str, Duration)>,
    measured: u64,
}

impl Summary {
    /// The summary of a job that has ended.
    pub(crate) fn new(
        options: &DelaysOptions,
        ended: &JobResult,
        findings: &Findings,
        late: u64,
    ) -> Self {
        let latency = &findings.latency;
        let percentile = |&(name, percentile): &(&'static str, f64)| {
            (
                name,
                Duration::from_nanos(latency.value_at_percentile(percentile)),
            )
        };
        let mut latencies: Vec<_> = PERCENTILES.iter().map(percentile).collect();
        latencies.push(("max", Duration::from_nanos(latency.max())));
        Summary {
            parallelism: options.parallelism,
            rate: options.rate,
            bound: options.out_of_orderness,
            duration: ended.duration,
            flights: ended.records(),
            late,
            malformed: ended.total("malformed_rows"),
            results: findings.results,
            latencies,
            measured: latency.len(),
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.duration.as_secs_f64();
        let rate = if seconds > 0.0 {
            self.flights as f64 / seconds
        } else {
            0.0
        };
        writeln!(
            f,
            "records   {} in {}",
            grouped(self.flights),
            shown(self.duration)
        )?;
        writeln!(f, "rate      {} records/s", grouped(rate as u64))
    }
}

/// A number with commas between thousands.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let groups = digits.as_bytes().rchunks(3).rev();
    let groups = groups.map(|group| String::from_utf8_lossy(group).into_owned());
    groups.collect::<Vec<_>>().join(",")
}
