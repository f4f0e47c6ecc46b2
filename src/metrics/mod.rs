//! Metrics for every layer: written by one thread without a lock, read by any.

mod counter;
mod group;

pub use counter::{Counter, Gauge};
pub use group::{Metric, MetricGroup, MetricSample};
