//! Keyed state and timers: who holds what per key, without files and without threads.

mod timers;

pub use timers::{Timer, TimerChanges, TimerQueue, TimersByGroup};
