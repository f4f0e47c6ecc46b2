//! `thalweg checkpoints`: shows what is in a directory of checkpoints or a savepoint. Read-only.

mod options;
mod output;
mod run;

pub(crate) use options::{CheckpointsOptions, HELP};
pub(crate) use run::run;
