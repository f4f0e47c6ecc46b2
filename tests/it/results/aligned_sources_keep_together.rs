//! Watermark alignment: a source that is ahead waits for the others, and nothing but its own records waits for it.

use std::sync::Arc;

use thalweg::checkpoint::{SimulatedStorage, Storage};
use thalweg::connectors::{Collected, Collection};
use thalweg::datastream::Environment;
use thalweg::operator::{CoProcessFunction, Outcome, ProcessContext};
use thalweg::runtime::{Checkpoints, Step};
use thalweg::time::{
    AlignmentGroup, ManualClock, Monotonous, Timestamp, WatermarkStrategy, nanoseconds,
};

/// The times of the records of two sources: one has a gap that is longer than the drift, one has none.
const GAP: [i64; 2] = [0, 100];
const STEADY: std::ops::RangeInclusive<i64> = 0..=200;
const DRIFT: i64 = 10;

/// Records of both inputs as they come, those of the first one negative.
#[derive(Clone)]
struct Both;

impl CoProcessFunction<i64, i64> for Both {
    type Out = i64;

    fn process_first(&mut self, at: &i64, cx: &mut impl ProcessContext<i64>) -> Outcome {
        cx.emit(&-at);
        Ok(())
    }

    fn process_second(&mut self, at: &i64, cx: &mut impl ProcessContext<i64>) -> Outcome {
        cx.emit(at);
        Ok(())
    }
}

/// Runs the job until it has nothing to do, with a checkpoint after some steps; gives what came, in order.
fn run(parallelism: u32, seed: u64, checkpoint_after: usize) -> Vec<i64> {
    let storage: Arc<dyn Storage> = Arc::new(SimulatedStorage::new(1));
    let env = Environment::new()
        .parallelism(parallelism)
        .checkpoints(Checkpoints::on_request().to_storage(storage));
    let group = AlignmentGroup::within(nanoseconds(DRIFT as u64));
    let timed = |at: &i64| Timestamp(*at);
    let aligned = || Monotonous.with_alignment(&group);
    let gap = env.source("gap", Collection::of(GAP));
    let gap = gap.timestamps(aligned(), timed).global();
    let steady = env.source("steady", Collection::of(STEADY));
    let steady = steady.timestamps(aligned(), timed).global();
    let came = Collected::new();
    gap.connect(steady)
        .process(Both)
        .global()
        .sink("both", came.sink());
    let clock = ManualClock::new(Timestamp(0));
    let job = env.stepper("aligned", clock.clone()).expect("deploys");
    let mut job = job.seeded(seed).batch(1);
    for _ in 0..checkpoint_after {
        job.step().expect("a step");
    }
    job.checkpoint();
    while job.run().expect("runs") != Step::Finished {
        assert!(clock.now() < Timestamp(1_000_000_000), "it hangs");
        clock.advance(nanoseconds(10_000_000));
    }
    // That, and perhaps one more at the end.
    assert!(job.completed_checkpoint() >= Some(1));
    came.take()
}

#[test]
fn a_barrier_passes_a_source_that_waits_for_another() {
    for parallelism in [1, 2] {
        for checkpoint_after in [0, 1, 2, 3, 4, 5, 10, 50] {
            let came = run(parallelism, 7, checkpoint_after);
            assert_eq!(came.len(), GAP.len() + STEADY.count());
        }
    }
}

#[test]
fn branches_of_one_source_do_not_wait_for_each_other() {
    let group = AlignmentGroup::within(nanoseconds(DRIFT as u64));
    let seen = Collected::new();
    let env = Environment::new();
    let branches = env.source("steady", Collection::of(STEADY)).fork::<2>();
    for (branch, slower) in branches.into_iter().zip([1, 10]) {
        let aligned = Monotonous.with_alignment(&group);
        branch
            .timestamps(aligned, move |at: &i64| Timestamp(at / slower))
            .sink("seen", seen.sink());
    }
    let clock = ManualClock::new(Timestamp(0));
    let mut job = env
        .stepper("branches", clock.clone())
        .expect("a job")
        .batch(1);
    while job.run().expect("it runs") != Step::Finished {
        assert!(clock.now() < Timestamp(1_000_000_000), "it hangs");
        clock.advance(nanoseconds(10_000_000));
    }
    assert_eq!(seen.len(), 2 * STEADY.count());
}
