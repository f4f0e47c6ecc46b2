//! Event time as pure values: no threads, no I/O; only the clock asks the operating system.

mod timestamp;

pub use timestamp::{Timestamp, hours, millis, mins, nanos, nanoseconds, secs};
