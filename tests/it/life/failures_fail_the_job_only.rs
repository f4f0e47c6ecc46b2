//! An error or a panic, wherever it happens, fails the job, reporting its place and cause, closes whatever was
//! opened, and leaves the process alone.

use std::sync::Arc;
use std::time::Duration;

use thalweg::checkpoint::HeapStorage;
use thalweg::connectors::{Collected, Collection, Discard, Generator, Sequence, outlet};
use thalweg::datastream::Environment;
use thalweg::operator::{
    KeyedProcessContext, KeyedProcessFunction, OperatorError, Outcome, OutputTag, ProcessContext,
    ProcessFunction, TimeDomain,
};
use thalweg::runtime::{Checkpoints, JobError, JobStatus, RestartStrategy};
use thalweg::time::{ManualClock, Monotonous, Timestamp};

use super::probe::{Moment, Probe, ProbedSource, Trouble};

/// Runs a job that must fail, on threads and in steps, at parallelism 1 and 2; returns each error's vertex and cause.
fn failures(build: impl Fn(&Environment)) -> Vec<(String, OperatorError)> {
    let mut failures = Vec::new();
    for parallelism in [1, 2] {
        for threaded in [true, false] {
            let env = Environment::new().parallelism(parallelism);
            build(&env);
            let error = if threaded {
                env.execute("failing").expect_err("the job fails")
            } else {
                let job = env.stepper("failing", ManualClock::new(Timestamp(0)));
                job.expect("deploys").run().expect_err("the job fails")
            };
            let shown = error.to_string();
            let JobError::Failed {
                job, vertex, cause, ..
            } = error
            else {
                panic!("not a failure of a subtask: {shown}");
            };
            assert_eq!(&*job, "failing");
            assert!(
                shown.contains(&*vertex) && shown.contains("failing"),
                "{shown}"
            );
            failures.push((vertex.to_string(), cause));
        }
    }
    another_job_runs();
    failures
}

/// Checks that the process survives: it can run another job.
fn another_job_runs() {
    let env = Environment::new().parallelism(2);
    let numbers = Collected::new();
    env.source("numbers", Sequence::new(0..10))
        .rebalance()
        .sink("numbers", numbers.sink());
    env.execute("after").expect("the next job runs");
    assert_eq!(numbers.take().len(), 10);
}

/// Checks that all failures are panics with this message, in a vertex that contains this operator.
fn panics(operator: &str, message: &str, build: impl Fn(&Environment)) {
    for (vertex, cause) in failures(build) {
        assert!(vertex.contains(operator), "`{vertex}` has no `{operator}`");
        match cause {
            OperatorError::Panic(found) => assert_eq!(found, message),
            other => panic!("{operator}: not a panic: {other}"),
        }
    }
}

/// Checks that all failures are errors of this operator with this message.
fn errors(operator: &str, message: &str, build: impl Fn(&Environment)) {
    for (vertex, cause) in failures(build) {
        assert!(vertex.contains(operator), "`{vertex}` has no `{operator}`");
        match cause {
            OperatorError::Function {
                operator: found,
                cause,
            } => {
                assert_eq!(&*found, operator);
                assert_eq!(cause.to_string(), message);
            }
            other => panic!("{operator}: not an error of a function: {other}"),
        }
    }
}

#[test]
fn a_panic_in_a_closure_fails_the_job() {
    panics("broken map", "seven", |env| {
        env.source("numbers", Sequence::new(0..100))
            .rebalance()
            .map(|n| if *n == 7 { panic!("seven") } else { *n })
            .name("broken map")
            .sink("sink", Discard::new());
    });
    panics("broken filter", "number 7", |env| {
        env.source("numbers", Sequence::new(0..100))
            .filter(|n| if *n == 7 { panic!("number {n}") } else { true })
            .name("broken filter")
            .rebalance()
            .sink("sink", Discard::new());
    });
    panics("broken flat map", "seven", |env| {
        env.source("numbers", Sequence::new(0..100))
            .flat_map(|n| if *n == 7 { panic!("seven") } else { [*n] })
            .name("broken flat map")
            .sink("sink", Discard::new());
    });
}

