//! The command line: `thalweg [COMMAND] [OPTIONS]`.

use clap::{Parser, Subcommand};

use crate::bench::BenchOptions;
use crate::checkpoints::CheckpointsOptions;
use crate::delays::DelaysOptions;
use crate::generate::GenerateOptions;
use crate::latency::LatencyOptions;
use crate::soak::SoakOptions;

/// Demo jobs and measurements of the Thalweg dataflow kernel.
///
/// Without a command, runs `delays`.
#[derive(Debug, Parser)]
#[command(
    name = "thalweg",
    version,
    max_term_width = 100,
    args_conflicts_with_subcommands = true,
    after_long_help = crate::delays::HELP,
)]
pub(crate) struct CommandLine {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    delays: DelaysOptions,
}

/// What to run.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Departure delays by hour, carrier and airport, from a month of real flights.
    #[command(after_long_help = crate::delays::HELP)]
    Delays(DelaysOptions),
    /// NEXMark queries and keyed sums over files: how fast, and with which results.
    #[command(after_long_help = crate::bench::HELP)]
    Bench(BenchOptions),
    /// What is in a directory of checkpoints or a savepoint: list, inspect, verify, compare.
    #[command(after_long_help = crate::checkpoints::HELP)]
    Checkpoints(CheckpointsOptions),
    /// The input files of the benchmarks.
    #[command(after_long_help = crate::generate::HELP)]
    Generate(GenerateOptions),
    /// How long a record takes, from when it is due to its result: at a rate, in percentiles.
    #[command(after_long_help = crate::latency::HELP)]
    Latency(LatencyOptions),
    /// A job to be killed: state, timers and part files whose rows do not depend on how it runs.
    #[command(hide = true)]
    Soak(SoakOptions),
}

impl CommandLine {
    /// The command to run: `delays` if none was given.
    pub(crate) fn command(self) -> Command {
        self.command.unwrap_or(Command::Delays(self.delays))
    }
}
