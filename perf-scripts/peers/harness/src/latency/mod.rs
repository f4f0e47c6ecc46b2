//! `latency`: how long a record takes through a peer, at a rate that does not wait for it.
//!
//! The schedule, the clock, the recorder and what is told of the processors are those of `thalweg latency`, from the
//! same files: what two programs measure is comparable when both measure it alike.

#[path = "../../../../../src/bin/thalweg/latency/processor_time.rs"]
mod processor_time;
#[path = "../../../../../src/bin/thalweg/latency/recorder.rs"]
mod recorder;
#[path = "../../../../../src/bin/thalweg/latency/run_json.rs"]
mod run_json;
#[path = "../../../../../src/bin/thalweg/latency/schedule.rs"]
mod schedule;
#[path = "../../../../../src/bin/thalweg/latency/stopwatch.rs"]
mod stopwatch;

mod options;
mod tick;
mod trial;

pub use tick::{Tick, Ticks};
pub use trial::{Arrivals, Latency, Trial};

pub(crate) use trial::main;