#[test]
fn a_panic_in_a_keyed_closure_fails_the_job() {
    panics("broken sum", "seven", |env| {
        env.source("numbers", Sequence::new(0..100))
            .key_by(|n| n % 3)
            .reduce(|_, n| if *n == 70 { panic!("seven") } else { *n })
            .name("broken sum")
            .sink("sink", Discard::new());
    });
    // Where the parallelism allows it, the selector runs upstream of the exchange.
    for (_, cause) in failures(|env| {
        env.source("numbers", Sequence::new(0..100))
            .key_by(|n| if *n == 7 { panic!("seven") } else { *n })
            .sum(|n| n)
            .sink("sink", Discard::new());
    }) {
        assert!(matches!(cause, OperatorError::Panic(message) if message == "seven"));
    }
}

#[test]
fn trouble_in_a_process_function_fails_the_job_and_closes_it() {
    for moment in [Moment::Open, Moment::Record, Moment::End, Moment::Close] {
        let build = |probe: Probe| {
            move |env: &Environment| {
                env.source("numbers", Sequence::new(0..100))
                    .rebalance()
                    .process(probe.clone())
                    .name("probed")
                    .sink("sink", Discard::new());
            }
        };
        let probe = Probe::failing(moment, Trouble::Error);
        errors("probed", "probed", build(probe.clone()));
        // Twice one subtask and twice two of them, each closed once.
        assert_eq!(probe.count(Moment::Close), 6, "{moment:?}");
        let probe = Probe::failing(moment, Trouble::Panic);
        panics("probed", "probed", build(probe.clone()));
        assert_eq!(probe.count(Moment::Close), 6, "{moment:?}");
    }
}

#[test]
fn trouble_in_a_source_fails_the_job_and_closes_it() {
    for moment in [Moment::Open, Moment::Record, Moment::End, Moment::Close] {
        let build = |probe: Probe| {
            move |env: &Environment| {
                let source = ProbedSource {
                    probe: probe.clone(),
                    endless: false,
                };
                env.source("probed source", source)
                    .rebalance()
                    .sink("sink", Discard::new());
            }
        };
        let probe = Probe::failing(moment, Trouble::Error);
        errors("probed source", "probed", build(probe.clone()));
        assert_eq!(probe.count(Moment::Close), 6, "{moment:?}");
        let probe = Probe::failing(moment, Trouble::Panic);
        panics("probed source", "probed", build(probe.clone()));
        assert_eq!(probe.count(Moment::Close), 6, "{moment:?}");
    }
}

#[test]
fn trouble_in_a_sink_fails_the_job_and_closes_it() {
    for moment in [Moment::Open, Moment::Record, Moment::End, Moment::Close] {
        let build = |probe: Probe| {
            move |env: &Environment| {
                env.source("numbers", Sequence::new(0..100))
                    .rebalance()
                    .sink("probed sink", probe.clone());
            }
        };
        let probe = Probe::failing(moment, Trouble::Error);
        errors("probed sink", "probed", build(probe.clone()));
        assert_eq!(probe.count(Moment::Close), 6, "{moment:?}");
        let probe = Probe::failing(moment, Trouble::Panic);
        panics("probed sink", "probed", build(probe.clone()));
        assert_eq!(probe.count(Moment::Close), 6, "{moment:?}");
    }
}

#[test]
fn a_source_that_cannot_start_fails_the_job_before_it_runs() {
    let probe = Probe::failing(Moment::Start, Trouble::Error);
    let env = Environment::new();
    let source = ProbedSource {
        probe: probe.clone(),
        endless: false,
    };
    env.source("probed source", source)
        .sink("sink", Discard::new());
    let error = env
        .execute("failing")
        .expect_err("the source does not start");
    assert_eq!(error.to_string(), "source `probed source`: probed");
    assert_eq!(probe.count(Moment::Open), 0);
}

/// Fails in a timer.
#[derive(Clone)]
struct Bomb;

impl KeyedProcessFunction<u64, u64> for Bomb {
    type Out = u64;

    fn process(&mut self, _: &u64, cx: &mut impl KeyedProcessContext<u64, u64>) -> Outcome {
        cx.register_event_timer(Timestamp(5));
        Ok(())
    }

    fn on_timer(
        &mut self,
        _: Timestamp,
        _: TimeDomain,
        _: &mut impl KeyedProcessContext<u64, u64>,
    ) -> Outcome {
        Err("the bomb went off".into())
    }
}

