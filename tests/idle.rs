//! An idle job costs next to nothing, and a new one starts at once.
//!
//! A separate test binary: processor time is that of this process's workers, and no other test's.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use thalweg::connectors::{Discard, ForEach, inlet};
use thalweg::datastream::Environment;
use thalweg::ring::WaitStrategy;

/// Processor time used so far by the workers of this process, as Linux counts it.
fn worker_time() -> Option<Duration> {
    let mut total = Duration::ZERO;
    let mut workers = 0;
    for task in std::fs::read_dir("/proc/self/task").ok()? {
        let task = task.ok()?.path();
        let name = std::fs::read_to_string(task.join("comm")).unwrap_or_default();
        if !name.starts_with("thalweg-") {
            continue;
        }
        // Nanoseconds on a processor, nanoseconds waiting for one, time slices.
        let stat = std::fs::read_to_string(task.join("schedstat")).ok()?;
        let nanos = stat.split_whitespace().next()?.parse().ok()?;
        total += Duration::from_nanos(nanos);
        workers += 1;
    }
    (workers > 0).then_some(total)
}

/// The share of a core that an idle job uses, if it can be determined.
fn idle_share(wait: WaitStrategy) -> Option<f64> {
    let (mut numbers, source) = inlet::<u64>(1 << 12);
    let env = Environment::new().parallelism(2).wait_strategy(wait);
    env.source("numbers", source)
        .rebalance()
        .map(|n| n + 1)
        .key_by(|n| n % 10)
        .sum(|n| n)
        .sink("sums", Discard::new());
    let job = env.spawn("idle").expect("starts");
    numbers.push(&1).expect("room");
    std::thread::sleep(Duration::from_millis(50));
    // The best of three: other activity on the machine can only add.
    let share = (0..3).filter_map(|_| {
        let (before, started) = (worker_time()?, Instant::now());
        std::thread::sleep(Duration::from_millis(400));
        let used = worker_time()?.saturating_sub(before);
        Some(used.as_secs_f64() / started.elapsed().as_secs_f64())
    });
    let least = share.min_by(f64::total_cmp);
    drop(numbers);
    let result = job.wait().expect("finishes");
    assert_eq!(result.records(), 1);
    least
}

fn an_idle_job_uses_less_than_a_fiftieth_of_a_core() {
    let shares = (
        idle_share(WaitStrategy::default()),
        idle_share(WaitStrategy::Yield),
    );
    let (Some(parking), Some(yielding)) = shares else {
        println!("processor times of threads are not told here: nothing was measured");
        return;
    };
    println!(
        "an idle job of two workers uses {:.3} % of a core",
        parking * 100.0
    );
    assert!(parking < 0.02, "{:.2} % of a core", parking * 100.0);
    assert!(yielding > 0.02, "the measure does not see a busy core");
}

/// From the call of `spawn` to the first record in the sink.
fn first_record() -> Duration {
    let (mut numbers, source) = inlet::<u64>(1 << 12);
    let (sender, receiver) = mpsc::channel();
    let env = Environment::new().parallelism(2);
    env.source("numbers", source)
        .rebalance()
        .map(|n| n + 1)
        .sink(
            "arrived",
            ForEach::new(move |n: &u64, _| {
                sender
                    .send((*n, Instant::now()))
                    .map_err(|error| error.to_string())
            }),
        );
    numbers.push(&1).expect("room");
    let started = Instant::now();
    let job = env.spawn("first").expect("starts");
    let (number, arrived) = receiver.recv().expect("a record arrives");
    assert_eq!(number, 2);
    drop(numbers);
    job.wait().expect("finishes");
    arrived - started
}

fn the_first_record_arrives_at_once() {
    let mut times: Vec<Duration> = (0..31).map(|_| first_record()).collect();
    times.sort_unstable();
    let median = times[times.len() / 2];
    println!(
        "from spawn to the first record: median {median:?}, fastest {:?}",
        times[0]
    );
    // The goal is 5 ms; a busy machine and an unoptimized build are given more.
    assert!(
        times[0] < Duration::from_millis(5),
        "the fastest took {:?}",
        times[0]
    );
    assert!(
        median < Duration::from_millis(50),
        "the median is {median:?}"
    );
}

/// One after another: each needs the machine to itself.
#[test]
fn idle_jobs_rest_and_new_ones_start_at_once() {
    an_idle_job_uses_less_than_a_fiftieth_of_a_core();
    the_first_record_arrives_at_once();
}
