//! Reports: a job's metrics condensed for human readers, one line per subtask.

use std::fmt;
use std::sync::Arc;

use crate::metrics::MetricSample;
use crate::time::Timestamp;

/// The status of one subtask.
#[derive(Clone, Debug, PartialEq)]
pub struct SubtaskReport {
    /// The name of its vertex.
    pub vertex: Arc<str>,
    /// Its index, from 0.
    pub subtask: u32,
    /// Records that it read from rings.
    pub records_in: u64,
    /// Records that it wrote into rings.
    pub records_out: u64,
    /// Fraction of its time spent working, from 0 to 1.
    pub busy_ratio: f64,
    /// Fraction of its time during which an output was full.
    pub back_pressured_ratio: f64,
    /// Fraction of its time during which there was nothing to do.
    pub idle_ratio: f64,
    /// The watermark of its inputs; `None` for a subtask that starts at a source.
    pub watermark: Option<Timestamp>,
    /// How full its output rings were at the end of its last turn, from 0 to 1.
    pub ring_fill: f64,
}

impl SubtaskReport {
    /// How far the watermark lags behind `now`, in nanoseconds; `None` before the first watermark, at
    /// the end of input, and for sources.
    #[must_use]
    pub fn watermark_lag_nanos(&self, now: Timestamp) -> Option<i64> {
        let watermark = self.watermark?;
        let known = watermark != Timestamp::MIN && watermark != Timestamp::MAX;
        known.then(|| now.0.saturating_sub(watermark.0))
    }
}

/// Builds the reports from a job's metrics, vertex by vertex.
pub(super) fn reports(samples: &[MetricSample]) -> Vec<SubtaskReport> {
    // Every subtask has registered its times; other metrics are under operators' own names.
    let subtasks = samples.iter().filter(|sample| sample.name == "busy_nanos");
    subtasks
        .map(|subtask| report(&subtask.operator, subtask.subtask, samples))
        .collect()
}

fn report(vertex: &Arc<str>, subtask: u32, samples: &[MetricSample]) -> SubtaskReport {
    // Several vertices may have the same name, but each has a string of its own.
    let own = samples
        .iter()
        .filter(|s| Arc::ptr_eq(&s.operator, vertex) && s.subtask == subtask);
    let own: Vec<&MetricSample> = own.collect();
    let sum = |name: &str| {
        own.iter()
            .filter(|s| s.name == name)
            .map(|s| s.value)
            .sum::<i64>()
    };
    let times = [
        sum("busy_nanos"),
        sum("back_pressured_nanos"),
        sum("idle_nanos"),
    ];
    let ratio = |part: i64, whole: i64| {
        if whole > 0 {
            part as f64 / whole as f64
        } else {
            0.0
        }
    };
    let whole = times.iter().sum();
    let watermarks = own
        .iter()
        .filter(|s| s.name == "watermark_nanos")
        .map(|s| s.value);
    SubtaskReport {
        vertex: Arc::clone(vertex),
        subtask,
        records_in: sum("records_in").unsigned_abs(),
        records_out: sum("records_out").unsigned_abs(),
        busy_ratio: ratio(times[0], whole),
        back_pressured_ratio: ratio(times[1], whole),
        idle_ratio: ratio(times[2], whole),
        watermark: watermarks.min().map(Timestamp),
        ring_fill: ratio(sum("output_ring_bytes"), sum("output_ring_capacity_bytes")),
    }
}

impl fmt::Display for SubtaskReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} ({}): in {}, out {}, busy {:.0} %, back-pressured {:.0} %, idle {:.0} %, rings {:.0} %",
            self.vertex,
            self.subtask + 1,
            self.records_in,
            self.records_out,
            self.busy_ratio * 100.0,
            self.back_pressured_ratio * 100.0,
            self.idle_ratio * 100.0,
            self.ring_fill * 100.0,
        )?;
        match self.watermark {
            Some(watermark) => write!(f, ", watermark {watermark}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_gathers_the_metrics_of_its_own_subtask() {
        let sample = |operator: &Arc<str>, subtask, name, value| MetricSample {
            operator: Arc::clone(operator),
            subtask,
            name,
            value,
        };
        let (map, other_map): (Arc<str>, Arc<str>) = ("map".into(), "map".into());
        let samples = [
            sample(&map, 0, "busy_nanos", 75),
            sample(&map, 0, "idle_nanos", 25),
            sample(&map, 0, "records_in", 7),
            sample(&map, 1, "records_in", 100),
            sample(&other_map, 0, "records_in", 1_000),
            sample(&map, 0, "watermark_nanos", 40),
            sample(&map, 0, "watermark_nanos", 30),
        ];
        let reports = reports(&samples);
        assert_eq!(reports.len(), 1);
        assert_eq!((reports[0].records_in, reports[0].busy_ratio), (7, 0.75));
        assert_eq!(reports[0].watermark_lag_nanos(Timestamp(100)), Some(70));
    }
}
