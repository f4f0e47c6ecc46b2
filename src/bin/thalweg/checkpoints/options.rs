//! The options of `thalweg checkpoints`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::format::Format;

/// The text below the options in `--help`.
pub(crate) const HELP: &str = "\
Reading it:
  Nothing is written and no lock is taken: a job may go on taking checkpoints there meanwhile.
  A checkpoint is incremental. Of every state a subtask has a chain: first all of it, then what
  changed, checkpoint by checkpoint, until that is folded together in the background. Entries and
  bytes count a change as often as it was written, so they may be more than the state has now.

Examples:
  thalweg checkpoints state/
      the checkpoints there, the newest first; of a damaged one, what is wrong with it
  thalweg checkpoints state/ inspect
      what the newest consists of, operator by operator
  thalweg checkpoints state/ verify && echo intact
  thalweg checkpoints state/ compare 7 9 --format json

Exit codes: 0 done, 1 something is damaged or is not there, 2 wrong usage";

/// What `thalweg checkpoints` may be told.
#[derive(Debug, Args)]
pub(crate) struct CheckpointsOptions {
    /// A job's directory of checkpoints, or a savepoint
    #[arg(value_name = "DIR")]
    pub(super) directory: PathBuf,

    /// What is wanted of it
    #[command(subcommand)]
    pub(super) task: Option<Task>,

    /// How findings are written: a table for people, or one object for programs
    #[arg(id = "checkpoints_format", long = "format", value_name = "FORMAT", value_enum,
          default_value_t = Format::Text, global = true)]
    pub(super) format: Format,
}

/// What is wanted.
#[derive(Clone, Copy, Debug, Subcommand)]
pub(super) enum Task {
    /// All of them, the newest first: age, operators, states, entries, bytes, segments [default]
    List,
    /// What one consists of: per operator and state its kind, types, entries, bytes and chain
    Inspect {
        /// Its number [default: the newest]
        #[arg(value_name = "ID")]
        checkpoint: Option<u64>,
    },
    /// Checks every checksum of one, or of all
    Verify {
        /// Its number [default: all of them]
        #[arg(value_name = "ID")]
        checkpoint: Option<u64>,
    },
    /// How the second differs from the first: keys added, removed and changed, per state
    Compare {
        /// The number of the first
        #[arg(value_name = "ID")]
        first: u64,
        /// The number of the second
        #[arg(value_name = "ID")]
        second: u64,
    },
}
