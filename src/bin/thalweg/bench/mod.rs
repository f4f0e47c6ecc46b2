//! `thalweg bench`: NEXMark queries and keyed running sums over files, with a checksum of every row.

mod checkpoint;
mod checksum;
mod cpu_time;
mod draft;
mod input;
mod measurement;
mod options;
mod query;
mod run;
mod stopwatch;

pub(crate) use input::{KeyValue, X10_SUFFIX};
pub(crate) use options::{BenchOptions, HELP};
pub(crate) use run::run;
