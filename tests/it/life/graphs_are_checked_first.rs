//! A graph that cannot run is rejected with an explanation, before anything is opened.

use std::sync::Arc;

use thalweg::checkpoint::HeapStorage;
use thalweg::connectors::{Collected, Collection, Discard, Sequence, inlet};
use thalweg::datastream::Environment;
use thalweg::graph::PlanFormat;
use thalweg::operator::{
    CoProcessFunction, Count, Outcome, OutputTag, ProcessContext, ProcessFunction, Tumbling,
};
use thalweg::runtime::{Checkpoints, RestoreFrom};
use thalweg::time::{AlignmentGroup, Monotonous, Timestamp, WatermarkStrategy, hours};

use super::probe::{Moment, Probe, ProbedSource};

/// The error with which a job is rejected; its source must not have been started.
fn refused(draw: impl FnOnce(&Environment)) -> String {
    refused_in(Environment::new(), draw)
}

fn refused_in(env: Environment, draw: impl FnOnce(&Environment)) -> String {
    let probe = Probe::default();
    let source = ProbedSource {
        probe: probe.clone(),
        endless: false,
    };
    env.source("other", source).sink("other", Discard::new());
    draw(&env);
    let error = env.execute("refused").expect_err("the graph is refused");
    assert_eq!(probe.count(Moment::Start), 0, "nothing was started");
    assert_eq!(
        env.spawn("refused").expect_err("refused").to_string(),
        error.to_string()
    );
    error.to_string()
}

#[test]
fn an_empty_graph_is_refused_in_flinks_words() {
    let empty = "No operators defined in streaming topology. Cannot execute.";
    let env = Environment::new();
    assert_eq!(env.execute("empty").expect_err("empty").to_string(), empty);
    let env = Environment::new();
    env.source("numbers", Sequence::new(0..10));
    assert_eq!(env.execute("empty").expect_err("empty").to_string(), empty);
}

#[test]
fn a_job_needs_no_sink() {
    let env = Environment::new().parallelism(2);
    let seen = Collected::new();
    let sink = seen.sink();
    let counted = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
    let count = std::sync::Arc::clone(&counted);
    env.source("numbers", Sequence::new(0..10))
        .rebalance()
        .map(move |n| {
            count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            *n
        });
    env.execute("no sink").expect("a map is an operator");
    assert_eq!(counted.load(std::sync::atomic::Ordering::SeqCst), 10);
    // The sink that was created but not used has seen nothing.
    drop::<thalweg::connectors::Collect<u64>>(sink);
    assert!(seen.is_empty());
}

#[test]
fn a_uid_names_one_operator() {
    let error = refused(|env| {
        env.source("numbers", Sequence::new(0..10))
            .uid("one")
            .map(|n| n + 1)
            .name("increment")
            .uid("one")
            .sink("sink", Discard::new());
    });
    assert_eq!(
        error,
        "uid `one` is given to both `numbers` and `increment`: a uid names one operator"
    );
}

#[test]
fn forward_keeps_the_parallelism() {
    let error = refused(|env| {
        env.source("numbers", Sequence::new(0..10))
            .parallelism(2)
            .forward()
            .parallelism(3)
            .sink("sink", Discard::new());
    });
    assert!(error.contains("forward"), "{error}");
    assert!(error.contains("`numbers` has 2"), "{error}");
    assert!(error.contains("has 3"), "{error}");
}

#[test]
fn streams_that_meet_have_one_parallelism() {
    let error = refused(|env| {
        let two = env.source("two", Sequence::new(0..10)).parallelism(2);
        env.source("three", Sequence::new(0..10))
            .parallelism(3)
            .union(two)
            .sink("sink", Discard::new());
    });
    assert!(error.contains("put `rebalance()` between them"), "{error}");
}

#[test]
fn a_side_without_a_parallelism_takes_that_of_the_other_side() {
    for sides in [[None, Some(2)], [Some(2), None], [None, None]] {
        let env = Environment::new().parallelism(3);
        let [first, second] = sides.map(|parallelism| {
            let numbers = env.source("numbers", Sequence::new(0..10));
            let keyed = numbers.key_by(|n| *n);
            match parallelism {
                Some(parallelism) => keyed.parallelism(parallelism),
                None => keyed,
            }
        });
        let both = first.into_stream().union(second.into_stream());
        both.sink("nowhere", Discard::new());
        env.execute("union")
            .expect("both have the same parallelism");
    }
}

