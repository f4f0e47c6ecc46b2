//! The summary: what was read, how fast, what was late, and how long results took.

use std::fmt;
use std::time::Duration;

use thalweg::metrics::MetricSample;
use thalweg::runtime::JobResult;

use crate::duration::shown;
use crate::number::grouped;

use super::job::FLIGHTS;
use super::options::DelaysOptions;
use super::ordered_results::Findings;

/// The percentiles that are shown.
const PERCENTILES: [(&str, f64); 4] =
    [("p50", 50.0), ("p90", 90.0), ("p99", 99.0), ("p99.9", 99.9)];

/// The report at the end of a run.
#[derive(Debug)]
pub(crate) struct Summary {
    parallelism: u32,
    is_paced: bool,
    out_of_orderness: Duration,
    /// From the start of the workers to the end of the last one.
    duration: Duration,
    flights: u64,
    late: u64,
    malformed: u64,
    results: u64,
    /// The number of results whose latency was measured.
    measured: u64,
    latencies: Vec<(&'static str, Duration)>,
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
        let at = |percentile| Duration::from_nanos(latency.value_at_percentile(percentile));
        let mut latencies: Vec<_> = PERCENTILES.map(|(name, rank)| (name, at(rank))).to_vec();
        latencies.push(("max", Duration::from_nanos(latency.max())));
        Summary {
            parallelism: options.parallelism,
            is_paced: options.rate.is_some(),
            out_of_orderness: options.out_of_orderness,
            duration: ended.duration,
            flights: flights_read(&ended.metrics),
            late,
            malformed: ended.total("malformed_rows"),
            results: findings.results,
            measured: latency.len(),
            latencies,
        }
    }
}

/// The number of flights read, from a job's metrics.
pub(crate) fn flights_read(metrics: &[MetricSample]) -> u64 {
    let of_flights = metrics
        .iter()
        .filter(|sample| sample.name == "source_records" && *sample.operator == *FLIGHTS);
    of_flights
        .map(|sample| sample.value.max(0).unsigned_abs())
        .sum()
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let per_second = self.flights as f64 / self.duration.as_secs_f64().max(1e-9);
        writeln!(
            f,
            "records   {} flights in {}: {} records/s at parallelism {}",
            grouped(self.flights),
            shown(self.duration),
            grouped(per_second as u64),
            self.parallelism,
        )?;
        if self.malformed > 0 {
            writeln!(f, "malformed {} rows left out", grouped(self.malformed))?;
        }
        let share = 100.0 * self.late as f64 / (self.flights as f64).max(1.0);
        let bound = jiff::SignedDuration::try_from(self.out_of_orderness).unwrap_or_default();
        writeln!(
            f,
            "late      {} flights ({share:.2} %) came when their hour was over (out-of-orderness {bound:#})",
            grouped(self.late),
        )?;
        writeln!(
            f,
            "results   {} hours of a carrier or an airport",
            grouped(self.results)
        )?;
        if self.measured == 0 {
            return writeln!(
                f,
                "latency   no window was closed before the end of the input"
            );
        }
        let shown = |(name, latency): &(&str, Duration)| format!("{name} {}", shown(*latency));
        let latencies: Vec<_> = self.latencies.iter().map(shown).collect();
        let from = if self.is_paced { "due time" } else { "reading" };
        writeln!(f, "latency   {}", latencies.join("  "))?;
        writeln!(
            f,
            "          of {} results: from the {from} of the flight that closed the hour\n          \
             to the result's leaving the job, in order",
            grouped(self.measured),
        )
    }
}
