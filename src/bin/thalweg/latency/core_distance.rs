//! How far apart two cores are: what a cache line takes from one to the other.
//!
//! The cores of a virtual machine are threads of its host, which moves them about: one second they
//! are two halves of one core, the next they are on different chips, and everything that crosses
//! between them takes five times as long. No program can tell; so the distance is measured before and
//! after every trial and told beside what the trial has found.

use std::hint::spin_loop;
use std::sync::Barrier;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Instant;

use core_affinity::CoreId;

/// Ping-pongs that are measured together: some 50 µs, less than most interruptions are apart.
const ROUNDS: u32 = 100;

/// How many times that is done.
const SAMPLES: usize = 50;

/// Spins in a row: some 50 µs, a hundred times what a line takes at most.
const SPINS_MAX: u32 = 2_000;

/// A number on a cache line of its own, and on none that is fetched along with another's.
#[derive(Default)]
#[repr(align(128))]
struct Line(AtomicU32);

impl Line {
    /// Spins until the other side has written `value`; gives its core away now and then, in case the
    /// other side waits for it.
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

/// Nanoseconds one way, the median of many; `None` if there is but one core.
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
    // Both are threads of their own: the caller must not end up pinned.
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
