//! The output: lines for people, or a JSON object for programs.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::format::Format;
use crate::number::{bytes, grouped};

use super::options::{CheckpointOptions, Leg};

/// All runs of a measurement.
pub(super) struct Report<'a> {
    pub(super) options: &'a CheckpointOptions,
    pub(super) legs: &'a [Value],
}

impl Report<'_> {
    /// The report in the format that the options ask for.
    pub(super) fn text(&self) -> String {
        match self.options.format {
            Format::Json => format!("{}\n", self.json()),
            Format::Text => self.lines(),
        }
    }

    fn of(&self, leg: Leg) -> impl Iterator<Item = &Value> {
        self.legs
            .iter()
            .filter(move |value| value["leg"] == leg.name())
    }

    /// The median of a number over the runs of one kind.
    fn median(&self, leg: Leg, number: impl Fn(&Value) -> Option<f64>) -> Option<f64> {
        let mut numbers: Vec<f64> = self.of(leg).filter_map(number).collect();
        numbers.sort_by(f64::total_cmp);
        numbers.get(numbers.len() / 2).copied()
    }

    /// The share of throughput lost to checkpoints, comparing each run with the one before it.
    fn loss(&self) -> Option<f64> {
        let rate = |leg: &Value| leg["changes_per_second"].as_f64();
        let pairs = self.of(Leg::Plain).zip(self.of(Leg::Kept));
        let losses = pairs.filter_map(|(plain, kept)| Some(1.0 - rate(kept)? / rate(plain)?));
        let mut losses: Vec<f64> = losses.collect();
        losses.sort_by(f64::total_cmp);
        losses.get(losses.len() / 2).copied()
    }

    /// The peak memory with checkpoints in excess of that of the state alone, as a share of the latter.
    fn overhead(&self) -> Option<f64> {
        let state = self.median(Leg::Plain, |leg| leg["peak_bytes"].as_f64())?;
        let most = self.median(Leg::Kept, |leg| leg["peak_bytes"].as_f64())?;
        (state > 0.0).then_some(most / state - 1.0)
    }

    fn json(&self) -> Value {
        let options = self.options;
        json!({
            "keys": options.keys,
            "change": options.change.name(),
            "seconds": options.seconds,
            "interval_ms": options.interval.as_millis() as u64,
            "parallelism": options.parallelism,
            "throughput_loss": self.loss(),
            "memory_overhead": self.overhead(),
            "runs": self.legs,
        })
    }

    fn lines(&self) -> String {
        let options = self.options;
        let mut text = format!(
            "{} keys, {} of them change, a checkpoint every {} ms, parallelism {}\n\n",
            grouped(options.keys),
            options.change.name(),
            options.interval.as_millis(),
            options.parallelism,
        );
        // Writing to memory cannot fail.
        for leg in self.legs {
            let _ = if leg["leg"] == Leg::Restore.name() {
                writeln!(
                    text,
                    "restore  {:.1} ms from the start to the first record, every sum checked",
                    number(&leg["to_first_record_ms"]),
                )
            } else {
                writeln!(text, "{}", line(leg))
            };
        }
        let percent = |share: Option<f64>| match share {
            Some(share) => format!("{:.1} %", share * 100.0),
            None => "unknown".to_owned(),
        };
        let _ = writeln!(
            text,
            "\nthroughput lost to checkpoints {}, memory beyond the state {}",
            percent(self.loss()),
            percent(self.overhead()),
        );
        text
    }
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or(f64::NAN)
}

/// The line for a run with or without checkpoints.
fn line(leg: &Value) -> String {
    let stops = |stops: &Value| {
        format!(
            "p50 {:.1} p99 {:.1} p99.9 {:.1} max {:.1} µs",
            number(&stops["p50_us"]),
            number(&stops["p99_us"]),
            number(&stops["p99_9_us"]),
            number(&stops["max_us"]),
        )
    };
    let mut text = format!(
        "{:<7}  {} changes/s  stops {}  turns {}  memory {} of state, {} at most  steal {:.2} %",
        leg["leg"].as_str().unwrap_or_default(),
        grouped(number(&leg["changes_per_second"]) as u64),
        stops(&leg["stops"]),
        stops(&leg["turns"]),
        bytes(leg["state_bytes"].as_u64().unwrap_or(0)),
        bytes(leg["peak_bytes"].as_u64().unwrap_or(0)),
        number(&leg["steal"]) * 100.0,
    );
    let kept = &leg["checkpoints"];
    if kept["count"] != 0 {
        text += &format!(
            "\n         {} checkpoints: longest stops {}, {:.2} bytes written per byte changed",
            kept["count"],
            stops(&kept["stops"]),
            number(&kept["bytes_per_own_byte"]),
        );
    }
    for each in kept["each"].as_array().into_iter().flatten() {
        text += &format!(
            "\n         {:>6}: {:.1} ms, {} entries, {}, longest stop {:.1} µs",
            each["checkpoint"].to_string(),
            number(&each["duration_ms"]),
            grouped(each["entries"].as_u64().unwrap_or(0)),
            bytes(each["file_bytes"].as_u64().unwrap_or(0)),
            number(&each["longest_stop_us"]),
        );
    }
    text
}
