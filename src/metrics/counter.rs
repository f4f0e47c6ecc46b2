//! Counters and gauges: one writer, any number of readers, each metric on its own cache line.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};

use crossbeam_utils::CachePadded;

/// A number that only grows. Only one thread may add; clones read the same number.
#[derive(Clone, Debug, Default)]
pub struct Counter(Arc<CachePadded<AtomicU64>>);

impl Counter {
    /// Adds `n`. A plain load, add and store: a second writer would lose counts, not corrupt memory.
    #[inline(always)]
    pub fn add(&self, n: u64) {
        self.0.store(self.0.load(Relaxed) + n, Relaxed);
    }

    /// Overwrites the count: for writers that keep their own running total.
    #[inline(always)]
    pub fn set(&self, total: u64) {
        self.0.store(total, Relaxed);
    }

    /// The count as last written.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// A number that goes up and down.
#[derive(Clone, Debug, Default)]
pub struct Gauge(Arc<CachePadded<AtomicI64>>);

impl Gauge {
    /// Sets the gauge.
    #[inline(always)]
    pub fn set(&self, value: i64) {
        self.0.store(value, Relaxed);
    }

    /// The value as last written.
    #[must_use]
    pub fn get(&self) -> i64 {
        self.0.load(Relaxed)
    }
}
