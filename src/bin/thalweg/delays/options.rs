//! The options of `thalweg delays`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, ValueEnum};
use thalweg::connectors::Malformed;
use thalweg::graph::PlanFormat;

use crate::duration;
use crate::error::Failure;
use crate::recovery::RecoveryOptions;

/// The data that ships with the project.
const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/bin/thalweg/data");

/// The text below the options in `--help`.
pub(crate) const HELP: &str = "\
The job:
  Event time is the scheduled departure, in UTC. Flights are counted in windows of one hour, by
  carrier and by origin airport: all of them, the cancelled ones, and the mean and maximum delay of
  those that left (in minutes; an early departure is a negative delay). A flight that comes after
  the watermark has passed its hour goes to a side output and is counted as late. Airline names
  come from a second file, by broadcast; no result leaves before they are known. Results are in
  order, and the same on every run and at every parallelism.

Latency:
  From the reading of the flight that closed a window (under --rate: from when it was due) to the
  moment when the window's result leaves the job, in order. Windows that were closed by the end of
  the input are not in it.

Recovery:
  With --checkpoint the job's whole state is kept in a directory, again and again while it runs. It
  may be killed at any moment: with `--restore latest` it goes on where its last complete checkpoint
  is, at any --parallelism, and the finished part files of --output are then exactly those of a run
  that nobody has disturbed. Standard output has the results since the restart, and perhaps again
  some from before it; the summary is that of the last run.

Examples:
  thalweg
      the month that lives in the project, with one subtask of each region
  thalweg --parallelism 2 --format json
      every result, one object a line
  thalweg --out-of-orderness 48h
      nothing is late: exactly the group-by of the file
  thalweg --rate 2000
      in slow motion, for latency instead of throughput
  thalweg --input flights.csv.gz --out-of-orderness 366d
      a whole year, whose months may stand in any order
  thalweg --rate 2000 --checkpoint state --output out --restore latest
      kill it, start it again, as often as you like: `out` comes out the same
  thalweg --plan dot | dot -Tsvg > plan.svg
      a picture of what would run

Exit codes: 0 done, 1 the job failed, 2 wrong usage";

/// What `thalweg delays` may be told.
#[derive(Debug, Args)]
pub(crate) struct DelaysOptions {
    /// Flights to read: CSV, plain or `.gz` [default: January 2013, which lives in the project]
    #[arg(long, value_name = "PATH")]
    input: Option<PathBuf>,

    /// Airline names to join in: CSV with the columns `carrier` and `name`
    /// [default: lives in the project]
    #[arg(long, value_name = "PATH")]
    airlines: Option<PathBuf>,

    /// How many subtasks count and join; the file itself is read by one
    #[arg(long, short, value_name = "N", default_value_t = 1,
          value_parser = clap::value_parser!(u32).range(1..=256))]
    pub(crate) parallelism: u32,

    /// How far a flight may stand behind later scheduled ones before it is late: 90s, 30m, 48h, 14d
    ///
    /// The rows of a day are in the order of *actual* departures, so a flight that left after
    /// midnight instead of before stands some 18 hours ahead of its schedule, and all others seem
    /// late by that. With the default a few percent of the flights are late, with 24h none.
    #[arg(long, value_name = "DURATION", default_value = "16h", value_parser = duration::parse)]
    pub(crate) out_of_orderness: Duration,

    /// Read at this rate instead of as fast as possible
    #[arg(long, value_name = "RECORDS_PER_SECOND",
          value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) rate: Option<u64>,

    /// Write every result into part files of this directory, which is made if need be
    ///
    /// JSON lines, or CSV with `--format csv`. Finished files are called `part-*`; unfinished ones
    /// begin with a dot. With `--format json` or `csv`, standard output then carries nothing.
    #[arg(long, value_name = "DIR")]
    pub(crate) output: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) recovery: RecoveryOptions,

    /// What standard output carries: the worst hours for people, or every result for programs
    ///
    /// With `json` and `csv`, plan and summary go to standard error.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub(crate) format: Format,

    /// Print what would run, and run nothing
    #[arg(long, value_name = "FORMAT", value_enum, num_args = 0..=1, default_missing_value = "text",
          require_equals = false)]
    plan: Option<PlanArgument>,

    /// What becomes of rows that are no flights
    #[arg(long, value_name = "POLICY", value_enum, default_value_t = MalformedArgument::Fail)]
    malformed: MalformedArgument,
}

/// How results are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Format {
    /// The plan, the worst hours and a summary
    Table,
    /// A header and one row a result
    Csv,
    /// One object a line
    Json,
}

/// How the plan is printed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum PlanArgument {
    /// Indented text
    Text,
    /// Graphviz
    Dot,
    /// One JSON object
    Json,
}

/// What becomes of malformed rows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum MalformedArgument {
    /// The job fails and names the row
    Fail,
    /// The row is left out and counted
    Skip,
}

impl DelaysOptions {
    /// The file of flights.
    ///
    /// # Errors
    /// If it does not exist.
    pub(crate) fn input(&self) -> Result<PathBuf, Failure> {
        file(self.input.as_deref(), "flights-2013-01.csv.gz", "--input")
    }

    /// The file of airlines.
    ///
    /// # Errors
    /// If it does not exist.
    pub(crate) fn airlines(&self) -> Result<PathBuf, Failure> {
        file(self.airlines.as_deref(), "airlines.csv", "--airlines")
    }

    /// The format of the plan, if only the plan is wanted.
    pub(crate) fn plan(&self) -> Option<PlanFormat> {
        self.plan.map(|format| match format {
            PlanArgument::Text => PlanFormat::Text,
            PlanArgument::Dot => PlanFormat::Dot,
            PlanArgument::Json => PlanFormat::Json,
        })
    }

    /// The policy for malformed rows.
    pub(crate) fn malformed(&self) -> Malformed {
        match self.malformed {
            MalformedArgument::Fail => Malformed::Fail,
            MalformedArgument::Skip => Malformed::Skip,
        }
    }
}

/// The file that an option names, or one that ships with the project.
fn file(path: Option<&Path>, default: &str, option: &str) -> Result<PathBuf, Failure> {
    let path = path.map_or_else(|| Path::new(DATA).join(default), Path::to_path_buf);
    match std::fs::metadata(&path) {
        Ok(metadata) if metadata.is_dir() => Err(Failure::new(format_args!(
            "{} is a directory: name a CSV file with {option}",
            path.display()
        ))),
        Ok(_) => Ok(path),
        Err(error) => Err(Failure::new(format_args!(
            "cannot read {}: {error}; name a CSV file with {option}",
            path.display()
        ))),
    }
}