#[test]
fn a_source_has_its_limit() {
    let error = refused(|env| {
        env.source("list", Collection::of([1_u64]))
            .parallelism(2)
            .sink("sink", Discard::new());
    });
    assert!(
        error.starts_with("source `list` cannot run with parallelism 2: 1 at most"),
        "{error}"
    );
}

#[test]
fn rings_have_a_largest_capacity() {
    let error = refused_in(Environment::new().ring_capacity(1 << 60), |env| {
        let numbers = env.source("numbers", Sequence::new(0..10));
        numbers.rebalance().sink("nowhere", Discard::new());
    });
    assert!(error.contains("`ring_capacity`"), "{error}");
}

#[test]
fn a_parallelism_is_one_at_least_and_the_key_groups_at_most() {
    let error = refused(|env| {
        env.source("none", Sequence::new(0..10))
            .parallelism(0)
            .sink("sink", Discard::new());
    });
    assert_eq!(error, "operator `none`: a parallelism is 1 at least");
    let few = Environment::new().max_parallelism(2);
    let error = refused_in(few, |env| {
        env.source("numbers", Sequence::new(0..10))
            .key_by(|n| *n)
            .parallelism(3)
            .sum(|n| n)
            .sink("sink", Discard::new());
    });
    assert_eq!(
        error,
        "parallelism 3 is over the max parallelism 2: raise `max_parallelism`"
    );
    let none = Environment::new().max_parallelism(0);
    let error = refused_in(none, |_| {});
    assert!(error.contains("max parallelism 0"), "{error}");
}

fn with_checkpoints() -> Environment {
    Environment::new().checkpoints(Checkpoints::on_request())
}

/// Adds numbers up; declares whether it stores them.
#[derive(Clone)]
struct Adds<const STATEFUL: bool>;

impl<const STATEFUL: bool> ProcessFunction<u64> for Adds<STATEFUL> {
    type Out = u64;

    const STATEFUL: bool = STATEFUL;

    fn process(&mut self, n: &u64, cx: &mut impl ProcessContext<u64>) -> Outcome {
        cx.emit(n);
        Ok(())
    }
}

impl<const STATEFUL: bool> CoProcessFunction<u64, u64> for Adds<STATEFUL> {
    type Out = u64;

    const STATEFUL: bool = STATEFUL;

    fn process_first(&mut self, n: &u64, cx: &mut impl ProcessContext<u64>) -> Outcome {
        cx.emit(n);
        Ok(())
    }

    fn process_second(&mut self, n: &u64, cx: &mut impl ProcessContext<u64>) -> Outcome {
        cx.emit(n);
        Ok(())
    }
}

#[test]
fn operators_that_keep_state_need_a_uid_where_there_are_checkpoints() {
    let missing = |draw: fn(&Environment)| {
        let error = refused_in(with_checkpoints(), draw);
        assert!(error.contains("keeps state but has no uid"), "{error}");
        error
    };
    let reduced = missing(|env| {
        env.source("numbers", Sequence::new(0..10))
            .key_by(|n| n % 3)
            .reduce(|a, b| a + b)
            .name("reduced")
            .sink("sink", Discard::new());
    });
    assert!(reduced.contains("`reduced`"), "{reduced}");
    missing(|env| {
        env.source("numbers", Sequence::new(0..10))
            .process(Adds::<true>)
            .sink("sink", Discard::new());
    });
    missing(|env| {
        let [first, second] = env.source("numbers", Sequence::new(0..10)).fork();
        first
            .connect(second)
            .process(Adds::<true>)
            .sink("sink", Discard::new());
    });
    let all = missing(|env| {
        env.source("numbers", Sequence::new(0..10))
            .window_all(Tumbling::of(hours(1)))
            .aggregate_with(Count, |_, count| count)
            .sink("sink", Discard::new());
    });
    assert!(
        all.contains("`window all`"),
        "the operator that was written: {all}"
    );
}

#[test]
fn operators_without_state_and_the_halves_of_one_need_no_uid_of_their_own() {
    let env = with_checkpoints();
    env.source("numbers", Sequence::new(0..10))
        .process(Adds::<false>)
        .window_all(Tumbling::of(hours(1)))
        .aggregate_with(Count, |_, count| count)
        .uid("all")
        .key_by(|n| n % 3)
        .window(Tumbling::of(hours(1)))
        .two_phase()
        .aggregate_with(Count, |_, _, count| count)
        .uid("two")
        .sink("sink", Discard::new());
    env.plan(PlanFormat::Text).expect("every uid is given");
}

