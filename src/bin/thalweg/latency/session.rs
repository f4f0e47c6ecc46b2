//! A run of the command: measures the modes in turn, verifies and reports them.

use std::cell::OnceCell;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use crate::error::Failure;
use crate::format::Format;

use super::dataflow::{self, Shape};
use super::options::{LatencyOptions, Mode};
use super::report::{Report, idle_json, idle_text};
use super::stopwatch::Stopwatch;
use super::tick::{sum_below, sum_of_counts};
use super::trial::{Line, Measurement, Setup};
use super::{embedded, idle, percentile_plot, ring_hop};

/// Measures as `options` specify, and reports the findings.
///
/// # Errors
/// If options contradict each other, a job fails, a count is missing, or the output cannot be written.
pub(crate) fn run(options: &LatencyOptions) -> Result<(), Failure> {
    options.check()?;
    if options.idle {
        return run_idle(options);
    }
    // A file that cannot be written is detected before the measurement, not after it; until then its contents stay.
    if let Some(path) = &options.plot {
        let opened = File::options().append(true).create(true).open(path);
        opened.map_err(|error| cannot_write(path, &error))?;
    }
    let setup = Setup {
        rate: options.rate,
        warm_up: options.warm_up,
        seconds: options.seconds,
        wait: options.wait.strategy(),
        cores: core_affinity::get_core_ids().unwrap_or_default(),
    };
    let clock_reading_nanos = Stopwatch::start().reading_nanos();
    let mut measurements = measure(options, &setup)?;
    check(&measurements, setup.schedule(0).count)?;
    measurements.sort_by_key(|found| found.line);
    let report = Report {
        options,
        cores: setup.cores.len(),
        clock_reading_nanos,
        measurements: &measurements,
    };
    tell(match options.format {
        Format::Text => report.text(),
        Format::Json => format!("{:#}\n", report.json()),
    })?;
    if let Some(path) = &options.plot {
        let caption = format!(
            "{} records/s, workers wait by {}",
            crate::number::grouped(options.rate),
            options.wait.name(),
        );
        let plot = percentile_plot::draw(&caption, &measurements)?;
        std::fs::write(path, plot).map_err(|error| cannot_write(path, &error))?;
    }
    Ok(())
}

fn cannot_write(path: &Path, error: &io::Error) -> Failure {
    Failure::new(format_args!("cannot write {}: {error}", path.display()))
}

fn run_idle(options: &LatencyOptions) -> Result<(), Failure> {
    let (wait, seconds) = (options.wait, options.seconds);
    let idleness = idle::measure(options.workers_or(2), wait.strategy(), seconds)?;
    tell(match options.format {
        Format::Text => idle_text(&idleness, wait, seconds),
        Format::Json => format!("{:#}\n", idle_json(&idleness, wait, seconds)),
    })
}

fn tell(text: String) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}

fn measure(options: &LatencyOptions, setup: &Setup) -> Result<Vec<Measurement>, Failure> {
    // The floor is measured before and after the hop: a machine that becomes faster or slower favours neither.
    let lines: &[Line] = match options.mode {
        Mode::Hop => &[Line::Rtrb, Line::Hop, Line::Rtrb],
        Mode::Fused => &[Line::Fused],
        Mode::Embedded => &[Line::Embedded],
        Mode::Ring => &[Line::Ring, Line::Rtrb],
        Mode::All => &[
            Line::Ring,
            Line::Rtrb,
            Line::Hop,
            Line::Rtrb,
            Line::Fused,
            Line::Embedded,
        ],
    };
    let measured = lines.iter().map(|line| {
        let shape = match line {
            Line::Fused => Shape::Fused,
            _ => Shape::Hop {
                workers: options.workers_or(2),
            },
        };
        let workers = match line {
            Line::Ring | Line::Rtrb => 0,
            Line::Fused | Line::Hop => shape.workers(),
            Line::Embedded => options.workers_or(1),
        };
        Measurement::of(setup, *line, workers, || match line {
            Line::Ring => ring_hop::measure_ring(setup),
            Line::Rtrb => ring_hop::measure_rtrb(setup),
            Line::Fused | Line::Hop => dataflow::measure(setup, shape),
            Line::Embedded => embedded::measure(setup, workers),
        })
    });
    measured.collect()
}

/// Checks that every record has arrived and every key was counted correctly.
fn check(measurements: &[Measurement], records: u64) -> Result<(), Failure> {
    let counts = OnceCell::new();
    for Measurement {
        line, latencies, ..
    } in measurements
    {
        let expected = match line {
            Line::Ring | Line::Rtrb => sum_below(records),
            Line::Fused | Line::Hop | Line::Embedded => {
                *counts.get_or_init(|| sum_of_counts(records))
            }
        };
        if (latencies.records, latencies.checksum) != (records, expected) {
            return Err(Failure::new(format_args!(
                "{}: {} of {records} records arrived, and add up to {} instead of {expected}: \
                 this is a defect",
                line.name(),
                latencies.records,
                latencies.checksum,
            )));
        }
    }
    Ok(())
}
