//! Exchanges between two workers, and two threads over `rtrb` that move the same records.
//!
//! *one hop*: one subtask sends to another, each on a worker of its own. In the others two subtasks send to two, so
//! that each worker does both: *keyed* by ten thousand keys, or with three quarters of the records in one of them
//! (*hot key*), *rebalance* and *broadcast*, where every record arrives twice. Records are plain data of 32 bytes
//! (*pod*), or have a text too and travel as `rkyv` archives of about 80 bytes, read in place (*archived*). By hand
//! each thread writes chunks into one `rtrb` ring to each receiver and, where it receives, reads whatever has arrived
//! after each chunk; records with a text are cloned into the ring and dropped by the receiver. Rings have as many bytes
//! as a job's; all threads are pinned, and one that has to wait spins for a while and then yields.
//!
//! *hot key, windows*: counts and sums per key and window where three quarters of the records have one key, which all
//! cross the exchange (*one phase*) or are aggregated before it (*two phases*).
//!
//! What criterion calls elements are records sent. Jobs are timed from their start to their end, threads from a common
//! start until both are done. Every run checks the number and the sum of what arrived. A keyed stream has no sink of its
//! own: its records go through a keyed function without state.

use std::iter;
use std::sync::Arc;
use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, Throughput};
use thalweg::record::{Far, Record};

use by_hand::by_hand;
use job::{job, windows};
use record::{Arrived, Bidding, bids, with_text};

mod by_hand;
mod job;
mod record;
#[path = "../support/mod.rs"]
mod support;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How many records a sender has in memory: few enough that they stay near, to be sent several times.
const RECORDS: usize = 1 << 14;

/// Where records go.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exchange {
    OneHop,
    Keyed,
    Rebalance,
    Broadcast,
}

impl Exchange {
    /// How many subtasks send.
    pub(crate) fn senders(self) -> usize {
        if self == Exchange::OneHop { 1 } else { 2 }
    }

    /// How often each record arrives.
    pub(crate) fn copies(self) -> u64 {
        if self == Exchange::Broadcast { 2 } else { 1 }
    }
}

/// Adds up what `run` takes, and checks what it says has arrived, `runs` times.
fn checked(runs: u64, expected: Arrived, run: impl Fn() -> (Duration, Arrived)) -> Duration {
    let timed = iter::repeat_with(|| {
        let (took, arrived) = run();
        assert_eq!(arrived, expected, "records are lost, doubled or damaged");
        took
    });
    timed.take(runs as usize).sum()
}

fn bench_exchange<T>(
    group: &mut BenchmarkGroup<'_, WallTime>,
    form: &str,
    exchange: Exchange,
    parts: &[Arc<[T]>],
    passes: usize,
) where
    T: Record + Bidding + Clone + Send + Sync + 'static,
    Far<T>: Bidding,
{
    let parts = &parts[..exchange.senders()];
    let expected = Arrived::all(parts, passes as u64 * exchange.copies());
    let sent = expected.count / exchange.copies();
    group.throughput(Throughput::Elements(sent));
    group.bench_function(BenchmarkId::new("thalweg", form), |bencher| {
        bencher.iter_custom(|runs| checked(runs, expected, || job(exchange, parts, passes)));
    });
    group.bench_function(BenchmarkId::new("rtrb", form), |bencher| {
        bencher.iter_custom(|runs| checked(runs, expected, || by_hand(exchange, parts, passes)));
    });
}

fn bench_windows(criterion: &mut Criterion, count: usize) {
    let parts = [1, 2].map(|seed| bids(count, seed, true));
    let expected = Arrived::all(&parts, 1);
    let mut group = criterion.benchmark_group("exchange/hot key, windows");
    group.throughput(Throughput::Elements(expected.count));
    for (name, in_two_phases) in [("one phase", false), ("two phases", true)] {
        group.bench_function(name, |bencher| {
            let run = || windows(&parts, count as u64 / 10, in_two_phases);
            bencher.iter_custom(|runs| checked(runs, expected, run));
        });
    }
    group.finish();
}

fn main() {
    let quick = std::env::args().any(|argument| argument == "--test");
    let mut criterion = Criterion::default().sample_size(10).configure_from_args();
    let (passes, windowed) = if quick { (2, 20_000) } else { (128, 1 << 20) };
    let cases = [
        ("one hop", Exchange::OneHop, false),
        ("keyed", Exchange::Keyed, false),
        ("keyed, hot key", Exchange::Keyed, true),
        ("rebalance", Exchange::Rebalance, false),
        ("broadcast", Exchange::Broadcast, false),
    ];
    for (name, exchange, is_hot) in cases {
        let plain = [1, 2].map(|seed| bids(RECORDS, seed, is_hot));
        let archived = [with_text(&plain[0]), with_text(&plain[1])];
        let mut group = criterion.benchmark_group(format!("exchange/{name}"));
        bench_exchange(&mut group, "pod", exchange, &plain, passes);
        bench_exchange(&mut group, "archived", exchange, &archived, passes);
        group.finish();
    }
    bench_windows(&mut criterion, windowed);
    criterion.final_summary();
}
