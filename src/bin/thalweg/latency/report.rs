//! The report on a run: a table for people, a JSON object for programs.

use std::fmt::Write;
use std::time::Duration;

use serde_json::{Value, json};

use crate::duration::shown;
use crate::number::grouped;
use crate::table::table;

use super::idle::Idleness;
use super::options::{LatencyOptions, Wait};
use super::processor_time::ProcessorTime;
use super::recorder::PERCENTILES;
use super::run_json::{self, cpu};
use super::trial::{Line, Measurement};

/// A run whose last record arrives later than this has not kept up with its rate.
const BEHIND_NANOS_MAX: u64 = 100_000_000;

/// A run: what was requested, and what was found.
#[derive(Debug)]
pub(crate) struct Report<'a> {
    /// The options of the run.
    pub(crate) options: &'a LatencyOptions,
    /// The number of cores that the process may use.
    pub(crate) cores: usize,
    /// How long reading the clock takes.
    pub(crate) clock_reading_nanos: f64,
    /// One measurement per row.
    pub(crate) measurements: &'a [Measurement],
}

impl Report<'_> {
    /// The report as text.
    pub(crate) fn text(&self) -> String {
        let options = self.options;
        let mut text = format!(
            "{} records/s for {} s after {} s of warm-up; workers wait by `{}`; {} cores; \
             a clock reading takes {:.0} ns\n\n",
            grouped(options.rate),
            options.seconds,
            options.warm_up,
            options.wait.name(),
            self.cores,
            self.clock_reading_nanos,
        );
        for table in [
            latency_table(self.measurements),
            machine_table(self.measurements),
        ] {
            let _ = writeln!(text, "{table}");
        }
        text += &notes(self.measurements);
        text
    }

    /// The report as JSON.
    pub(crate) fn json(&self) -> Value {
        let options = self.options;
        json!({
            "rate": options.rate,
            "seconds": options.seconds,
            "warm_up_seconds": options.warm_up,
            "wait": options.wait.name(),
            "cores": self.cores,
            "clock_reading_nanos": self.clock_reading_nanos,
            "runs": self.measurements.iter().map(run).collect::<Vec<_>>(),
        })
    }
}

fn run(measurement: &Measurement) -> Value {
    let mut run = run_json::run(
        measurement.line.name(),
        measurement.workers,
        &measurement.latencies,
        &measurement.time,
    );
    let apart = measurement
        .cores_apart
        .map(|(before, after)| [before, after]);
    run.insert("cores_apart_nanos".to_owned(), json!(apart));
    Value::Object(run)
}

/// The percentiles of every measurement.
fn latency_table(measurements: &[Measurement]) -> String {
    let mut header = vec!["mode"];
    header.extend(PERCENTILES.map(|(name, _)| name));
    header.extend(["max", "recorded"]);
    let rows = measurements.iter().map(
        |Measurement {
             line, latencies, ..
         }| {
            let mut row = vec![line.name().to_owned()];
            let nanos = PERCENTILES.map(|(_, percentile)| latencies.at_percentile(percentile));
            row.extend(nanos.map(|nanos| shown(Duration::from_nanos(nanos))));
            row.push(shown(Duration::from_nanos(latencies.histogram.max())));
            row.push(grouped(latencies.histogram.len()));
            row
        },
    );
    table(header, 1.., rows)
}

/// What the machine did meanwhile.
fn machine_table(measurements: &[Measurement]) -> String {
    let percent = |share: Option<f64>| told(share.map(|share| share * 100.0), " %");
    let rows = measurements.iter().map(|measurement| {
        let time = &measurement.time;
        vec![
            measurement.line.name().to_owned(),
            match measurement.cores_apart {
                Some((before, after)) => format!("{before:.0}, {after:.0} ns"),
                None => "-".to_owned(),
            },
            percent(time.steal),
            percent(time.waited()),
            told(time.cores(), ""),
            told(time.user_and_system.map(|(_, system)| system), ""),
            threads(time),
        ]
    });
    let header = [
        "mode",
        "cores apart",
        "steal",
        "waited",
        "CPU",
        "in kernel",
        "by thread",
    ];
    table(header, 1..header.len() - 1, rows)
}

fn told(number: Option<f64>, unit: &str) -> String {
    number.map_or_else(|| "-".to_owned(), |number| format!("{number:.2}{unit}"))
}

/// The distance to the floor, as the mean of the ratios to the floor before the hop and after it, and which measurements fell behind.
fn notes(measurements: &[Measurement]) -> String {
    let mut text = String::new();
    let of = |line| measurements.iter().filter(move |found| found.line == line);
    if let (Some(hop), Some(_)) = (of(Line::Hop).next(), of(Line::Rtrb).next()) {
        let ratio = |percentile| {
            let nanos = |found: &Measurement| found.latencies.at_percentile(percentile);
            let ratio = |floor| nanos(hop) as f64 / nanos(floor).max(1) as f64;
            of(Line::Rtrb).map(ratio).sum::<f64>() / of(Line::Rtrb).count() as f64
        };
        let _ = writeln!(
            text,
            "a hop takes {:.2} times as long as one through bare rtrb at p50, {:.2} times at p99, \
             {:.2} times at p99.9",
            ratio(50.0),
            ratio(99.0),
            ratio(99.9),
        );
    }
    for measurement in measurements {
        let behind = measurement.latencies.last_nanos;
        if behind > BEHIND_NANOS_MAX {
            let _ = writeln!(
                text,
                "{} did not keep up: its last record came {} late",
                measurement.line.name(),
                shown(Duration::from_nanos(behind)),
            );
        }
    }
    text
}

fn threads(time: &ProcessorTime) -> String {
    let used = time.threads.iter().filter(|thread| thread.cores >= 0.0005);
    let used: Vec<_> = used
        .map(|thread| format!("{} {:.3}", thread.name, thread.cores))
        .collect();
    match used.is_empty() {
        true => "none".to_owned(),
        false => used.join(", "),
    }
}

/// The report on an idle job as text.
pub(crate) fn idle_text(idleness: &Idleness, wait: Wait, seconds: f64) -> String {
    let Idleness { workers, time } = idleness;
    match time.cores() {
        Some(cores) => format!(
            "an idle job (workers: {workers}, wait: {}) used {:.3} % of a core for {seconds} s: {}\n",
            wait.name(),
            cores * 100.0,
            threads(time),
        ),
        None => "processor times of threads are not available: nothing was measured\n".to_owned(),
    }
}

/// The report on an idle job as JSON.
pub(crate) fn idle_json(idleness: &Idleness, wait: Wait, seconds: f64) -> Value {
    json!({
        "idle": true,
        "workers": idleness.workers,
        "wait": wait.name(),
        "seconds": seconds,
        "cpu": cpu(&idleness.time),
        "steal": idleness.time.steal,
    })
}
