//! The options of `thalweg latency`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use thalweg::ring::WaitStrategy;

use crate::error::Failure;
use crate::format::Format;

/// The text below the options in `--help`.
pub(crate) const HELP: &str = "\
What is measured:
  Record i is due at start + i / rate, whatever happened to the records before it (open loop, no
  coordinated omission). It has one of 10,000 keys; behind `key_by` a running count is kept; where the
  count arrives, the time since the record was due is recorded, for every record. What the clock
  shows is read once per record (the header line says what that costs) and is part of the latency.
  Every run checks that all counts have come.

Modes:
  hop       source on one worker, count and sink on the other: one ring between two cores. The floor,
            a bare `rtrb`, is measured before and after it.
  fused     all on one worker: no ring
  embedded  a client's thread pushes into an inlet and polls an outlet: two hops, there and back.
            One thread does both, and has a core of its own: on two cores a third thread would
            only measure the scheduler. It spins, however the workers wait.
  ring      this crate's ring, and `rtrb`, between two spinning threads, without a job
  all       one after the other

Reading it:
  max          information, no more; on a virtual machine percentiles above 99.99 are too
  cores apart  what a cache line took from one core to another before and after the mode's turn. A
               hypervisor moves cores about, and a hop is as fast as the way is short: compare what
               was measured at one distance.
  CPU          cores used by all threads: 2.00 is two cores, all of the time
  waited       share of the time in which the thread that had to wait longest stood in the queue for
               a core: other processes had it. Above a percent or so it is they who were measured.
  steal        share of the time that the hypervisor gave to other machines

Examples:
  thalweg latency --wait spin
      every mode at a million records a second
  thalweg latency --rate 100000 --mode hop --format json
  thalweg latency --seconds 60 --warm-up 10 --plot latency.svg
  thalweg latency --idle
      what a job with nothing to do uses of the cores

Exit codes: 0 done, 1 the measurement failed, 2 wrong usage";

/// What `thalweg latency` may be told.
#[derive(Debug, Args)]
pub(crate) struct LatencyOptions {
    /// Records a second
    #[arg(long, value_name = "R", default_value_t = 1_000_000,
          value_parser = clap::value_parser!(u64).range(1..=50_000_000))]
    pub(crate) rate: u64,

    /// How long latencies are recorded
    #[arg(long, value_name = "S", default_value = "10", value_parser = seconds,
          allow_negative_numbers = true)]
    pub(crate) seconds: f64,

    /// How long the job runs before that
    #[arg(long, value_name = "S", default_value = "2", value_parser = warm_up,
          allow_negative_numbers = true)]
    pub(crate) warm_up: f64,

    /// What a worker does when it has nothing to do
    #[arg(long, value_enum, default_value_t = Wait::Backoff)]
    pub(crate) wait: Wait,

    /// Workers of the job, in `hop` [default: 2] and `embedded` [default: 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=2))]
    workers: Option<u32>,

    /// What is measured
    #[arg(long, value_enum, default_value_t = Mode::All)]
    pub(crate) mode: Mode,

    /// Draw latency over percentile into this file
    #[arg(long, value_name = "FILE.svg")]
    pub(crate) plot: Option<PathBuf>,

    /// What standard output carries: a table for people, or one object for programs
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,

    /// Measure what a job uses of the cores when nothing comes, and no latency
    #[arg(long, conflicts_with_all = ["rate", "warm_up", "mode", "plot"])]
    pub(crate) idle: bool,
}

/// What a worker does when it has nothing to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Wait {
    /// Looks again at once: needs a core for every worker
    Spin,
    /// Spins a little, yields a little, then sleeps: the default of every job
    Backoff,
    /// Sleeps at once
    Park,
}

/// What is measured.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Mode {
    /// From one worker to another
    Hop,
    /// On one worker
    Fused,
    /// From a client through a job and back
    Embedded,
    /// Bare rings, without a job
    Ring,
    /// All of them
    All,
}

impl Wait {
    /// Its name in every output.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Wait::Spin => "spin",
            Wait::Backoff => "backoff",
            Wait::Park => "park",
        }
    }

    /// The wait strategy.
    pub(crate) fn strategy(self) -> WaitStrategy {
        match self {
            Wait::Spin => WaitStrategy::Spin,
            Wait::Backoff => WaitStrategy::default(),
            Wait::Park => WaitStrategy::Park,
        }
    }
}

impl LatencyOptions {
    /// The number of the job's workers, if the mode has a choice.
    pub(crate) fn workers_or(&self, default: u32) -> u32 {
        self.workers.unwrap_or(default)
    }

    /// Checks that the options are compatible.
    ///
    /// # Errors
    /// If they contradict each other.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        let (mode, reason) = match self.mode {
            Mode::Fused => ("--mode fused", "it is all on one worker"),
            Mode::Ring => ("--mode ring", "it has no workers"),
            Mode::Hop | Mode::Embedded | Mode::All => return Ok(()),
        };
        if self.workers.is_none() || self.idle {
            return Ok(());
        }
        Err(Failure::conflict("--workers", mode, reason))
    }
}

/// Parses the number of seconds to record.
fn seconds(text: &str) -> Result<f64, String> {
    match warm_up(text)? {
        0.0 => Err("nothing can be recorded in no time".to_owned()),
        seconds => Ok(seconds),
    }
}

/// Parses a number of seconds.
fn warm_up(text: &str) -> Result<f64, String> {
    const SECONDS_MAX: f64 = 86_400.0;
    let seconds: f64 = (text.parse()).map_err(|_| "not a number of seconds".to_owned())?;
    match seconds {
        0.0..=SECONDS_MAX => Ok(seconds),
        _ => Err("from 0 to 86400 seconds, a day".to_owned()),
    }
}
