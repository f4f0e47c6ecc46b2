//! `thalweg latency`: how long a record takes, at a rate that does not wait for it.
//!
//! | file | holds |
//! |---|---|
//! | `schedule`, `stopwatch` | which record is due when, and the clock of both ends |
//! | `tick`, `tick_source` | the records, the open loop, the expected result |
//! | `recorder`, `latency_sink` | records the latency of every record, in the sink |
//! | `trial` | one measurement: its threads and its duration |
//! | `dataflow`, `embedded`, `ring_hop`, `idle` | what is measured |
//! | `processor_time`, `core_distance` | what the cores did meanwhile, and how far apart they were |
//! | `report`, `run_json`, `percentile_plot` | the output |
//!
//! The peers in `perf-scripts/peers` are built from the same `schedule`, `stopwatch`, `recorder`, `processor_time` and
//! `run_json`: what is measured beside this is measured alike.

mod core_distance;
mod dataflow;
mod embedded;
mod idle;
mod latency_sink;
mod options;
mod percentile_plot;
mod processor_time;
mod recorder;
mod report;
mod ring_hop;
mod run_json;
mod schedule;
mod session;
mod stopwatch;
mod tick;
mod tick_source;
mod trial;

pub(crate) use options::{HELP, LatencyOptions};
pub(crate) use processor_time::Reading;
pub(crate) use session::run;
