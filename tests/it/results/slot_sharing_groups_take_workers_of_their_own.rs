//! A slot sharing group preserves an exchange from one subtask to one subtask, and runs what is downstream of it on a
//! separate worker: so a job of parallelism 1 uses two cores.

use std::collections::BTreeSet;
use std::sync::mpsc::channel;

use thalweg::prelude::*;

/// The number of the worker that runs this, from its thread's name.
fn worker() -> u64 {
    let thread = std::thread::current();
    let number = thread.name().and_then(|name| name.strip_prefix("thalweg-"));
    number.and_then(|n| n.parse().ok()).expect("a worker")
}

/// Runs numbers through a rolling function by key, on `workers` workers, in a separate slot sharing group or not.
/// Returns the plan, the number of records that arrived, and which workers ran each record before and after the
/// exchange.
fn run(group: Option<&str>, workers: u32) -> (String, usize, BTreeSet<[u64; 2]>) {
    let (sender, receiver) = channel();
    let env = Environment::new().workers(workers);
    let mut numbers = env
        .source("numbers", Sequence::new(0..1_000))
        .map(|n| [*n, worker()])
        .key_by(|numbered| numbered[0] % 10);
    if let Some(group) = group {
        numbers = numbers.slot_sharing_group(group);
    }
    numbers.reduce(|_, last| *last).sink(
        "seen",
        ForEach::new(move |numbered: &[u64; 2], _| {
            let sent = sender.send([numbered[1], worker()]);
            sent.map_err(|error| error.to_string())
        }),
    );
    let plan = env.plan(PlanFormat::Text).expect("a plan");
    env.execute("placed").expect("finishes");
    drop(env);
    let seen: Vec<_> = receiver.iter().collect();
    (plan, seen.len(), seen.into_iter().collect())
}

#[test]
fn source_and_keyed_operator_run_on_two_workers() {
    let (plan, count, workers) = run(Some("counts"), 2);
    assert_eq!((count, workers), (1_000, BTreeSet::from([[0, 1]])));
    let reason = "key groups ─► region 1: 1 rings, slot sharing groups `default` and `counts`";
    assert!(plan.contains(reason), "{plan}");
    assert!(plan.contains("(workers 1, slots `counts`)"), "{plan}");
}

#[test]
fn with_one_worker_both_groups_share_it_and_the_ring_stays() {
    let (plan, count, workers) = run(Some("counts"), 1);
    assert_eq!((count, workers), (1_000, BTreeSet::from([[0, 0]])));
    assert!(plan.contains("1 rings"), "{plan}");
}

#[test]
fn without_a_group_there_is_one_region_on_one_worker_whatever_is_allowed() {
    let (plan, count, workers) = run(None, 2);
    assert_eq!((count, workers), (1_000, BTreeSet::from([[0, 0]])));
    assert!(plan.contains("key groups fused: no ring"), "{plan}");
}

/// The plan of two sources in groups of their own, counted per key together.
fn plan_of_two(groups: [&str; 2], common: Option<&str>) -> String {
    let env = Environment::new();
    let [left, right] = groups.map(|group| {
        let numbers = env.source(group, Sequence::new(0..10));
        numbers.slot_sharing_group(group).key_by(|n| *n)
    });
    let mut joined = left.join(right).unbounded().apply(|l, r| l + r);
    if let Some(group) = common {
        joined = joined.slot_sharing_group(group);
    }
    joined.sink("sums", Discard::new());
    env.plan(PlanFormat::Text).expect("a plan")
}

#[test]
fn an_operator_is_in_the_group_that_its_inputs_have_in_common_or_else_in_the_default_one() {
    let one = plan_of_two(["a", "a"], None);
    assert!(
        one.contains("slots `a`") && !one.contains("`default`"),
        "{one}"
    );
    assert!(!one.contains("region 1"), "nothing separates them: {one}");
    let apart = plan_of_two(["a", "b"], None);
    for region in ["a", "b", "default"] {
        assert!(apart.contains(&format!("slots `{region}`")), "{apart}");
    }
    let given = plan_of_two(["a", "b"], Some("a"));
    assert!(
        given.contains("slots `b`") && !given.contains("`default`"),
        "{given}"
    );
}

#[test]
fn two_groups_that_no_exchange_separates_are_refused() {
    let env = Environment::new();
    let [left, right] = ["a", "b"].map(|group| {
        let numbers = env.source(group, Sequence::new(0..10));
        numbers.slot_sharing_group(group)
    });
    left.union(right).sink("both", Discard::new());
    let error = env
        .plan(PlanFormat::Text)
        .expect_err("one loop, two workers");
    assert!(error.to_string().contains("groups `a` and `b`"), "{error}");
}
