//! The distance between two cores: how long a cache line takes from one to the other.
//!
//! The cores of a virtual machine are threads of its host, which moves them around: at one moment they are two halves
//! of one core, at the next they are on different chips, and everything that crosses between them takes five times as
//! long. No program can observe this directly, so the distance is measured before and after every trial and reported
//! with its results.

use std::hint::spin_loop;
use std::sync::Barrier;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Instant;

use core_affinity::CoreId;

/// The number of round trips per sample: about 50 µs, less than the time between most interruptions.
const ROUNDS: u32 = 100;

/// The number of samples.
const SAMPLES: usize = 50;

/// The maximum number of consecutive spins: about 50 µs, a hundred times the longest transfer of a line.
const SPINS_MAX: u32 = 2_000;

/// A number on its own cache line, which also is not prefetched with another's.
#[derive(Default)]
#[repr(align(128))]
struct Line(AtomicU32);

impl Line {
    /// Spins until the other side has written `value`; yields the core now and then, in case the other side is
    /// waiting for it.
    fn await_value(&self, value: u32) {
        let mut spins = 0_u32;
        while self.0.load(Ordering::Acquire) != value {
            spin_loop();
            spins = spins.wrapping_add(1);
            if spins.is_multiple_of(SPINS_MAX) {
                thread::yield_now();
            }
        }
    }
}

/// The median one-way time in nanoseconds; `None` if there is only one core.
pub(crate) fn nanos(cores: &[CoreId]) -> Option<f64> {
    let &[here, there, ..] = cores else {
        return None;
    };
    let (ping, pong, start) = (Line::default(), Line::default(), Barrier::new(2));
    let last = ROUNDS * SAMPLES as u32;
    let echo = || {
        core_affinity::set_for_current(there);
        start.wait();
        for round in 1..=last {
            ping.await_value(round);
            pong.0.store(round, Ordering::Release);
        }
    };
    let call = || {
        core_affinity::set_for_current(here);
        start.wait();
        let mut samples = (0..last).step_by(ROUNDS as usize).map(|first| {
            let begin = Instant::now();
            for round in first + 1..=first + ROUNDS {
                ping.0.store(round, Ordering::Release);
                pong.await_value(round);
            }
            begin.elapsed().as_nanos() as f64 / f64::from(2 * ROUNDS)
        });
        let mut samples: [f64; SAMPLES] = std::array::from_fn(|_| samples.next().unwrap_or(0.0));
        samples.sort_by(f64::total_cmp);
        samples[SAMPLES / 2]
    };
    // Both run on their own threads: the caller must not end up pinned.
    thread::scope(|scope| {
        scope.spawn(echo);
        scope.spawn(call).join().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_core_is_at_no_distance_from_itself() {
        assert_eq!(nanos(&[CoreId { id: 0 }]), None);
        assert_eq!(nanos(&[]), None);
    }
}
