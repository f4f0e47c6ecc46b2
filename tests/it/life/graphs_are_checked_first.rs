//! A graph that cannot run is rejected with an explanation, before anything is opened.

use thalweg::connectors::{Collected, Collection, Discard, Sequence};
use thalweg::datastream::Environment;
use thalweg::graph::PlanFormat;
use thalweg::operator::{
    CoProcessFunction, Count, Outcome, ProcessContext, ProcessFunction, Tumbling,
};
use thalweg::runtime::Checkpoints;
use thalweg::time::hours;

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
