//! The options of `thalweg bench`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::error::Failure;
use crate::format::Format;
use crate::nexmark::JITTER_MS_MAX;

use super::checkpoint::{self, CheckpointOptions};
use super::query::Query;

/// The text below the options in `--help`.
pub(crate) const HELP: &str = "\
Measured:
  Seconds are those from the read of the first record to the moment when the last sink instance has
  seen the end of input; user CPU time is that of the whole process in between. The files are mapped
  into memory, and their pages present, before; where more than 4 GiB of a file are mapped, its pages
  come as they are reached, and their time counts. Tables sized by `expected_keys` (keysum-*,
  wordcount) are mapped and touched before the clock starts; with several workers, it starts when the
  first is done with its own. A warm-up run, which is not reported, goes first.

Checked:
  The checksum is the sum of the hashes of all rows, whatever their order: runs over the same data
  have the same one, at every parallelism and in every system. Not so q12: its windows are of
  processing time, and its rows depend on how fast the bids come.

Examples:
  thalweg bench q5 --parallelism 2
  thalweg bench keysum-1m keysum-10m --runs 5 --format json
  thalweg bench checkpoint --keys 10000000
      what checkpoints cost, and how fast a job is back

Exit codes: 0 done, 1 a run failed, 2 wrong usage";

/// What `thalweg bench` may be told.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct BenchOptions {
    /// Something else than queries
    #[command(subcommand)]
    pub(super) task: Option<Task>,

    /// What to run: see --list
    #[arg(
        value_name = "QUERY",
        value_enum,
        required_unless_present = "list",
        hide_possible_values = true
    )]
    pub(super) queries: Vec<Query>,

    /// Print the queries, and run nothing
    #[arg(long)]
    pub(super) list: bool,

    /// The directory of the input files, as `thalweg generate` writes them
    #[arg(long, value_name = "DIR", default_value = "bench-data")]
    pub(super) data: PathBuf,

    /// How many subtasks each operator has, and how many workers run them
    #[arg(long, short, value_name = "N", default_value_t = 1,
          value_parser = clap::value_parser!(u32).range(1..=256))]
    pub(super) parallelism: u32,

    /// Read no more than the first N records of each input (of words: lines)
    #[arg(long, value_name = "N")]
    pub(super) limit: Option<u64>,

    /// How far behind the latest record before it a record may be, in milliseconds of event time:
    /// the jitter that the data was generated with
    #[arg(long, value_name = "J", default_value_t = 0,
          value_parser = clap::value_parser!(u64).range(0..=JITTER_MS_MAX))]
    pub(super) jitter_ms: u64,

    /// What stands between the name and the extension of the input files, such as `_x10`
    #[arg(long, value_name = "S", default_value = "")]
    pub(super) suffix: String,

    /// Read records with all their strings, made up in memory, instead of files: q0 to q3. The queries
    /// that are about strings always do.
    #[arg(long)]
    pub(super) strings: bool,

    /// How runs are reported: a line for people, or one JSON object a line
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(super) format: Format,

    /// How many runs of each query are reported
    #[arg(long, value_name = "N", default_value_t = 1,
          value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) runs: u32,

    /// Leave the warm-up run out: the first run then pays for pages that no run has touched before
    #[arg(long)]
    pub(super) no_warm_up: bool,
}

impl BenchOptions {
    /// Checks that the options are compatible.
    ///
    /// # Errors
    /// If they contradict each other.
    pub(super) fn check(&self) -> Result<(), Failure> {
        let has_strings = |query: &Query| query.has_strings_variant() || query.is_about_strings();
        match self.queries.iter().find(|query| !has_strings(query)) {
            Some(query) if self.strings => Err(Failure::conflict(
                "--strings",
                &query.name(),
                "it has no variant with strings",
            )),
            _ => Ok(()),
        }
    }
}

/// What is measured besides queries.
#[derive(Debug, Subcommand)]
pub(super) enum Task {
    /// What checkpoints cost: throughput, stops, bytes, memory; and how fast a job is back from one
    #[command(after_long_help = checkpoint::HELP)]
    Checkpoint(CheckpointOptions),
}
