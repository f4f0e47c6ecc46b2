//! The records: ticks, each of them due at a time of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

use crate::digest::mix64;

use super::schedule::{Due, Schedule};
use super::stopwatch::Stopwatch;

/// The number of keys.
const KEYS: u64 = 10_000;

/// Ticks handed out after one look at the clock, at most: a source that lags looks again now and then.
const LOOK_MAX: u32 = 1024;

/// How long after its schedule's end a source gives up what it could not hand on.
const PATIENCE_NANOS: i64 = 5_000_000_000;

/// A record with a due time.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Tick {
    /// One of 10,000 keys, pseudo-random.
    pub key: u64,
    /// The record's index; of a result, the count of its key.
    pub number: u64,
    /// When it is due, in nanoseconds of the trial's clock.
    pub due_nanos: i64,
}

/// The source's side of a trial: hands out every tick once it is due.
#[derive(Clone, Debug)]
pub struct Ticks {
    stopwatch: Stopwatch,
    next: Due,
    /// Ticks in all.
    count: u64,
    gives_up_nanos: i64,
    now_nanos: i64,
    left_of_look: u32,
    /// Whether the source may end: not before the processors' times were read.
    let_go: Arc<AtomicBool>,
    /// Ticks that it gave up.
    unsent: Arc<AtomicU64>,
}

impl Ticks {
    pub(crate) fn new(
        schedule: &Schedule,
        stopwatch: Stopwatch,
        let_go: Arc<AtomicBool>,
        unsent: Arc<AtomicU64>,
    ) -> Self {
        Ticks {
            stopwatch,
            next: schedule.first(),
            count: schedule.count,
            gives_up_nanos: schedule.end_nanos() + PATIENCE_NANOS,
            now_nanos: 0,
            left_of_look: 0,
            let_go,
            unsent,
        }
    }

    /// Looks at the clock.
    #[inline]
    pub fn look(&mut self) {
        self.now_nanos = self.stopwatch.nanos();
        self.left_of_look = LOOK_MAX;
        if self.now_nanos > self.gives_up_nanos && self.next.index < self.count {
            (self.unsent).store(self.count - self.next.index, Ordering::Relaxed);
            self.count = self.next.index;
        }
    }

    /// The next tick, if it was due at the last look.
    #[inline]
    pub fn take(&mut self) -> Option<Tick> {
        let is_due = self.next.nanos <= self.now_nanos && self.next.index < self.count;
        if !is_due || self.left_of_look == 0 {
            return None;
        }
        self.left_of_look -= 1;
        let tick = Tick {
            key: mix64(self.next.index) % KEYS,
            number: self.next.index,
            due_nanos: self.next.nanos,
        };
        self.next.advance();
        Some(tick)
    }

    /// Whether no more will come, and the source may end.
    pub fn is_over(&self) -> bool {
        self.next.index == self.count && self.let_go.load(Ordering::Relaxed)
    }
}

/// The sum of all counts of the first `ticks` ticks: what a run has to come to.
pub(crate) fn sum_of_counts(ticks: u64) -> u64 {
    let mut counts = vec![0_u64; KEYS as usize];
    (0..ticks).fold(0, |sum, index| {
        let count = &mut counts[(mix64(index) % KEYS) as usize];
        *count += 1;
        sum + *count
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticks(count: u64, gives_up_nanos: i64) -> Ticks {
        let schedule = Schedule {
            start_nanos: 0,
            rate: 1_000_000_000,
            warm_up_count: 0,
            count,
        };
        let unsent = Arc::default();
        let mut ticks = Ticks::new(&schedule, Stopwatch::start(), Arc::default(), unsent);
        ticks.gives_up_nanos = gives_up_nanos;
        std::thread::sleep(std::time::Duration::from_millis(1));
        ticks
    }

    #[test]
    fn what_is_due_comes_once_and_the_source_ends_when_it_may() {
        let mut ticks = ticks(3000, i64::MAX);
        let mut seen = Vec::new();
        while seen.len() < 3000 {
            assert!(ticks.take().is_none(), "not looked yet");
            ticks.look();
            while let Some(tick) = ticks.take() {
                seen.push(tick.number);
            }
            assert!(seen.len().is_multiple_of(LOOK_MAX as usize) || seen.len() == 3000);
        }
        assert!(seen.into_iter().eq(0..3000));
        assert!(!ticks.is_over());
        ticks.let_go.store(true, Ordering::Relaxed);
        assert!(ticks.is_over());
    }

    #[test]
    fn what_is_late_beyond_patience_is_given_up_and_counted() {
        let mut ticks = ticks(10, i64::MAX);
        ticks.look();
        assert!(ticks.take().is_some());
        ticks.gives_up_nanos = 0;
        ticks.look();
        assert!(ticks.take().is_none());
        assert_eq!(ticks.unsent.load(Ordering::Relaxed), 9);
    }
}
