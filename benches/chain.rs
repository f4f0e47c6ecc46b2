//! The cost of the abstraction: a fused chain compared with a hand-written loop.
//!
//! The job is driven by `step()` on the benchmark's own thread, so both sides run alternately on one core, over the
//! same records in memory. Every measurement checks the sum.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use thalweg::datastream::Environment;
use thalweg::operator::{Outcome, Sink, SinkWriter};
use thalweg::runtime::{Step, Stepper};
use thalweg::time::{ManualClock, Timestamp};

use support::source::InMemory;

mod support;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A 32-byte record: the shape of a bid.
#[derive(Clone, Copy)]
struct Bid {
    auction: u64,
    bidder: u64,
    price: u64,
    time: i64,
}

fn bids(count: u64) -> Arc<[Bid]> {
    let bid = |i: u64| Bid {
        auction: i.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40,
        bidder: i % 1000,
        price: i.wrapping_mul(0xD6E8_FEB8_6659_FD93) >> 44,
        time: i as i64,
    };
    (0..count).map(bid).collect()
}

/// The baseline: map → filter → map → sum, by hand.
#[inline(never)]
fn by_hand(bids: &[Bid]) -> u64 {
    let mut sum = 0u64;
    for _ in 0..PASSES {
        for bid in black_box(bids) {
            let bid = in_euros(bid);
            if bid.auction.is_multiple_of(3) {
                sum = sum.wrapping_add(worth(&bid));
            }
        }
    }
    sum
}

#[inline(always)]
fn in_euros(bid: &Bid) -> Bid {
    Bid {
        price: bid.price * 908 / 1000,
        ..*bid
    }
}

#[inline(always)]
fn worth(bid: &Bid) -> u64 {
    bid.price ^ bid.bidder ^ bid.time as u64
}

/// How often a job reads the records, so that the chain is measured and not its deployment.
const PASSES: usize = 16;

/// Adds up the records that arrive.
#[derive(Clone, Default)]
struct Total(Arc<std::sync::atomic::AtomicU64>);

struct TotalWriter {
    sum: u64,
    total: Total,
}

impl Sink<u64> for Total {
    type Writer = TotalWriter;

    fn writer(&self, _index: u32, _parallelism: u32) -> TotalWriter {
        TotalWriter {
            sum: 0,
            total: self.clone(),
        }
    }
}

impl SinkWriter<u64> for TotalWriter {
    #[inline(always)]
    fn write(&mut self, record: &u64, _at: Timestamp) -> Outcome {
        self.sum = self.sum.wrapping_add(*record);
        Ok(())
    }

    fn close(&mut self) -> Outcome {
        self.total
            .0
            .store(self.sum, std::sync::atomic::Ordering::Relaxed);
        Ok(())
    }
}

/// A job that has not run yet, and where its sum will be.
fn fused(bids: &Arc<[Bid]>) -> (Stepper, Total) {
    let (env, total) = (Environment::new(), Total::default());
    env.source("bids", InMemory::new(vec![Arc::clone(bids)], PASSES))
        .map(in_euros)
        .filter(|bid| bid.auction.is_multiple_of(3))
        .map(worth)
        .sink("total", total.clone());
    let job = env
        .stepper("chain", ManualClock::new(Timestamp(0)))
        .expect("deploys");
    (job, total)
}

fn run((mut job, total): (Stepper, Total)) -> u64 {
    assert_eq!(job.run().expect("runs"), Step::Finished);
    total.0.load(std::sync::atomic::Ordering::Relaxed)
}

fn chain(c: &mut Criterion) {
    let count = if std::env::args().any(|a| a == "--test") {
        10_000
    } else {
        1_000_000
    };
    let bids = bids(count);
    let expected = by_hand(&bids);
    let mut group = c.benchmark_group("map-filter-map-sum");
    group.throughput(Throughput::Elements(count * PASSES as u64));
    group.bench_function("by-hand", |b| {
        b.iter(|| assert_eq!(by_hand(black_box(&bids)), expected))
    });
    group.bench_function("fused", |b| {
        let setup = || fused(black_box(&bids));
        b.iter_batched(
            setup,
            |job| assert_eq!(run(job), expected),
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

criterion_group!(benches, chain);
criterion_main!(benches);
