//! The options of `thalweg soak`.

use std::path::PathBuf;

use clap::Args;

use crate::recovery::RecoveryOptions;

/// What `thalweg soak` may be told.
#[derive(Debug, Args)]
pub(crate) struct SoakOptions {
    /// Write rows into part files below this directory
    #[arg(long, value_name = "DIR")]
    pub(super) output: PathBuf,

    /// How many records there are
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    pub(super) records: u64,

    /// Records a second, over all subtasks [default: as many as there can be]
    #[arg(long, value_name = "R", value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) rate: Option<u64>,

    /// How many subtasks read, count and write
    #[arg(long, short, value_name = "P", default_value_t = 1,
          value_parser = clap::value_parser!(u32).range(1..=128))]
    pub(super) parallelism: u32,

    /// Count in windows too
    #[arg(long)]
    pub(super) windows: bool,

    #[command(flatten)]
    pub(super) recovery: RecoveryOptions,
}
