//! A stepper says that nothing can be done only if that is so, and hides no failure.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use thalweg::checkpoint::{HeapStorage, Storage};
use thalweg::prelude::*;
use thalweg::runtime::CheckpointEvent;

/// Registers many timers for each record, one of which emits, or fails.
#[derive(Clone)]
struct OneOfMany {
    at: i64,
    fails: bool,
}

impl KeyedProcessFunction<u64, u64> for OneOfMany {
    type Out = u64;

    fn process(&mut self, _record: &u64, cx: &mut impl KeyedProcessContext<u64, u64>) -> Outcome {
        (1..=600).for_each(|nanos| cx.register_processing_timer(Timestamp(nanos)));
        Ok(())
    }

    fn on_timer(
        &mut self,
        at: Timestamp,
        _domain: TimeDomain,
        cx: &mut impl KeyedProcessContext<u64, u64>,
    ) -> Outcome {
        match at == Timestamp(self.at) {
            true if self.fails => return Err("a timer fails".into()),
            true => cx.emit(&1),
            false => {}
        }
        Ok(())
    }
}

#[test]
fn job_is_idle_only_when_what_is_due_has_reached_its_sink() {
    for seed in 0..20 {
        let clock = ManualClock::new(Timestamp(0));
        let (mut numbers, source) = inlet::<u64>(1 << 12);
        let seen = Collected::new();
        let env = Environment::new().parallelism(2);
        env.source("numbers", source)
            .key_by(|n| *n)
            .process(OneOfMany {
                at: 600,
                fails: false,
            })
            .rebalance()
            .map(|n| *n)
            .sink("seen", seen.sink());
        let job = env.stepper("timers", clock.clone()).expect("a job");
        let mut job = job.seeded(seed);
        numbers.push(&7).expect("room");
        assert_eq!(job.run().expect("it runs"), Step::Idle);
        clock.set(Timestamp(1_000));
        assert_eq!(job.run().expect("it runs"), Step::Idle);
        assert_eq!(seen.take(), [1], "seed {seed}");
    }
}

#[test]
fn failed_job_stays_failed() {
    let env = Environment::new();
    env.source("numbers", Sequence::new(0..10))
        .map(|n| if *n == 5 { panic!("five") } else { *n })
        .sink("nowhere", Discard::new());
    let clock = ManualClock::new(Timestamp(0));
    let mut job = env.stepper("numbers", clock).expect("a job");
    let error = job.run().expect_err("it fails").to_string();
    assert!(error.contains("five"), "{error}");
    let error = job.step().expect_err("it has failed").to_string();
    assert!(error.contains("has failed before"), "{error}");
}

fn stepped(env: &Environment) -> Stepper {
    env.source("numbers", Sequence::new(0..10))
        .sink("nowhere", Discard::new());
    let clock = ManualClock::new(Timestamp(0));
    env.stepper("numbers", clock).expect("a job")
}

fn heap() -> Arc<dyn Storage> {
    Arc::new(HeapStorage::new())
}

#[test]
fn checkpoint_that_cannot_be_taken_is_told() {
    let mut job = stepped(&Environment::new());
    job.checkpoint();
    job.run().expect("it finishes");
    let refusal = job.take_refusal().expect("there are no checkpoints");
    assert!(refusal.to_string().contains(".checkpoints("), "{refusal}");
    assert!(job.take_refusal().is_none(), "it is told once");

    let checkpoints = || Checkpoints::on_request().to_storage(heap());
    let target = heap();
    for is_free in [true, false] {
        let mut job = stepped(&Environment::new().checkpoints(checkpoints()));
        job.savepoint(Arc::clone(&target));
        job.run().expect("it finishes");
        assert_eq!(job.take_refusal().is_none(), is_free);
        job.checkpoint();
        job.run().expect("it stays finished");
        let refusal = job.take_refusal().expect("it is too late");
        assert!(refusal.to_string().contains("ended"), "{refusal}");
    }
}

#[test]
fn error_of_a_timer_fails_the_job_whichever_timer_it_is() {
    for failing in (1..=600).step_by(37).chain([256, 257, 258]) {
        let clock = ManualClock::new(Timestamp(0));
        let (mut numbers, source) = inlet::<u64>(1 << 12);
        let env = Environment::new();
        env.source("numbers", source)
            .key_by(|n| *n)
            .process(OneOfMany {
                at: failing,
                fails: true,
            })
            .sink("nowhere", Discard::new());
        let mut job = env.stepper("timers", clock.clone()).expect("a job");
        numbers.push(&7).expect("room");
        job.run().expect("it registers timers");
        clock.set(Timestamp(1_000));
        let error = job.run().expect_err("a timer fails").to_string();
        assert!(error.contains("timer"), "{failing}: {error}");
    }
}

#[test]
fn panic_of_an_observer_is_the_jobs_error() {
    let storage = heap();
    let checkpoints = || Checkpoints::on_request().to_storage(Arc::clone(&storage));
    let observed = |of: fn(&CheckpointEvent) -> bool| {
        let observer = move |event: &CheckpointEvent| assert!(!of(event), "seen");
        Environment::new()
            .restore(RestoreFrom::Latest)
            .checkpoints(checkpoints().observed_by(observer))
    };
    let completed = |event: &CheckpointEvent| matches!(event, CheckpointEvent::Completed { .. });
    let error = stepped(&observed(completed)).run().expect_err("it panics");
    assert!(error.to_string().contains("seen"), "{error}");

    let restored = |event: &CheckpointEvent| matches!(event, CheckpointEvent::Restored { .. });
    let env = observed(restored);
    env.source("numbers", Sequence::new(0..10))
        .sink("nowhere", Discard::new());
    let clock = ManualClock::new(Timestamp(0));
    for error in [
        env.execute("numbers").map(drop),
        env.stepper("numbers", clock).map(drop),
    ] {
        let error = error.expect_err("it panics");
        assert!(error.to_string().contains("seen"), "{error}");
    }
}

#[test]
fn checkpoints_that_a_new_run_will_replace_are_told() {
    let storage = heap();
    for is_first in [true, false] {
        let replaced = Arc::new(AtomicU64::new(0));
        let told = Arc::clone(&replaced);
        let checkpoints = Checkpoints::on_request()
            .to_storage(Arc::clone(&storage))
            .observed_by(move |event| {
                if let CheckpointEvent::Replacing { newest } = event {
                    told.store(*newest, Ordering::Relaxed);
                }
            });
        stepped(&Environment::new().checkpoints(checkpoints))
            .run()
            .expect("it finishes");
        assert_eq!(replaced.load(Ordering::Relaxed) == 0, is_first);
    }
}
