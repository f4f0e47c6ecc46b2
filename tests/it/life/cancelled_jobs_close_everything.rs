//! Cancelling ends a job between two batches: everything is closed, nothing more is emitted.

use std::time::Duration;

use thalweg::connectors::{Discard, Generator};
use thalweg::datastream::Environment;
use thalweg::ring::WaitStrategy;
use thalweg::runtime::{JobError, JobHandle, JobStatus};

use super::probe::{Moment, Probe, ProbedSource};

/// An endless job, and the probes of its source, function and sink.
fn endless(parallelism: u32, wait: WaitStrategy) -> (JobHandle, [Probe; 3]) {
    let env = Environment::new()
        .parallelism(parallelism)
        .wait_strategy(wait);
    let [source, function, sink] = [Probe::default(), Probe::default(), Probe::default()];
    let probed = ProbedSource {
        probe: source.clone(),
        endless: true,
    };
    env.source("numbers", probed)
        .rebalance()
        .process(function.clone())
        .sink("sink", sink.clone());
    let job = env.spawn("endless").expect("starts");
    while sink.count(Moment::Record) == 0 {
        std::thread::yield_now();
    }
    (job, [source, function, sink])
}

fn assert_closed(probes: &[Probe], parallelism: u32) {
    for probe in probes {
        assert_eq!(probe.count(Moment::Open), parallelism);
        assert_eq!(probe.count(Moment::Close), parallelism, "closed once each");
        assert_eq!(probe.count(Moment::End), 0, "a cancelled input has no end");
    }
}

#[test]
fn a_cancelled_job_ends_and_closes_everything() {
    for parallelism in [1, 2, 8] {
        for wait in [
            WaitStrategy::default(),
            WaitStrategy::Park,
            WaitStrategy::Yield,
        ] {
            let (job, probes) = endless(parallelism, wait);
            assert_eq!(job.status(), JobStatus::Running);
            job.cancel();
            job.cancel();
            let error = job.wait().expect_err("the job was cancelled");
            assert!(matches!(error, JobError::Cancelled { .. }), "{error}");
            assert_closed(&probes, parallelism);
        }
    }
}

#[test]
fn dropping_the_handle_cancels_the_job() {
    let (job, probes) = endless(2, WaitStrategy::default());
    drop(job);
    assert_closed(&probes, 2);
    let written = probes[2].count(Moment::Record);
    std::thread::sleep(Duration::from_millis(5));
    assert_eq!(probes[2].count(Moment::Record), written, "nothing goes on");
}

#[test]
fn a_sleeping_job_is_cancelled_at_once() {
    let env = Environment::new().parallelism(2);
    // One record now and the next in about a day.
    env.source("slow", Generator::new(|n| n).rate(1).count(u64::MAX))
        .map(|n| n + 1)
        .rebalance()
        .sink("sink", Discard::new());
    let (records, source) = thalweg::connectors::inlet::<u64>(1 << 12);
    env.source("silent", source).sink("silent", Discard::new());
    let job = env.spawn("sleeping").expect("starts");
    std::thread::sleep(Duration::from_millis(30));
    let started = std::time::Instant::now();
    job.cancel();
    assert!(matches!(job.wait(), Err(JobError::Cancelled { .. })));
    assert!(
        started.elapsed() < Duration::from_millis(900),
        "it slept on"
    );
    assert!(records.is_closed());
}

#[test]
fn a_dropped_stepper_closes_everything() {
    let env = Environment::new().parallelism(2);
    let probe = Probe::default();
    env.source("numbers", Generator::new(|n| n))
        .rebalance()
        .process(probe.clone())
        .sink("sink", Discard::new());
    let clock = thalweg::time::ManualClock::new(thalweg::time::Timestamp(0));
    let mut job = env.stepper("endless", clock).expect("deploys");
    for _ in 0..10 {
        job.step().expect("runs");
    }
    drop(job);
    assert_eq!(probe.count(Moment::Open), 2);
    assert_eq!(probe.count(Moment::Close), 2);
}
