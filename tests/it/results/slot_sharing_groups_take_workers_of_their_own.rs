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
