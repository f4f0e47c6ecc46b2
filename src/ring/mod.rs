//! Rings: how frames cross from one worker to another.
//!
//! A ring joins exactly one producer to exactly one consumer. It is a block of bytes in which
//! frames of any length stand one behind the other, contiguous and aligned, so that a record is
//! serialised into its place and read from its place.
//!
//! ```text
//!   claim ─▶ write ─▶ commit ─▶ publish                     read ─▶ release
//!            (the producer's own)      │                       ▲        │
//!                                      └── tail: one store ────┘        │
//!   room ◀──────────────────────────────── head: one store ─────────────┘
//! ```
//! Both stores are made once per *batch*: that is the unit the ring is made for. Who finds a ring
//! empty or full waits by its worker's [`WaitStrategy`]; the ring itself never waits.
//!
//! Why not a ready-made queue: none has frames of differing length in place, batches on both sides
//! and a hand-over that wakes a parked worker at no cost to one that is awake. `rtrb` is the
//! yardstick in `benches/ring.rs`.

mod consumer;
mod error;
mod memory;
mod options;
#[cfg(all(test, not(loom)))]
mod overtaking_test;
mod parker;
mod producer;
mod sync;
#[cfg(all(test, not(loom)))]
mod tests;
mod wait_strategy;

pub use consumer::{Batch, Consumer, Frame, Frames, Unread};
pub use error::RingError;
pub use options::{RingOptions, ring};
pub use parker::{Parker, Prepared, Waker};
pub use producer::{Claim, Producer, Run};
pub use wait_strategy::{Idle, Rest, WaitStrategy};
