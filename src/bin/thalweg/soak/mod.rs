//! `thalweg soak`: a job to be killed, whose output does not depend on when, how often, or on the parallelism.

mod intervals;
mod job;
mod options;

pub(crate) use job::run;
pub(crate) use options::SoakOptions;
