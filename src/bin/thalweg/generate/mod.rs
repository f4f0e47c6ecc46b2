//! `thalweg generate`: the inputs of the benchmarks, byte-identical on every machine.

mod content;
mod disorder;
mod input;
mod input_file;
mod job;
mod options;
mod summary;
mod words;

pub(crate) use job::run;
pub(crate) use options::{GenerateOptions, HELP};
