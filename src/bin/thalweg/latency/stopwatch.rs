//! The stopwatch: the single clock of a measurement, read both where a record becomes due and where it arrives.
//!
//! It is the system's monotonic clock, read without a system call (about 25 ns on a virtual machine of 2024). The
//! processor's own counter takes 10 ns, but the system knows better than this program whether it is synchronized
//! across cores and at which rate it runs.

use std::time::{Duration, Instant};

/// Nanoseconds since the measurement began. Copies show the same time on every thread.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stopwatch {
    origin: Instant,
}

impl Stopwatch {
    /// Starts a stopwatch at zero.
    pub(crate) fn start() -> Self {
        Stopwatch {
            origin: Instant::now(),
        }
    }

    /// The elapsed time in nanoseconds.
    #[inline(always)]
    pub(crate) fn nanos(&self) -> i64 {
        self.origin.elapsed().as_nanos() as i64
    }

    /// Sleeps until the elapsed time reaches `nanos`.
    pub(crate) fn sleep_until(&self, nanos: i64) {
        let left = nanos.saturating_sub(self.nanos());
        if let Ok(left) = u64::try_from(left) {
            std::thread::sleep(Duration::from_nanos(left));
        }
    }

    /// The cost of one reading in nanoseconds: the best average over batches of a few thousand.
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
