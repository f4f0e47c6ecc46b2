//! A running sum per key, written in each of the possible ways, compared with a plain hash map.
//!
//! Each is driven in the turns of a source's head, at most 1,024 records long. Every way must emit the same results,
//! which is verified by a checksum.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use criterion::{Bencher, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use hashbrown::HashMap;
use thalweg::operator::{
    KeyedAggregate, KeyedOpenContext, KeyedProcess, KeyedProcessContext, KeyedProcessFunction,
    KeyedReduce, Outcome, Outputs, Push, Reduce, Sum, TimestampsAndWatermarks,
};
use thalweg::record::{OwnedSelector, Pod, Record};
use thalweg::state::ValueState;
use thalweg::time::{BoundedOutOfOrderness, Timestamp, secs};

use support::driver::{Digest, drive, open};
use support::random::Random;

mod support;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const RECORDS: usize = 1 << 20;
const BATCH: u32 = 1024;

#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
struct Trade {
    key: u64,
    amount: u64,
    at: i64,
}

impl Record for Trade {
    type Form = Pod;
}

/// The running sum as a process function with value state.
#[derive(Default)]
struct RunningSum(ValueState<u64>);

impl KeyedProcessFunction<u64, Trade> for RunningSum {
    type Out = u64;

    fn open(&mut self, cx: &mut KeyedOpenContext<'_, u64>) -> Outcome {
        self.0 = cx.state().value_state("sum")?;
        Ok(())
    }

    #[inline]
    fn process(&mut self, record: &Trade, cx: &mut impl KeyedProcessContext<u64, u64>) -> Outcome {
        let sum = self.0.update(cx, |sum| {
            *sum += record.amount;
            *sum
        });
        cx.emit(&sum);
        Ok(())
    }
}

fn trades(keys: u64) -> Vec<Trade> {
    let mut random = Random::new(1);
    let trade = |index: usize| Trade {
        key: random.below(keys),
        amount: random.below(1000),
        at: index as i64,
    };
    (0..RECORDS).map(trade).collect()
}

/// A checksum of the sums so far, in order.
#[inline(always)]
fn checksum(so_far: u64, sum: u64) -> u64 {
    so_far.wrapping_mul(31).wrapping_add(sum)
}

/// The end of a chain that emits sums, which `seen` then shows the checksum of.
fn sums(seen: &Arc<AtomicU64>) -> impl Push<u64> + use<> {
    Digest::new(seen, |so_far, sum: &u64| checksum(so_far, *sum))
}

/// The same for one that emits sums as trades.
fn trade_sums(seen: &Arc<AtomicU64>) -> impl Push<Trade> + use<> {
    Digest::new(seen, |so_far, trade: &Trade| checksum(so_far, trade.amount))
}

/// Drives the chain upstream of a checksum over the trades; checks that pass, and times the warm ones that follow.
fn measure<D: Push<Trade>>(
    bencher: &mut Bencher<'_>,
    trades: &[Trade],
    expected: u64,
    chain: impl FnOnce(&Arc<AtomicU64>) -> D,
) {
    let seen = Arc::default();
    let mut chain = open(chain(&seen));
    drive(&mut chain, trades, BATCH);
    assert_eq!(seen.load(Relaxed), expected, "the results differ");
    bencher.iter(|| drive(&mut chain, black_box(trades), BATCH));
}

fn hash_map(trades: &[Trade], sums: &mut HashMap<u64, u64, foldhash::fast::FixedState>) -> u64 {
    trades.iter().fold(0, |so_far, trade| {
        let sum = sums.entry(trade.key).or_default();
        *sum += trade.amount;
        checksum(so_far, *sum)
    })
}

fn running_sum(c: &mut Criterion) {
    let by_key = OwnedSelector(|t: &Trade| t.key);
    for keys in [1_000u64, 1_000_000] {
        let trades = trades(keys);
        let mut group = c.benchmark_group(format!("running_sum/{keys}"));
        group
            .throughput(Throughput::Elements(RECORDS as u64))
            .sample_size(10);
        let expected = hash_map(&trades, &mut HashMap::default());
        group.bench_function(BenchmarkId::from_parameter("hash_map"), |b| {
            let mut sums = HashMap::default();
            b.iter(|| hash_map(black_box(&trades), &mut sums));
        });
        let name: Arc<str> = "sum".into();
        let add = Reduce(|a: &Trade, b: &Trade| Trade {
            amount: a.amount + b.amount,
            ..*a
        });
        group.bench_function(BenchmarkId::from_parameter("reduce"), |b| {
            measure(b, &trades, expected, |seen| {
                KeyedReduce::new(name.clone(), by_key.clone(), add.clone(), trade_sums(seen))
            });
        });
        group.bench_function(BenchmarkId::from_parameter("aggregate"), |b| {
            measure(b, &trades, expected, |seen| {
                KeyedAggregate::new(
                    name.clone(),
                    by_key.clone(),
                    Sum::of(|t: &Trade| t.amount),
                    |_: &u64, sum: u64| sum,
                    sums(seen),
                )
            });
        });
        group.bench_function(BenchmarkId::from_parameter("process"), |b| {
            measure(b, &trades, expected, |seen| {
                KeyedProcess::new(
                    name.clone(),
                    by_key.clone(),
                    RunningSum::default(),
                    Outputs::new(sums(seen)),
                )
            });
        });
        group.bench_function(BenchmarkId::from_parameter("timestamps_reduce"), |b| {
            measure(b, &trades, expected, |seen| {
                TimestampsAndWatermarks::new(
                    |t: &Trade| Timestamp(t.at),
                    BoundedOutOfOrderness::of(secs(1)),
                    KeyedReduce::new(name.clone(), by_key.clone(), add.clone(), trade_sums(seen)),
                )
            });
        });
        group.finish();
    }
}

criterion_group!(benches, running_sum);
criterion_main!(benches);
