//! Building a job is lazy: nothing is started, opened or read before it runs; and it can be run again.

use thalweg::connectors::{Collected, Collection, Discard, Generator, Sequence};
use thalweg::datastream::Environment;
use thalweg::graph::PlanFormat;
use thalweg::runtime::JobStatus;
use thalweg::time::{ManualClock, Timestamp};

use super::probe::{Moment, Probe, ProbedSource};

const MOMENTS: [Moment; 5] = [
    Moment::Start,
    Moment::Open,
    Moment::Record,
    Moment::End,
    Moment::Close,
];

#[test]
fn drawing_and_planning_open_nothing() {
    let [source, function, sink] = [Probe::default(), Probe::default(), Probe::default()];
    let env = Environment::new().parallelism(2);
    let probed = ProbedSource {
        probe: source.clone(),
        endless: false,
    };
    env.source("numbers", probed)
        .rebalance()
        .process(function.clone())
        .sink("sink", sink.clone());
    let plan = env.plan(PlanFormat::Text).expect("a plan");
    assert!(plan.contains("numbers"), "{plan}");
    let untouched = |probe: &Probe| MOMENTS.iter().all(|moment| probe.count(*moment) == 0);
    assert!([&source, &function, &sink].into_iter().all(untouched));

    let clock = ManualClock::new(Timestamp(0));
    let mut job = env.stepper("numbers", clock).expect("deploys");
    assert_eq!(source.count(Moment::Start), 1);
    assert_eq!(source.count(Moment::Open), 0, "opened by the first step");
    job.run().expect("runs");
    for probe in [&source, &function, &sink] {
        assert_eq!(probe.count(Moment::Open), 2);
        assert_eq!(probe.count(Moment::Record), 20);
        assert_eq!(probe.count(Moment::End), 2);
        assert_eq!(probe.count(Moment::Close), 2);
    }
}

#[test]
fn a_job_can_be_run_again() {
    let env = Environment::new().parallelism(2);
    let (sums, doubled) = (Collected::new(), Collected::new());
    let [a, b] = env.source("numbers", Collection::of(1..=10_u64)).fork();
    a.key_by(|n| n % 2).sum(|n| n).sink("sums", sums.sink());
    b.rebalance().map(|n| n * 2).sink("doubled", doubled.sink());
    for _ in 0..3 {
        env.execute("again").expect("runs");
        let mut found = sums.take();
        found.sort_unstable();
        assert_eq!(
            found,
            [1, 2, 4, 6, 9, 12, 16, 20, 25, 30],
            "state begins anew"
        );
        assert_eq!(doubled.take().len(), 10);
    }
}

#[test]
fn a_job_tells_what_it_did() {
    let env = Environment::new().parallelism(2);
    let numbers = Collected::new();
    env.source("numbers", Sequence::new(0..500))
        .rebalance()
        .sink("numbers", numbers.sink());
    let job = env.spawn("told").expect("starts");
    assert_eq!(job.name(), "told");
    while !job.status().is_terminal() {
        std::thread::yield_now();
    }
    assert_eq!(job.status(), JobStatus::Finished);
    assert_eq!(job.total("source_records"), 500);
    let result = job.wait().expect("finished");
    assert_eq!(result.records(), 500);
    assert_eq!(result.total("source_records"), 500);
    assert!(result.duration > std::time::Duration::ZERO);
    assert_eq!(numbers.take().len(), 500);
}

#[test]
fn a_stepper_leaves_the_clock_of_its_environment_alone() {
    let env = Environment::new();
    let source = Generator::new(|n| n).rate(1_000).count(20);
    env.source("numbers", source).sink("sink", Discard::new());
    let clock = ManualClock::new(Timestamp(0));
    drop(env.stepper("stepped", clock).expect("deploys"));
    // By a clock that stands it would have no second record.
    assert_eq!(env.execute("run").expect("it runs").records(), 20);
}
