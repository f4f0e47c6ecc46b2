//! The options of `thalweg bench checkpoint`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::format::Format;
use crate::recovery;

/// The text below the options in `--help`.
pub(crate) const HELP: &str = "\
Measured:
  Every key is set once, and a checkpoint taken. Then running sums change as fast as possible, without
  checkpoints and with one every interval, in turn, each run in a process of its own. A job is then
  started from the last checkpoint: the time is that from its start to the first record processed.

  stops     how long the source emitted nothing, from the end of one poll to the begin of the next; per
            checkpoint the longest one while it was under way. A turn is from poll to poll: the time
            that the records of one poll take is in it.
  bytes     of the files of a checkpoint, beside the keys and values that are in it
  memory    anonymous memory of the process: beyond what it had before the job, after every key was
            set; and the most that there was later
  steal     share of the time that the hypervisor gave to other machines

Checked:
  The sum of the hashes of all rows is that of a loop over an array; so is it for a row of every key
  after the restart, which is every restored sum and one.

Examples:
  thalweg bench checkpoint --keys 10000000
  thalweg bench checkpoint --change 1% --format json

Exit codes: 0 done, 1 a run failed, 2 wrong usage";

/// What `thalweg bench checkpoint` may be told.
#[derive(Clone, Debug, Args)]
pub(crate) struct CheckpointOptions {
    /// How many keys there are
    #[arg(long, value_name = "K", default_value_t = 1_000_000,
          value_parser = clap::value_parser!(u64).range(100..=1_000_000_000))]
    pub(super) keys: u64,

    /// How long sums change, in each run
    #[arg(long, value_name = "S", default_value_t = 10,
          value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub(super) seconds: u64,

    /// Time from one checkpoint to the next
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = recovery::interval)]
    pub(super) interval: Duration,

    /// Which keys change
    #[arg(long, value_enum, default_value_t = Change::All)]
    pub(super) change: Change,

    /// How many subtasks each operator has, and how many workers run them
    #[arg(long, short, value_name = "N", default_value_t = 1,
          value_parser = clap::value_parser!(u32).range(1..=64))]
    pub(super) parallelism: u32,

    /// How often each run is made
    #[arg(long, value_name = "N", default_value_t = 2,
          value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) rounds: u32,

    /// Where checkpoints are kept while it runs: in a new directory in this one [default: that of temporary files]
    #[arg(long, value_name = "DIR")]
    pub(super) directory: Option<PathBuf>,

    /// How findings are written: lines for people, or one object for programs
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(super) format: Format,

    /// Make one run in this process, and tell of it in one line
    #[arg(long, value_enum, hide = true)]
    pub(super) leg: Option<Leg>,
}

/// Which keys change.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(super) enum Change {
    /// All of them
    All,
    /// One in a hundred
    #[value(name = "1%")]
    OnePercent,
}

impl Change {
    /// The name used in all output.
    pub(super) fn name(self) -> &'static str {
        match self {
            Change::All => "all",
            Change::OnePercent => "1%",
        }
    }
}

/// One run.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(super) enum Leg {
    /// Without checkpoints
    Plain,
    /// With them
    Kept,
    /// Back from the last one
    Restore,
}

impl Leg {
    /// The name used in all output.
    pub(super) fn name(self) -> &'static str {
        match self {
            Leg::Plain => "plain",
            Leg::Kept => "kept",
            Leg::Restore => "restore",
        }
    }
}
