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

mod index;
mod queue;
mod slab;
#[cfg(test)]
mod tests;
mod wheel;

pub use queue::{TimerQueue, TimersByGroup};
pub use slab::{Timer, TimerChanges};
