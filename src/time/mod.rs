//! Event time as pure values: no threads, no I/O; only the clock asks the operating system.
//!
//! A [`WatermarkAssigner`] generates watermarks from records, [`SplitWatermarks`] combines those of a
//! source's splits, a [`Valve`] those of an input's channels, a [`Combiner`] those of an operator's
//! inputs. Each takes one event and returns at most two [`TimeSignal`]s to send.

mod alignment;
mod assigner;
mod clock;
mod combine;
mod idleness;
mod signal;
mod timestamp;
mod valve;
mod watermark;

pub use alignment::{AlignmentGroup, AlignmentMember};
pub use assigner::{BatchEnd, WatermarkAssigner};
pub use clock::{Clock, ManualClock, RoundClock};
pub use combine::{Combiner, SplitSlot, SplitWatermarks};
pub use idleness::Idleness;
pub use signal::{TimeSignal, TimeSignals};
pub use timestamp::{
    ArchivedTimestamp, Timestamp, hours, millis, mins, nanos, nanoseconds, secs, window_start,
};
pub use valve::Valve;
pub use watermark::{
    BoundedGenerator, BoundedOutOfOrderness, Monotonous, NoWatermarks, Periodic, ProcessingTimeLag,
    Punctuated, WatermarkGenerator, WatermarkStrategy, WithAlignment, WithIdleness,
};
