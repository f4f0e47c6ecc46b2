//! The clock: the only file of this module that asks the operating system.
//!
//! An enum, so that reading it is a branch rather than an indirect call, and so that a job in
//! step mode runs the same code under a [`ManualClock`]. The runtime reads it once per batch, never
//! once per record.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::{Timestamp, nanos};

/// Where [`Clock::monotonic_nanos`] counts from: its first reading in this process.
static ORIGIN: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Where processing time comes from.
#[derive(Clone, Debug, Default)]
pub enum Clock {
    /// The machine's clock.
    #[default]
    System,
    /// A clock that stands still until it is moved.
    Manual(ManualClock),
}

impl Clock {
    /// Processing time. The machine's wall clock may be set back, so readings may go backwards.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        match self {
            Clock::System => wall_clock(),
            Clock::Manual(clock) => clock.now(),
        }
    }

    /// Nanoseconds since a fixed moment in this process, never decreasing: for measuring. Readings of
    /// different kinds of clock are unrelated.
    #[must_use]
    pub fn monotonic_nanos(&self) -> u64 {
        match self {
            Clock::System => nanos(ORIGIN.elapsed()).unsigned_abs(),
            Clock::Manual(clock) => clock.now().0.wrapping_sub(i64::MIN).cast_unsigned(),
        }
    }
}

/// Provides both monotonic and processing time from one clock reading.
///
/// A reading takes some tens of nanoseconds, and a worker needs both times in every round. Here processing
/// time is derived from the monotonic reading; the machine's wall clock is read again once
/// [`RoundClock::TRUSTED`] has passed, so a change to it is noticed no later than that.
#[derive(Debug)]
pub struct RoundClock {
    clock: Clock,
    /// What to add to monotonic time to get processing time.
    offset: i64,
    /// Until when, in monotonic time, the offset is trusted.
    trusted_until: u64,
}

impl RoundClock {
    /// How long the offset between the two times is trusted.
    pub const TRUSTED: Duration = Duration::from_millis(1);

    /// Reads `clock`.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        RoundClock {
            clock,
            offset: 0,
            trusted_until: 0,
        }
    }

    /// The monotonic time in nanoseconds, see [`Clock::monotonic_nanos`], and processing time.
    pub fn read(&mut self) -> (u64, Timestamp) {
        let monotonic = self.clock.monotonic_nanos();
        if matches!(self.clock, Clock::Manual(_)) {
            return (monotonic, self.clock.now());
        }
        if monotonic >= self.trusted_until {
            self.offset = self.clock.now().0 - monotonic.cast_signed();
            self.trusted_until = monotonic + nanos(Self::TRUSTED).unsigned_abs();
        }
        (monotonic, Timestamp(monotonic.cast_signed() + self.offset))
    }
}

fn wall_clock() -> Timestamp {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => Timestamp(nanos(since)),
        Err(before) => Timestamp(-nanos(before.duration())),
    }
}

/// A clock that is moved by hand; clones show the same time.
#[derive(Clone, Debug)]
pub struct ManualClock {
    now: Arc<AtomicI64>,
}

impl ManualClock {
    /// A clock that shows `start`.
    #[must_use]
    pub fn new(start: Timestamp) -> Self {
        ManualClock {
            now: Arc::new(AtomicI64::new(start.0)),
        }
    }

    /// The time it shows.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        Timestamp(self.now.load(Ordering::Acquire))
    }

    /// Moves it to `time`. It never goes back: an earlier time has no effect.
    pub fn set(&self, time: Timestamp) {
        self.now.fetch_max(time.0, Ordering::AcqRel);
    }

    /// Moves it forward, at most to [`Timestamp::MAX`].
    pub fn advance(&self, by: Duration) {
        let ahead = |now: i64| Some(now.saturating_add(nanos(by)));
        let moved = (self.now).fetch_update(Ordering::AcqRel, Ordering::Acquire, ahead);
        debug_assert!(moved.is_ok(), "the closure always gives a time");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{millis, secs};

    #[test]
    fn clones_of_a_manual_clock_show_the_same_time() {
        let hand = ManualClock::new(Timestamp(0));
        let clock = Clock::Manual(hand.clone());
        hand.set(Timestamp::from_secs(3));
        hand.clone().advance(millis(5));
        assert_eq!(clock.now(), Timestamp(3_005_000_000));
    }

    #[test]
    fn manual_clock_does_not_go_back_and_stops_at_the_end_of_time() {
        let hand = ManualClock::new(Timestamp::MIN);
        let clock = Clock::Manual(hand.clone());
        assert_eq!(clock.monotonic_nanos(), 0);
        hand.set(Timestamp(10));
        hand.set(Timestamp(9));
        assert_eq!(hand.now(), Timestamp(10));
        hand.advance(Duration::MAX);
        assert_eq!(hand.now(), Timestamp::MAX);
        assert_eq!(clock.monotonic_nanos(), u64::MAX);
    }

    #[test]
    fn one_reading_shows_both_times() {
        let hand = ManualClock::new(Timestamp(7));
        let mut rounds = RoundClock::new(Clock::Manual(hand.clone()));
        hand.set(Timestamp(9));
        assert_eq!(rounds.read().1, Timestamp(9));
        let mut rounds = RoundClock::new(Clock::System);
        for _ in 0..1_000 {
            let before = Clock::System.now();
            let (_, now) = rounds.read();
            let near = nanos(secs(1));
            assert!((now.0 - before.0).abs() < near, "{now:?} {before:?}");
        }
    }

    #[test]
    fn system_clock_shows_the_present_and_measures_without_falling() {
        let clock = Clock::System;
        let start_of_2024 = Timestamp::from_secs(1_704_067_200);
        assert!(clock.now() > start_of_2024);
        let first = clock.monotonic_nanos();
        let second = clock.monotonic_nanos();
        assert!(second >= first && second - first < nanos(secs(60)).unsigned_abs());
    }
}
