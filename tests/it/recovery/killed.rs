//! A job that is killed at any step and restarted.

use std::time::Duration;

use thalweg::prelude::*;
use thalweg::runtime::{Step, Stepper};

/// More steps than a job that makes progress takes.
const STEPS_MAX: u64 = 100_000;
/// How often the process is killed.
const KILLS: u32 = 6;

pub(super) fn xorshift(random: &mut u64) -> u64 {
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    *random
}

/// Steps until the job ends or `steps` steps are done, now and then requesting up to `asks` checkpoints at once.
fn step(
    (mut job, clock): (Stepper, &ManualClock),
    steps: u64,
    asks: u64,
    random: &mut u64,
) -> bool {
    for taken in 0..steps {
        assert!(taken < STEPS_MAX, "the job does not end: {job:?}");
        clock.advance(Duration::from_millis(1));
        if xorshift(random).is_multiple_of(4) {
            (0..1 + *random % asks).for_each(|_| job.checkpoint());
        }
        match job.step().expect("nothing fails") {
            Step::Finished => return true,
            Step::Worked | Step::Idle => {}
        }
    }
    false
}

/// Runs to its end the job that `job` makes from one of the parallelisms and a random number. On the way it is killed
/// as a seed determines, and asked for up to `asks` checkpoints at once.
pub(super) fn run_killed(
    seed: u64,
    parallelisms: &[u32],
    asks: u64,
    job: impl Fn(u32, u64) -> Environment,
) {
    let mut random = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    for kills in 0.. {
        let place = xorshift(&mut random) % parallelisms.len() as u64;
        let env = job(parallelisms[place as usize], random);
        let clock = ManualClock::new(Timestamp(0));
        let job = env.stepper("killed", clock.clone()).expect("a job");
        let job = job.seeded(random).batch(1 + (random % 64) as u32);
        let steps = if kills < KILLS {
            xorshift(&mut random) % 60
        } else {
            u64::MAX
        };
        if step((job, &clock), steps, asks, &mut random) {
            return;
        }
    }
}
