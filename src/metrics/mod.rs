//! Numbers that every floor may count: written by one thread without a lock, read by anybody.

mod counter;
mod group;

pub use counter::{Counter, Gauge};
pub use group::{Metric, MetricGroup, MetricSample};
