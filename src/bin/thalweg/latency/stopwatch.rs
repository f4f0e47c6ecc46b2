//! The stopwatch: the one clock of a measurement, read by whoever makes a record due and whoever gets it.
//!
//! It is the system's monotonic clock, read without a system call (about 25 ns on a virtual machine of
//! 2024). The processor's own counter is read in 10 ns; that it is in step on all cores, and at which
//! rate it runs, the system knows better than this program.

use std::time::{Duration, Instant};

/// Nanoseconds since the measurement began. Copies show the same time on every thread.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stopwatch {
    origin: Instant,
}

impl Stopwatch {
    /// A stopwatch that shows zero now.
    pub(crate) fn start() -> Self {
        Stopwatch {
            origin: Instant::now(),
        }
    }

    /// The time it shows, in nanoseconds.
    #[inline(always)]
    pub(crate) fn nanos(&self) -> i64 {
        self.origin.elapsed().as_nanos() as i64
    }

    /// Sleeps until it shows `nanos`.
    pub(crate) fn sleep_until(&self, nanos: i64) {
        let left = nanos.saturating_sub(self.nanos());
        if let Ok(left) = u64::try_from(left) {
            std::thread::sleep(Duration::from_nanos(left));
        }
    }

    /// What one reading takes, in nanoseconds: the best of a few thousand at a time.
    pub(crate) fn reading_nanos(&self) -> f64 {
        const READINGS: u32 = 2_000;
        let round = |_| {
            let begin = self.nanos();
            let last = (0..READINGS).fold(begin, |last, _| last.max(self.nanos()));
            (last - begin) as f64 / f64::from(READINGS)
        };
        (0..20).map(round).fold(f64::INFINITY, f64::min)
    }
}
