//! Timers: callbacks at a given time, per key and namespace, each firing at most once.
//!
//! Three parts share the work, so that each operation touches about one cache line of each:
//!
//! ```text
//!  identity ──► index ──► slot number ──► slab: the timer itself, never moved
//!  (key, namespace, time)      ▲
//!                              │ 16 bytes each: time, slot number, tag
//!  watermark ──► run ◄── wheel ┘  radix wheel, 11 levels of 64 slots
//! ```
//! The *index* answers "does this timer exist" and grows incrementally. The *wheel* answers "which timer is next" and
//! is never searched: a deleted timer leaves a dead entry behind, which is recognised and dropped when it comes up, or
//! swept away when there are too many.
//!
//! Checkpoints are incremental: the slab's *notes* record what changed in which generation. A freeze only begins the
//! next generation; the frozen changes are drained in slices, and a timer that is removed before it was drained is
//! copied first (copy on first touch).

mod durable;
mod index;
mod notes;
mod queue;
mod slab;
#[cfg(test)]
mod tests;
mod wheel;

pub use durable::{DurableTimers, hash_of_timer, timer_schema};
pub use queue::TimerQueue;
pub use slab::Timer;
