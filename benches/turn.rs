//! What a worker's turn costs apart from its records, which determines latency under light load.
//!
//! A worker spins over sources that return nothing, or one record, each time they are polled; divide by what
//! criterion calls elements, the turns. `clocks` are just the clock readings that an idle turn makes, and `pause` the
//! waiting step that follows: no engine turn with as many readings can be cheaper. The sink checks the number of
//! records.

use std::hint::{black_box, spin_loop};
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use thalweg::connectors::Discard;
use thalweg::datastream::Environment;
use thalweg::operator::{BoxError, Collector, Push, Source, SourceReader, SourceStatus};
use thalweg::ring::WaitStrategy;
use thalweg::time::{Clock, Timestamp};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The turns per run: enough to make the start of its threads negligible.
const TURNS: u64 = 20_000;

/// A source that is polled a fixed number of times and emits a fixed number of records each time.
#[derive(Clone, Copy)]
struct Polled {
    polls: u64,
    /// 0 or 1.
    records: u64,
}

struct PolledReader {
    left: u64,
    records: u64,
}

impl Source for Polled {
    type Out = u64;
    type Reader = PolledReader;

    fn max_parallelism(&self) -> u32 {
        1
    }

    fn reader(&self, _index: u32, _parallelism: u32) -> PolledReader {
        PolledReader {
            left: self.polls,
            records: self.records,
        }
    }
}

impl SourceReader for PolledReader {
    type Out = u64;

    fn poll<D: Push<u64>>(&mut self, out: &mut Collector<'_, D>) -> Result<SourceStatus, BoxError> {
        if self.left == 0 {
            return Ok(SourceStatus::Finished);
        }
        if out.ready() {
            self.left -= 1;
            for _ in 0..self.records {
                out.emit(&self.left);
            }
        }
        // Like a source with a schedule, which wants one poll at a time.
        Ok(SourceStatus::Idle(Some(Timestamp::MAX)))
    }
}

/// Runs `polls` turns of one worker: a source and a sink as one region, or with a ring between them.
fn turns(polls: u64, records: u64, has_ring: bool) -> Duration {
    let dropped = Discard::new();
    let env = Environment::new()
        .workers(1)
        .wait_strategy(WaitStrategy::Spin);
    let mut numbers = env.source("numbers", Polled { polls, records }).forward();
    if has_ring {
        numbers = numbers.start_new_chain();
    }
    numbers
        .map(|n| n.wrapping_mul(3))
        .sink("dropped", dropped.clone());
    let ended = env.execute("turns").expect("finishes");
    assert_eq!(dropped.count(), polls * records);
    ended.duration
}

fn turn(c: &mut Criterion) {
    let is_test = std::env::args().any(|argument| argument == "--test");
    let polls = if is_test { 100 } else { TURNS };
    let mut group = c.benchmark_group("turn");
    group.throughput(Throughput::Elements(polls));
    group.bench_function("clocks", |b| {
        b.iter(|| {
            for _ in 0..polls {
                // For the round, twice for the subtask, and for the time left until the next deadline.
                black_box((Clock::System.now(), Clock::System.monotonic_nanos()));
                black_box((Clock::System.monotonic_nanos(), Clock::System.now()));
            }
        });
    });
    group.bench_function("pause", |b| b.iter(|| (0..polls).for_each(|_| spin_loop())));
    for (what, has_ring) in [("one region", false), ("two regions", true)] {
        for records in [0, 1] {
            let id = BenchmarkId::new(what, format!("{records} records a turn"));
            group.bench_function(id, |b| {
                b.iter_custom(|runs| (0..runs).map(|_| turns(polls, records, has_ring)).sum());
            });
        }
    }
    group.finish();
}

criterion_group!(benches, turn);
criterion_main!(benches);
