//! What is reported about a run.

use crate::duration::shown;
use crate::number::grouped;

use super::checksum::Total;
use super::stopwatch::Elapsed;

/// One run of a query.
#[derive(Clone, Debug)]
pub(super) struct Measurement {
    pub(super) query: String,
    pub(super) parallelism: u32,
    /// The run's number, from 1.
    pub(super) run: u32,
    /// The number of records read from all inputs.
    pub(super) records: u64,
    pub(super) total: Total,
    pub(super) elapsed: Elapsed,
}

impl Measurement {
    fn records_per_second(&self) -> f64 {
        self.records as f64 / self.elapsed.wall.as_secs_f64().max(1e-9)
    }

    fn user_cpu_ns_per_record(&self) -> f64 {
        self.elapsed.user_cpu.as_nanos() as f64 / (self.records as f64).max(1.0)
    }

    /// One JSON object, in one line.
    pub(super) fn json(&self) -> String {
        format!(
            r#"{{"query":"{}","parallelism":{},"records":{},"rows":{},"seconds":{:.9},"#,
            self.query,
            self.parallelism,
            self.records,
            self.total.rows,
            self.elapsed.wall.as_secs_f64(),
        ) + &format!(
            r#""records_per_second":{:.0},"user_cpu_ns_per_record":{:.3},"checksum":"{:016x}","run":{}}}"#,
            self.records_per_second(),
            self.user_cpu_ns_per_record(),
            self.total.checksum,
            self.run,
        )
    }

    /// One line of text.
    pub(super) fn text(&self) -> String {
        format!(
            "{:<11} p{:<3} {:>11} records in {:>7}: {:>13} records/s, {:>6.1} ns of user CPU each; \
             {:>10} rows, checksum {:016x}",
            self.query,
            self.parallelism,
            grouped(self.records),
            shown(self.elapsed.wall),
            grouped(self.records_per_second() as u64),
            self.user_cpu_ns_per_record(),
            grouped(self.total.rows),
            self.total.checksum,
        )
    }
}
