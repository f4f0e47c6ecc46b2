//! `thalweg soak`: a job for tests to kill, whose output does not depend on when or how often, or on the parallelism.

mod intervals;
mod job;
mod options;

pub(crate) use job::run;
pub(crate) use options::SoakOptions;
