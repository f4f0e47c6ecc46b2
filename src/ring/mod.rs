//! Rings: the queues in which frames pass from one worker to another.
//!
//! A ring connects exactly one producer to exactly one consumer. It is a block of bytes that holds frames of any length
//! one after another, contiguous and aligned, so that a record is serialised into its place and read from there.
//!
//! ```text
//!   claim ─▶ write ─▶ commit ─▶ publish                     read ─▶ release
//!            (the producer's own)      │                       ▲        │
//!                                      └── tail: one store ────┘        │
//!   room ◀──────────────────────────────── head: one store ─────────────┘
//! ```
//! Both stores are made once per *batch*: the unit for which the ring is designed. A worker that finds a ring empty or
//! full waits by its [`WaitStrategy`]; the ring itself never waits.
//!
//! Why not an existing queue: none has in-place frames of varying length, batches on both sides, and a hand-over that
//! wakes a parked worker at no cost to one that is awake. `benches/ring.rs` compares the ring with `rtrb`.

mod consumer;
mod error;
mod memory;
mod options;
#[cfg(all(test, not(loom)))]
mod overtaking_test;
mod parker;
mod producer;
mod run_producer;
#[cfg(all(test, not(loom)))]
mod run_producer_test;
mod sync;
#[cfg(all(test, not(loom)))]
mod tests;
mod wait_strategy;

pub use consumer::{Batch, Consumer, Frame, Frames, Unread};
pub use error::RingError;
pub use options::{RingOptions, ring};
pub use parker::{Parker, Prepared, Waker};
pub use producer::{Claim, Producer, Run};
pub(crate) use run_producer::RunProducer;
pub use wait_strategy::{Idle, Rest, WaitStrategy};
