//! Barriers that overtake in one of two branches which meet again: no branch waits for what the other one is to read.

use std::sync::Arc;
use std::time::Duration;

use thalweg::checkpoint::HeapStorage;
use thalweg::prelude::*;

const KEYS: u64 = 1_000;
const WINDOWS: u64 = 50;

/// How the second of two branches reaches the subtask in which they meet.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Way {
    /// Through another region, back into the one in which the fork is.
    Round,
    /// Through a broadcast, where barriers never overtake.
    InLine,
}

/// The results of windows, which fire into both branches of a fork.
fn counts(env: &Environment) -> [Stream<impl Pipe<Out = [u64; 2]> + use<>>; 2] {
    env.source("numbers", Generator::new(|n| n).count(KEYS * WINDOWS))
        .timestamps(Monotonous, |n| Timestamp(*n as i64))
        .key_by(|n| n % KEYS)
        .window(Tumbling::of(nanoseconds(KEYS)))
        .aggregate_with(Count, |key, _, count| [*key, count])
        .uid("counts")
        .fork()
}

/// Runs the job with small rings and a checkpoint in every step or so; returns how many records met.
fn run(way: Way, parallelism: u32, checkpoints: Checkpoints) -> u64 {
    let checkpoints = checkpoints.to_storage(Arc::new(HeapStorage::new()));
    let env = Environment::new()
        .parallelism(parallelism)
        .ring_capacity(1024)
        .checkpoints(checkpoints.tolerable_failures(u32::MAX));
    let met = Collected::new();
    let [near, far] = counts(&env);
    match way {
        Way::Round => {
            let far = far.rebalance().parallelism(parallelism + 1).map(|row| *row);
            let far = far.rebalance().parallelism(parallelism);
            near.union(far).sink("met", met.sink());
        }
        Way::InLine => {
            let near = near.broadcast().parallelism(parallelism + 1);
            let far = far.rebalance().parallelism(parallelism + 1);
            near.union(far).sink("met", met.sink());
        }
    }
    let clock = ManualClock::new(Timestamp(0));
    let mut job = env.stepper("branches", clock.clone()).expect("a job");
    for _ in 0..50_000 {
        if job.step().expect("it runs") == Step::Finished {
            assert!(job.completed_checkpoint() > Some(1), "there were some");
            return met.len() as u64;
        }
        clock.advance(Duration::from_micros(300));
    }
    panic!("it hangs");
}

#[test]
fn branches_that_meet_again_get_on_during_checkpoints() {
    let interval = || Checkpoints::every(Duration::from_millis(1));
    for parallelism in [1, 2] {
        for (way, copies) in [(Way::Round, 2), (Way::InLine, u64::from(parallelism) + 2)] {
            for checkpoints in [
                interval().unaligned(),
                interval().unaligned_after(Duration::from_millis(1)),
                interval(),
            ] {
                let met = run(way, parallelism, checkpoints);
                assert_eq!(met, copies * KEYS * WINDOWS, "{way:?} at {parallelism}");
            }
        }
    }
}
