//! The job itself: how it is built, run and reported.

use std::io::{self, IsTerminal, Write};
use std::path::Path;

use thalweg::connectors::{CsvSource, Discard, FileSink};
use thalweg::datastream::{Environment, Stream};
use thalweg::graph::PlanFormat;
use thalweg::operator::{OutputTag, Tumbling};
use thalweg::runtime::Pipe;
use thalweg::time::hours;

use crate::error::Failure;

use super::airline_names::AirlineNames;
use super::flight::{Airline, Flight};
use super::hourly_delays::{By, COLUMNS, CountDepartures, HourlyDelays, KeyedDelays};
use super::hourly_watermarks::{Closings, HourlyWatermarks};
use super::options::{DelaysOptions, Format};
use super::ordered_results::{Lines, OrderedResults};
use super::progress;
use super::summary::Summary;

/// The job's name.
const NAME: &str = "delays";

/// The name of the source of flights.
pub(crate) const FLIGHTS: &str = "flights";

/// A job that has been built, and where its findings will be.
struct Job {
    env: Environment,
    results: OrderedResults,
    late: Discard,
    closings: Closings,
}

/// Runs the job as `options` specify, or prints its plan.
///
/// # Errors
/// If an input cannot be read, a row is malformed, or the output cannot be written.
pub(crate) fn run(options: &DelaysOptions) -> Result<(), Failure> {
    let job = draw(options)?;
    if let Some(format) = options.plan() {
        io::stdout()
            .lock()
            .write_all(job.plan(format)?.as_bytes())?;
        return Ok(());
    }
    let is_table = options.format == Format::Table;
    let plan = job.plan(PlanFormat::Text)?;
    match tell(is_table, &format!("{plan}\n")) {
        // Nobody reads the plan, but the job has files to write, too.
        Ok(()) | Err(Failure::PipeClosed) => {}
        Err(failure) => return Err(failure),
    }
    // A progress bar must not mix with results on the same terminal, nor with messages about checkpoints.
    let shows_progress = io::stderr().is_terminal()
        && (is_table || !io::stdout().is_terminal())
        && options.recovery.checkpoint.is_none();
    let handle = job.env.spawn(NAME)?;
    let ended = if shows_progress {
        progress::watch(handle, &job.closings)
    } else {
        handle.wait()
    };
    let ended = ended?;
    let summary = Summary::new(options, &ended, &job.results.findings(), job.late.count());
    if is_table {
        tell(
            true,
            &format!("{}\n", job.results.findings().worst.tables()),
        )?;
    }
    tell(is_table, &summary.to_string())
}

/// Writes to standard output, or to standard error if the former is reserved for results.
fn tell(on_stdout: bool, text: &str) -> Result<(), Failure> {
    if on_stdout {
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes())?;
        out.flush()?;
    } else {
        io::stderr().lock().write_all(text.as_bytes())?;
    }
    Ok(())
}

impl Job {
    fn plan(&self, format: PlanFormat) -> Result<String, Failure> {
        self.env.plan(format).map_err(Failure::new)
    }
}

/// Builds the job.
///
/// ```text
///                     ┌─ key by carrier ─ window ─┬─ late flights
/// flights ─ timestamps┤                           ├─ union ─┐
///                     └─ key by origin ── window ─┘         ├─ names ─┬─ results, in order
/// airlines ───────────────────────────────── broadcast ─────┘         └─ part files
/// ```
fn draw(options: &DelaysOptions) -> Result<Job, Failure> {
    let (input, airlines) = (options.input()?, options.airlines()?);
    let closings = Closings::default();
    let results = OrderedResults::new(lines(options), &closings);
    let late = Discard::new();

    let env = Environment::new().parallelism(options.parallelism);
    let env = options.recovery.apply(env)?;
    let mut flights = CsvSource::file(input)
        .columns(Flight::COLUMNS)
        .records(Flight::parse)
        .malformed(options.malformed());
    if let Some(rate) = options.rate {
        flights = flights.rate(rate);
    }
    let watermarks = HourlyWatermarks::new(options.out_of_orderness, options.rate, &closings);
    let [by_carrier, by_origin] = env
        .source(FLIGHTS, flights)
        .uid(FLIGHTS)
        .timestamps(watermarks, |flight| flight.scheduled)
        .fork();
    let late_flights = OutputTag::new("late");
    let by_carrier = by_carrier
        .key_by(|flight| flight.carrier.bytes())
        .window(Tumbling::of(hours(1)))
        .late_to(&late_flights)
        .aggregate_with(CountDepartures, KeyedDelays::of(By::Carrier))
        .name("by carrier")
        .uid("by-carrier");
    // The same flights are late by airport too, where they are dropped.
    by_carrier
        .side_output(&late_flights)
        .sink("late flights", late.clone())
        .uid("late-flights");
    let by_origin = by_origin
        .key_by(|flight| flight.origin.bytes())
        .window(Tumbling::of(hours(1)))
        .aggregate_with(CountDepartures, KeyedDelays::of(By::Origin))
        .name("by origin")
        .uid("by-origin");
    let airlines = CsvSource::file(airlines)
        .columns(Airline::COLUMNS)
        .records(Airline::parse)
        .malformed(options.malformed());
    let names = env.source("airlines", airlines).uid("airlines").broadcast();
    let named = by_carrier
        .union(by_origin)
        .connect(names)
        .process(AirlineNames::default())
        .name("airline names")
        .uid("airline-names");
    match &options.output {
        Some(directory) => {
            let [ordered, kept] = named.fork();
            write_parts(kept, directory, options.format);
            end(ordered, &results);
        }
        None => end(named, &results),
    }
    Ok(Job {
        env,
        results,
        late,
        closings,
    })
}

/// What is written to standard output for each result.
fn lines(options: &DelaysOptions) -> Lines {
    match options.format {
        _ if options.output.is_some() => Lines::None,
        Format::Table => Lines::None,
        Format::Json => Lines::Json,
        Format::Csv => Lines::Csv,
    }
}

/// Brings all results together and sorts them.
fn end(results: Stream<impl Pipe<Out = HourlyDelays>>, sink: &OrderedResults) {
    let together: Stream<_> = results.global().parallelism(1);
    together
        .sink("results in order", sink.clone())
        .uid("results-in-order");
}

/// Writes results to part files, separately for each subtask.
fn write_parts(results: Stream<impl Pipe<Out = HourlyDelays>>, directory: &Path, format: Format) {
    match format {
        Format::Csv => {
            let parts = FileSink::csv(directory).header(COLUMNS);
            let parts = parts.records(|result: &HourlyDelays, row| {
                for field in result.fields() {
                    row.push(field);
                }
            });
            results.sink("part files", parts).uid("part-files");
        }
        Format::Table | Format::Json => {
            let parts = FileSink::lines(directory).extension("jsonl");
            results.sink("part files", parts).uid("part-files");
        }
    }
}
