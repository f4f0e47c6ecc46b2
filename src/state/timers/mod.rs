//! Timers: callbacks at a time, per key and namespace, each at most once.
//!
//! Three parts share the work, so that each operation touches about one cache line of each:
//!
//! ```text
//!  identity ──► index ──► slot number ──► slab: the timer itself, never moved
//!  (key, namespace, time)      ▲
//!                              │ 16 bytes each: time, slot number, tag
//!  watermark ──► run ◄── wheel ┘  radix wheel, 11 levels of 64 slots
//! ```
//! The *index* answers "is it there" and grows a little at each step. The *wheel* answers "which is
//! next" and is never searched: a deleted timer leaves its entry behind, which is recognised and
//! dropped when it comes up, or swept away when there are too many.
//!
//! Checkpoints are incremental: the slab's *notes* say what changed in which generation. A freeze only
//! begins the next generation; what it set aside is handed out in slices, and a timer that goes meanwhile
//! is handed over to those who drain (copy on first touch).

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