#[test]
fn an_error_in_a_timer_fails_the_job() {
    errors("bomb", "the bomb went off", |env| {
        env.source("numbers", Collection::of([1_u64]))
            .timestamps(Monotonous, |n| Timestamp(*n as i64))
            .key_by(|n| *n)
            .process(Bomb)
            .name("bomb")
            .sink("sink", Discard::new());
    });
}

#[test]
fn a_record_that_fits_no_ring_is_named_with_its_size() {
    let run = |capacity| {
        let env = Environment::new().parallelism(2).ring_capacity(capacity);
        env.source("text", Collection::of(["x".repeat(10_000)]))
            .rebalance()
            .sink("sink", Discard::new());
        env.execute("large")
    };
    let error = run(4096).expect_err("the record is too large");
    let shown = error.to_string();
    assert!(shown.contains("a record of 10000 bytes"), "{shown}");
    let cure = shown.split_once("raise `ring_capacity` to ");
    let (_, cure) = cure.unwrap_or_else(|| panic!("no cure in: {shown}"));
    let enough = cure.split(' ').next().and_then(|bytes| bytes.parse().ok());
    let enough: usize = enough.unwrap_or_else(|| panic!("no number in: {shown}"));
    run(enough).expect("what the error asks for is enough");
    run(enough - 16).expect_err("and no more than that");
    another_job_runs();
}

#[test]
fn a_partitioner_that_names_no_channel_fails_the_job() {
    for parallelism in [1, 2] {
        let env = Environment::new().parallelism(parallelism);
        env.source("numbers", Sequence::new(0..10))
            .partition_custom(|n, _| *n as usize)
            .sink("sink", Discard::new());
        let error = env.execute("custom").expect_err("there is no such channel");
        let shown = error.to_string();
        let counted = format!("of {parallelism}, which are counted from 0");
        assert!(shown.contains(&counted), "{shown}");
        assert!(shown.contains("the partitioner chose channel"), "{shown}");
    }
}

/// Emits to a side output of numbers.
#[derive(Clone)]
struct ToTheSide(OutputTag<u64>);

impl ProcessFunction<u64> for ToTheSide {
    type Out = u64;

    fn process(&mut self, n: &u64, cx: &mut impl ProcessContext<u64>) -> Outcome {
        cx.emit_to(&self.0, n);
        Ok(())
    }
}

#[test]
fn a_side_output_taken_with_another_type_is_named() {
    let env = Environment::new();
    let processed = env
        .source("numbers", Sequence::new(0..10))
        .process(ToTheSide(OutputTag::new("mixed up")));
    processed
        .side_output(&OutputTag::<str>::new("mixed up"))
        .sink("text", Discard::new());
    let error = env.execute("sides").expect_err("the types differ");
    assert!(error.to_string().contains("`mixed up`"), "{error}");
}

#[test]
fn a_failed_job_says_so_and_keeps_the_first_cause() {
    let env = Environment::new().parallelism(2);
    env.source("numbers", Sequence::new(0..1_000_000))
        .map(|n| if *n == 3 { panic!("three") } else { *n })
        .rebalance()
        .sink("sink", Discard::new());
    let job = env.spawn("failing").expect("starts");
    while !job.status().is_terminal() {
        std::thread::yield_now();
    }
    assert_eq!(job.status(), JobStatus::Failed);
    let error = job.wait().expect_err("failed");
    assert!(
        error.to_string().ends_with("subtask panicked: three"),
        "{error}"
    );
}

#[test]
fn a_failed_stepper_has_closed_every_subtask() {
    let env = Environment::new().parallelism(2);
    let probe = Probe::default();
    env.source("numbers", Sequence::new(0..1_000))
        .process(probe.clone())
        .rebalance()
        .map(|n| if *n == 900 { panic!("late") } else { *n })
        .sink("sink", Discard::new());
    let clock = ManualClock::new(Timestamp(0));
    let mut job = env.stepper("failing", clock).expect("deploys").batch(100);
    assert!(job.run().is_err());
    assert_eq!(probe.count(Moment::Close), 2);
    assert!(job.step().is_err(), "it stays failed");
}

