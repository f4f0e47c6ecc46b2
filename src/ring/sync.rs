//! The atomics, cells and threads that this module uses: the real ones, or loom's under `cfg(loom)`, so that the code
//! that runs is the very code that is model-checked.

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

/// loom has no clock: in a model, a timeout makes parking return at once.
#[cfg(loom)]
pub(super) fn park_timeout(_timeout: Duration) {
    thread::yield_now();
}
