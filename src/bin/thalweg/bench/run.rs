//! Runs queries and reports how long they took.

use std::io::{self, Write};

use clap::ValueEnum;
use thalweg::runtime::JobError;

use crate::error::{Failure, say};
use crate::format::Format;
use crate::number::grouped;

use super::checkpoint;
use super::draft::Draft;
use super::input::X10_SUFFIX;
use super::measurement::Measurement;
use super::options::{BenchOptions, Task};
use super::query::Query;

/// Runs the queries named by `options`, or lists all of them.
///
/// # Errors
/// If options contradict each other, an input cannot be read or the output cannot be written.
pub(crate) fn run(options: &BenchOptions) -> Result<(), Failure> {
    if let Some(Task::Checkpoint(options)) = &options.task {
        return checkpoint::run(options);
    }
    let mut out = io::stdout().lock();
    if options.list {
        for query in Query::value_variants() {
            writeln!(out, "{:<11}  {}", query.name(), query.about())?;
        }
        return Ok(());
    }
    options.check()?;
    for query in &options.queries {
        if !options.no_warm_up {
            measure(*query, options, 0)?;
        }
        for number in 1..=options.runs {
            let measurement = measure(*query, options, number)?;
            let line = match options.format {
                Format::Text => measurement.text(),
                Format::Json => measurement.json(),
            };
            writeln!(out, "{line}")?;
            out.flush()?;
        }
    }
    Ok(())
}

/// One run of a query.
fn measure(query: Query, options: &BenchOptions, run: u32) -> Result<Measurement, Failure> {
    let draft = Draft::new(options);
    query.draw(&draft);
    if let Some(wrong) = draft.wrong_input() {
        return Err(Failure::new(format_args!("{wrong}; {}", cure(options))));
    }
    let mut name = query.name();
    if options.strings && query.has_strings_variant() {
        name += "-strings";
    }
    let ended = draft
        .env
        .execute(&name)
        .map_err(|error| failure(error, options))?;
    if ended.records() == 0 && options.limit != Some(0) {
        return Err(Failure::new(format_args!(
            "the input of {name} in {} holds no records; {}",
            options.data.display(),
            cure(options)
        )));
    }
    let dropped = ended.total("late_records_dropped");
    if dropped > 0 && run == 1 {
        say(format_args!(
            "{name}: {} records were late and dropped; --jitter-ms tells how far out of order they are",
            grouped(dropped)
        ));
    }
    let total = draft.rows().total(&ended);
    Ok(Measurement {
        query: name,
        parallelism: options.parallelism,
        run,
        records: query.records(ended.records(), total),
        total,
        elapsed: draft.stopwatch.elapsed(),
    })
}

/// Converts a job's error, advising to regenerate an input that cannot be read.
fn failure(error: JobError, options: &BenchOptions) -> Failure {
    let JobError::Source { cause, .. } = &error else {
        return error.into();
    };
    let cause = cause.to_string();
    let cause = cause.trim_end_matches('.');
    Failure::new(format_args!("{cause}; {}", cure(options)))
}

/// How to get the input files that `options` name.
fn cure(options: &BenchOptions) -> String {
    let long = if options.suffix == X10_SUFFIX {
        " --x10"
    } else {
        ""
    };
    format!(
        "make the input files with `thalweg generate --data {}{long}`, damaged ones anew with --force",
        options.data.display()
    )
}
