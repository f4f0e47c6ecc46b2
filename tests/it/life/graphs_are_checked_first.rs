//! A graph that cannot run is refused with a sentence, before anything is opened.

use thalweg::connectors::{Collected, Collection, Discard, Sequence};
use thalweg::datastream::Environment;

use super::probe::{Moment, Probe, ProbedSource};

/// The error of a job that is refused; its source must not have been started.
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
    // The sink that was made and not used has seen nothing.
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