#[test]
fn a_panic_outside_of_subtasks_fails_the_job_and_ends_its_workers() {
    let env = Environment::new().parallelism(2).checkpoints(
        Checkpoints::every(Duration::from_millis(1))
            .to_storage(Arc::new(HeapStorage::new()))
            .observed_by(|_| panic!("seen enough")),
    );
    let probe = Probe::default();
    let source = ProbedSource {
        probe: probe.clone(),
        endless: true,
    };
    env.source("endless", source).sink("sink", Discard::new());
    let job = env.spawn("observed").expect("starts");
    assert!(job.wait_timeout(Duration::from_secs(60)) && job.is_finished());
    let error = job.wait().expect_err("the observer panics");
    assert!(matches!(&error, JobError::Panicked { message, .. } if message == "seen enough"));
    assert_eq!(probe.count(Moment::Open), probe.count(Moment::Close));
    assert!(probe.count(Moment::Open) > 0);
}

/// Panics when it is copied for a subtask.
struct Uncopiable;

impl Clone for Uncopiable {
    fn clone(&self) -> Self {
        panic!("not to be copied")
    }
}

#[test]
fn a_panic_while_the_job_is_deployed_is_its_error() {
    let env = Environment::new();
    let uncopiable = Uncopiable;
    env.source("numbers", Sequence::new(0..10))
        .map(move |n| {
            let _ = &uncopiable;
            *n
        })
        .sink("sink", Discard::new());
    let clock = ManualClock::new(Timestamp(0));
    let errors = [
        env.execute("uncopiable").expect_err("it panics"),
        env.stepper("uncopiable", clock).expect_err("it panics"),
    ];
    for error in errors {
        assert!(
            matches!(&error, JobError::Panicked { message, .. } if message == "not to be copied"),
            "{error}"
        );
    }
}

#[test]
fn the_outlet_of_a_stepped_job_that_failed_or_was_dropped_is_finished() {
    for drops in [true, false] {
        let (mut records, sink) = outlet::<u64>(1 << 12);
        let env = Environment::new().parallelism(2);
        env.source("numbers", Sequence::new(0..100))
            .map(|n| if *n == 99 { panic!("the last one") } else { *n })
            .rebalance()
            .sink("outlet", sink);
        let clock = ManualClock::new(Timestamp(0));
        let mut job = env.stepper("failing", clock).expect("deploys").batch(10);
        if drops {
            job.step().expect("runs");
            drop(job);
        } else {
            job.run().expect_err("it panics");
        }
        while records.poll(|_, _| ()) > 0 {}
        assert!(records.is_finished(), "dropped: {drops}");
    }
}

#[test]
fn a_panic_in_a_sources_commit_fails_the_job() {
    let probe = Probe::failing(Moment::Commit, Trouble::Panic);
    let source = ProbedSource {
        probe: probe.clone(),
        endless: true,
    };
    let env = Environment::new()
        .restart(RestartStrategy::None)
        .checkpoints(Checkpoints::on_request().to_storage(Arc::new(HeapStorage::new())));
    env.source("endless", source).sink("sink", Discard::new());
    let job = env.spawn("committing").expect("starts");
    job.checkpoint().expect("the commit comes behind it");
    assert!(job.wait_timeout(Duration::from_secs(60)), "it hangs");
    let error = job.wait().expect_err("the commit panics");
    assert!(
        matches!(&error, JobError::Failed { cause: OperatorError::Panic(message), .. } if message == "probed")
    );
    assert_eq!(probe.count(Moment::Close), 1);
}

#[test]
fn durations_without_end_are_no_panic() {
    let forever = Duration::MAX;
    let env = Environment::new().checkpoints(
        Checkpoints::every(forever)
            .timeout(forever)
            .min_pause(forever)
            .unaligned_after(forever)
            .to_storage(Arc::new(HeapStorage::new())),
    );
    env.source("numbers", Generator::new(|n| n).rate(10_000).count(500))
        .sink("sink", Discard::new());
    let job = env.spawn("patient").expect("starts");
    job.checkpoint().expect("it is taken at once");
    job.wait().expect("finishes");
}

#[test]
fn an_outlet_of_a_job_that_failed_is_finished_when_all_is_read() {
    let (mut outlet, sink) = outlet::<u64>(1 << 16);
    let env = Environment::new();
    env.source("numbers", Sequence::new(0..10))
        .map(|n| if *n == 7 { panic!("seven") } else { *n })
        .sink("outlet", sink);
    let job = env.spawn("failing").expect("starts");
    let mut found = Vec::new();
    while !outlet.is_finished() {
        outlet.poll(|n, _| found.push(*n));
        std::thread::yield_now();
    }
    // How many of the numbers had been written by then is not said.
    assert!((0..7).take(found.len()).eq(found));
    job.wait().expect_err("seven");
}