#[test]
fn streams_of_two_environments_are_not_combined() {
    let other = Environment::new();
    let error = refused(|env| {
        let foreign = other.source("foreign", Sequence::new(0..10)).rebalance();
        env.source("numbers", Sequence::new(0..10))
            .union(foreign)
            .sink("both", Discard::new());
    });
    assert!(error.contains("`union` reads streams of two environments"));
    let reason = other.execute("other").expect_err("it lacks a stream");
    assert_eq!(reason.to_string(), error);
    let env = Environment::new();
    let clone = env.clone().source("one", Sequence::new(0..10));
    env.source("other", Sequence::new(0..10))
        .union(clone)
        .sink("both", Discard::new());
    env.execute("clones").expect("a clone draws the same job");
}

#[test]
fn a_side_output_of_an_operator_without_any_is_refused() {
    let tag = OutputTag::<u64>::new("odd");
    let error = refused(|env| {
        let numbers = env.source("numbers", Sequence::new(0..10));
        let mapped = numbers.map(|n| *n).name("halves");
        mapped.side_output(&tag).sink("odd", Discard::new());
    });
    assert!(error.contains("`halves` has no side outputs, so `odd`"));
}

#[test]
fn a_side_output_is_taken_with_one_type() {
    let error = refused(|env| {
        let read = env.source("numbers", Sequence::new(0..10));
        let as_number = OutputTag::<u64>::new("odd");
        let as_text = OutputTag::<str>::new("odd");
        read.side_output(&as_number).sink("odd", Discard::new());
        read.side_output(&as_text).sink("text", Discard::new());
    });
    assert!(error.contains("side output `odd` of `numbers` is taken with two"));
}

#[test]
fn watermark_alignment_is_for_sources() {
    let group = AlignmentGroup::within(hours(1));
    let timed = |n: &u64| Timestamp(*n as i64);
    let error = refused(|env| {
        env.source("numbers", Sequence::new(0..10))
            .key_by(|n| *n)
            .reduce(|a, b| a + b)
            .uid("sums")
            .timestamps(Monotonous.with_alignment(&group), timed)
            .sink("late", Discard::new());
    });
    assert!(error.contains("watermark alignment pauses sources"));
    let env = Environment::new();
    env.source("numbers", Sequence::new(0..10))
        .map(|n| *n)
        .timestamps(Monotonous.with_alignment(&group), timed)
        .sink("aligned", Discard::new());
    env.execute("aligned").expect("a source in front of it");
}

#[test]
fn a_directory_of_checkpoints_that_cannot_be_opened_is_named() {
    let directory = tempfile::tempdir().expect("a directory");
    let (gone, file) = (directory.path().join("gone"), directory.path().join("file"));
    std::fs::write(&file, b"no directory").expect("a file");
    let savepoint = RestoreFrom::Path(gone.clone());
    let error = refused_in(Environment::new().restore(savepoint), |_| {});
    assert!(error.starts_with("job `refused` cannot be restored: cannot open"));
    assert!(error.contains(&*gone.to_string_lossy()), "{error}");
    let env = Environment::new().checkpoints(Checkpoints::on_request().to(&file));
    env.source("numbers", Sequence::new(0..10))
        .sink("sink", Discard::new());
    let error = env.execute("refused").expect_err("it is a file");
    let error = error.to_string();
    assert!(error.starts_with("job `refused` cannot keep checkpoints: cannot open"));
    assert!(error.contains(&*file.to_string_lossy()), "{error}");
}

#[test]
fn an_inlet_in_a_job_with_checkpoints_is_refused() {
    let checkpoints = Checkpoints::on_request().to_storage(Arc::new(HeapStorage::new()));
    let env = Environment::new().checkpoints(checkpoints);
    let (_inlet, source) = inlet::<u64>(1 << 12);
    env.source("inlet", source)
        .uid("inlet")
        .sink("sink", Discard::new());
    let error = env.spawn("fed").expect_err("it has no positions");
    let error = error.to_string();
    assert!(
        error.contains("`inlet`") && error.contains("`durable_inlet`"),
        "{error}"
    );
}
