//! The sink of results: sorts them, measures their latency and prints them.
//!
//! Results arrive from several subtasks in no particular order. They are held until the watermark has passed their
//! window and are then emitted in order, while the job runs: the same text in every run, at every parallelism.

use std::fmt::Write as _;
use std::io::{self, Write as _};

use hdrhistogram::Histogram;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use thalweg::operator::{Outcome, Prepared, Sink, SinkWriter};
use thalweg::record::{Scratch, StateValue, View};
use thalweg::time::{Clock, Timestamp};

use super::hourly_delays::{COLUMNS, HourlyDelays};
use super::hourly_watermarks::Closings;
use super::worst_hours::WorstHours;

/// The longest latency that can be distinguished from longer ones, in nanoseconds: one hour.
const LATENCY_MAX: u64 = 3_600_000_000_000;

/// What is written to standard output for every result.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Lines {
    /// Nothing.
    None,
    /// A JSON object per line.
    Json,
    /// A row per result, after a header.
    Csv,
}

/// What is known about all results once the job has ended.
#[derive(Debug)]
pub(crate) struct Findings {
    pub(crate) results: u64,
    pub(crate) worst: WorstHours,
    /// Latencies in nanoseconds of the results whose window was closed by a record.
    pub(crate) latency: Histogram<u64>,
}

impl Findings {
    fn new() -> Self {
        Findings {
            results: 0,
            worst: WorstHours::default(),
            latency: Histogram::new_with_max(LATENCY_MAX, 3).expect("the bounds are constants"),
        }
    }
}

/// The sink. Clones share their findings.
#[derive(Clone, Debug)]
pub(crate) struct OrderedResults {
    lines: Lines,
    closings: Closings,
    findings: Arc<Mutex<Findings>>,
}

impl OrderedResults {
    /// A sink that prints `lines` and measures latencies from the times in `closings`.
    pub(crate) fn new(lines: Lines, closings: &Closings) -> Self {
        OrderedResults {
            lines,
            closings: closings.clone(),
            findings: Arc::new(Mutex::new(Findings::new())),
        }
    }

    /// The findings so far.
    pub(crate) fn findings(&self) -> MutexGuard<'_, Findings> {
        self.findings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sink<View<HourlyDelays>> for OrderedResults {
    type Writer = OrderedWriter;

    fn writer(&self, _index: u32, _parallelism: u32) -> OrderedWriter {
        let mut text = String::new();
        if self.lines == Lines::Csv {
            push_row(&mut text, &COLUMNS);
        }
        OrderedWriter {
            sink: self.clone(),
            clock: Clock::System,
            pending: Vec::new(),
            text,
        }
    }
}

/// The writer of [`OrderedResults`]' only subtask.
#[derive(Debug)]
pub(crate) struct OrderedWriter {
    sink: OrderedResults,
    clock: Clock,
    /// Results whose window the watermark has not passed yet.
    pending: Vec<HourlyDelays>,
    /// Lines that have not been printed yet.
    text: String,
}

impl OrderedWriter {
    fn release(&mut self, watermark: Timestamp) {
        let is_over = |result: &mut HourlyDelays| result.window().max_timestamp() <= watermark;
        let mut ready: Vec<_> = self.pending.extract_if(.., is_over).collect();
        if ready.is_empty() {
            return;
        }
        ready.sort_unstable_by_key(HourlyDelays::place);
        let now = self.clock.monotonic_nanos();
        let mut findings = self.sink.findings();
        for result in &ready {
            findings.results += 1;
            findings.worst.add(result);
            if let Some(moment) = self.sink.closings.moment(result.window()) {
                findings
                    .latency
                    .saturating_record(now.saturating_sub(moment));
            }
        }
        drop(findings);
        for result in &ready {
            match self.sink.lines {
                Lines::None => {}
                Lines::Json => {
                    // Writing to memory cannot fail.
                    let _ = writeln!(self.text, "{result}");
                }
                Lines::Csv => push_row(&mut self.text, &result.fields()),
            }
        }
    }
}

impl SinkWriter<View<HourlyDelays>> for OrderedWriter {
    fn write(&mut self, result: &View<HourlyDelays>, _at: Timestamp) -> Outcome {
        self.pending.push(result.to_owned());
        Ok(())
    }

    fn watermark(&mut self, at: Timestamp) -> Outcome {
        self.release(at);
        Ok(())
    }

    fn flush(&mut self) -> Outcome {
        if self.text.is_empty() {
            return Ok(());
        }
        let mut out = io::stdout().lock();
        let printed = out
            .write_all(self.text.as_bytes())
            .and_then(|()| out.flush());
        self.text.clear();
        Ok(printed?)
    }

    /// Pending results are stored; which ones were printed is not, so a result may be printed twice.
    fn prepare(&mut self, _checkpoint: u64, prepared: &mut Prepared) -> Outcome {
        for result in &self.pending {
            let mut bytes = Vec::new();
            result.encode(&mut Scratch::default(), &mut bytes);
            prepared.keep(bytes);
        }
        self.flush()
    }

    fn recover(&mut self, kept: Vec<Vec<u8>>) -> Outcome {
        for bytes in kept {
            self.pending.push(HourlyDelays::decode(&bytes)?);
        }
        Ok(())
    }

    fn finish(&mut self) -> Outcome {
        self.release(Timestamp::MAX);
        self.flush()
    }
}

/// Appends a CSV row, quoted where necessary.
fn push_row(text: &mut String, fields: &[impl AsRef<str>]) {
    for (index, field) in fields.iter().enumerate() {
        let field = field.as_ref();
        let comma = if index > 0 { "," } else { "" };
        if field.contains([',', '"', '\n', '\r']) {
            let quoted = field.replace('"', "\"\"");
            text.extend([comma, "\"", &quoted, "\""]);
        } else {
            text.extend([comma, field]);
        }
    }
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::push_row;

    #[test]
    fn fields_with_commas_and_quotes_are_quoted() {
        let mut text = String::new();
        push_row(&mut text, &["UA", "", "Air \"X\", Inc."]);
        assert_eq!(text, "UA,,\"Air \"\"X\"\", Inc.\"\n");
    }
}
