//! Backpressure: with rings that hold only a few records, a fan-out, and more subtasks than cores, nothing is lost
//! and nothing gets stuck.

use thalweg::connectors::{Collected, Sequence};
use thalweg::datastream::Environment;
use thalweg::ring::WaitStrategy;
use thalweg::runtime::Step;
use thalweg::state::Aggregate;
use thalweg::time::{ManualClock, Timestamp};

use crate::schedule::sorted;

/// Every number fifty times over three exchanges, followed by keyed sums. Returns the counts by key.
fn flood(env: &Environment, count: u64) -> Collected<[u64; 2]> {
    let counts = Collected::new();
    env.source("numbers", Sequence::new(0..count))
        .rebalance()
        .flat_map(|n| {
            let n = *n;
            (0..50_u64).map(move |copy| [n % 10, copy])
        })
        .shuffle()
        .map(|pair| [pair[0], 1])
        .key_by(|pair| pair[0])
        .sum(|pair| &mut pair[1])
        .sink("counts", counts.sink());
    counts
}

fn check(counts: &Collected<[u64; 2]>, count: u64, how: &str) {
    let expected = (0..10).flat_map(|key| (1..=count / 10 * 50).map(move |n| [key, n]));
    assert!(sorted(counts.take()).into_iter().eq(expected), "{how}");
}

#[test]
fn tiny_rings_lose_nothing_with_more_subtasks_than_workers() {
    for ring_capacity in [64, 1024, 4096] {
        let env = Environment::new()
            .parallelism(8)
            .workers(2)
            .ring_capacity(ring_capacity);
        let counts = flood(&env, 400);
        env.execute("flood").expect("the job finishes");
        check(&counts, 400, &format!("rings of {ring_capacity} bytes"));
    }
}

#[test]
fn tiny_rings_lose_nothing_under_every_wait_strategy() {
    let backoff = WaitStrategy::Backoff {
        spins: 4,
        yields: 2,
    };
    let strategies = [
        (WaitStrategy::Park, 400),
        (backoff, 400),
        (WaitStrategy::default(), 400),
        (WaitStrategy::Yield, 400),
        // Eight spinning workers on two cores make progress only by time slices.
        (WaitStrategy::Spin, 10),
    ];
    for (strategy, count) in strategies {
        let env = Environment::new()
            .parallelism(8)
            .workers(8)
            .wait_strategy(strategy)
            .ring_capacity(2048);
        let counts = flood(&env, count);
        env.execute("flood").expect("the job finishes");
        check(&counts, count, &format!("{strategy:?}"));
    }
}

#[test]
fn tiny_rings_lose_nothing_step_by_step() {
    for (seed, batch) in [(0, 1), (1, 3), (2, 1024)] {
        let env = Environment::new().parallelism(4).ring_capacity(64);
        let counts = flood(&env, 100);
        let job = env.stepper("flood", ManualClock::new(Timestamp(0)));
        let mut job = job.expect("deploys").seeded(seed).batch(batch);
        assert_eq!(job.run().expect("runs"), Step::Finished);
        check(&counts, 100, &format!("seed {seed}, batch {batch}"));
    }
}

/// The last of the numbers in texts, and how many were smaller than the previous one.
#[derive(Clone)]
struct Order;

fn number(text: &str) -> u64 {
    text.trim_start().parse().expect("a number")
}

impl Aggregate<str> for Order {
    type Accumulator = [u64; 2];
    type Out = [u64; 2];

    fn create(&self) -> [u64; 2] {
        [0; 2]
    }

    fn add(&self, [last, inversions]: &mut [u64; 2], text: &str) {
        let number = number(text);
        *inversions += u64::from(number < *last);
        *last = number;
    }

    fn merge(&self, _order: &mut [u64; 2], _other: &[u64; 2]) {
        unreachable!("no windows are merged")
    }

    fn result(&self, order: &[u64; 2]) -> [u64; 2] {
        *order
    }
}

/// Texts of many lengths, some in frames of their own, grouped by the subtask that sends them.
#[test]
fn tiny_rings_lose_no_text_and_keep_the_order_of_each_sender() {
    const COUNT: u64 = 8_000;
    const SENDERS: u64 = 4;
    let text = |n: u64| format!("{n:>width$}", width = (n % 7 * (n % 29)) as usize);
    for ring_capacity in [1024, 4096, 16 * 1024] {
        for workers in [1, 2] {
            let env = Environment::new()
                .parallelism(SENDERS as u32)
                .workers(workers)
                .ring_capacity(ring_capacity);
            let found = Collected::new();
            env.source("numbers", Sequence::new(0..COUNT))
                .map(move |n| text(*n))
                .key_by(|text: &str| number(text) / (COUNT / SENDERS))
                .aggregate_with(Order, |_, order| order)
                .sink("found", found.sink());
            env.execute("texts").expect("the job finishes");
            let found = sorted(found.take());
            let expected = (0..COUNT).map(|n| [n, 0]);
            assert!(found.into_iter().eq(expected), "{ring_capacity} bytes");
        }
    }
}

/// Branches that are joined again after a fork must not wait for each other.
#[test]
fn a_diamond_with_tiny_rings_is_not_stuck() {
    for parallelism in [1, 2, 8] {
        let env = Environment::new()
            .parallelism(parallelism)
            .workers(2)
            .ring_capacity(64);
        let results = Collected::new();
        let [left, right] = env.source("numbers", Sequence::new(0..2_000)).fork();
        left.broadcast()
            .filter(|_| false)
            .union(right.rebalance())
            .shuffle()
            .sink("results", results.sink());
        env.execute("diamond").expect("the job finishes");
        assert!(sorted(results.take()).into_iter().eq(0..2_000));
    }
}
