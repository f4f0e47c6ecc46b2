//! The atomics, cells and threads this floor is written against: the real ones, or loom's under
//! `cfg(loom)`, so that the very code that runs is the code that is model-checked.

#[cfg(loom)]
pub(super) use loom::{
    hint::spin_loop,
    sync::atomic::{AtomicBool, AtomicU64, Ordering, fence},
    sync::{Arc, Mutex},
    thread::{self, Thread, ThreadId},
};
#[cfg(not(loom))]
pub(super) use std::{
    hint::spin_loop,
    sync::atomic::{AtomicBool, AtomicU64, Ordering, fence},
    sync::{Arc, Mutex},
    thread::{self, Thread, ThreadId},
};

use std::time::Duration;

/// Parks the current thread for at most `timeout`; may return early.
#[cfg(not(loom))]
pub(super) fn park_timeout(timeout: Duration) {
    thread::park_timeout(timeout);
}

/// loom has no clock: a model in which time runs out is one in which parking returns at once.
#[cfg(loom)]
pub(super) fn park_timeout(_timeout: Duration) {
    thread::yield_now();
}
