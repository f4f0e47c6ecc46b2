//! A running sum per key, written in each of the possible ways, compared with a plain hash map.
//!
//! Records are pushed as a head pushes a slice, with prefetching of those ahead. Every way must emit the same
//! results, which is verified by a checksum.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use hashbrown::HashMap;
use thalweg::checkpoint::SnapshotOutput;
use thalweg::metrics::MetricGroup;
use thalweg::operator::{
    Budget, Checkpointing, KeyedAggregate, KeyedOpenContext, KeyedProcess, KeyedProcessContext,
    KeyedProcessFunction, KeyedReduce, Lookahead, OpenContext, Operator, OperatorError, Outcome,
    Outputs, Push, Reduce, Signal, SubtaskInfo, Sum, TimestampsAndWatermarks,
};
use thalweg::record::{KeyGroupAssignment, KeyHasher, MaxParallelism, OwnedSelector, Pod, Record};
use thalweg::state::ValueState;
use thalweg::time::{BoundedOutOfOrderness, Clock, Timestamp, secs};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const RECORDS: usize = 1 << 20;

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

/// The chain's tail: a checksum of the sums that arrive.
#[derive(Default)]
struct Checksum(u64);

impl Operator for Checksum {
    fn open(&mut self, _: &OpenContext) -> Result<(), OperatorError> {
        Ok(())
    }
    fn begin(&mut self, _: Timestamp) {}
    fn signal(&mut self, signal: Signal) {
        black_box(signal);
    }
    fn ready(&self) -> bool {
        true
    }
    fn resume(&mut self, _: &mut Budget) {}
    fn flush(&mut self) {}
    fn deadline(&self) -> Option<Timestamp> {
        None
    }
    fn snapshot(&mut self, _out: &mut SnapshotOutput<'_>) -> bool {
        true
    }

    fn close(&mut self) -> Result<(), OperatorError> {
        Ok(())
    }
}

impl Push<Trade> for &mut Checksum {
    #[inline(always)]
    fn push(&mut self, record: &Trade, _: Timestamp) {
        self.0 = self.0.wrapping_mul(31).wrapping_add(record.amount);
    }
}

impl Push<u64> for &mut Checksum {
    #[inline(always)]
    fn push(&mut self, sum: &u64, _: Timestamp) {
        self.0 = self.0.wrapping_mul(31).wrapping_add(*sum);
    }
}

impl Operator for &mut Checksum {
    fn open(&mut self, cx: &OpenContext) -> Result<(), OperatorError> {
        (**self).open(cx)
    }
    fn begin(&mut self, _: Timestamp) {}
    fn signal(&mut self, signal: Signal) {
        (**self).signal(signal);
    }
    fn ready(&self) -> bool {
        true
    }
    fn resume(&mut self, _: &mut Budget) {}
    fn flush(&mut self) {}
    fn deadline(&self) -> Option<Timestamp> {
        None
    }
    fn snapshot(&mut self, _out: &mut SnapshotOutput<'_>) -> bool {
        true
    }

    fn close(&mut self) -> Result<(), OperatorError> {
        Ok(())
    }
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
    let mut random = 1u64;
    let mut next = || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random
    };
    let trade = |index: usize| Trade {
        key: next() % keys,
        amount: next() % 1000,
        at: index as i64,
    };
    (0..RECORDS).map(trade).collect()
}

fn open_context() -> OpenContext {
    let groups = MaxParallelism::default_for(1);
    OpenContext {
        subtask: SubtaskInfo {
            job: "bench".into(),
            vertex: "bench".into(),
            index: 0,
            parallelism: 1,
            attempt: 0,
        },
        metrics: MetricGroup::new(),
        hasher: KeyHasher::new(KeyGroupAssignment::Hash, groups),
        key_groups: groups.range(0, 1),
        waker: None,
        clock: Clock::System,
        checkpointing: Checkpointing::default(),
    }
}

fn drive(chain: &mut impl Push<Trade>, trades: &[Trade]) {
    for batch in trades.chunks(1024) {
        for (index, trade) in batch.iter().enumerate() {
            for ahead in [Lookahead::Far, Lookahead::Near] {
                if let Some(trade) = batch.get(index + ahead.distance()) {
                    chain.prefetch(chain.hash_ahead(trade), ahead);
                }
            }
            chain.push(trade, Timestamp(trade.at));
        }
        chain.flush();
    }
}

/// Opens `chain`, drives it over the trades twice, and returns the time of the second, warm pass.
macro_rules! measure {
    ($bencher:expr, $trades:expr, $expected:expr, |$out:ident| $chain:expr) => {{
        let mut sink = Checksum::default();
        let $out = &mut sink;
        let mut chain = $chain;
        chain.open(&open_context()).unwrap();
        drive(&mut chain, $trades);
        drop(chain);
        assert_eq!(sink.0, $expected, "the results differ");
        let $out = &mut sink;
        let mut chain = $chain;
        chain.open(&open_context()).unwrap();
        drive(&mut chain, $trades);
        $bencher.iter(|| drive(&mut chain, black_box($trades)));
    }};
}

fn hash_map(trades: &[Trade], sums: &mut HashMap<u64, u64, foldhash::fast::FixedState>) -> u64 {
    trades.iter().fold(0u64, |checksum, trade| {
        let sum = sums.entry(trade.key).or_default();
        *sum += trade.amount;
        checksum.wrapping_mul(31).wrapping_add(*sum)
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
            measure!(b, &trades, expected, |out| KeyedReduce::new(
                name.clone(),
                by_key.clone(),
                add.clone(),
                out
            ));
        });
        group.bench_function(BenchmarkId::from_parameter("aggregate"), |b| {
            measure!(b, &trades, expected, |out| KeyedAggregate::new(
                name.clone(),
                by_key.clone(),
                Sum::of(|t: &Trade| t.amount),
                |_: &u64, sum: u64| sum,
                out
            ));
        });
        group.bench_function(BenchmarkId::from_parameter("process"), |b| {
            measure!(b, &trades, expected, |out| KeyedProcess::new(
                name.clone(),
                by_key.clone(),
                RunningSum::default(),
                Outputs::new(out)
            ));
        });
        group.bench_function(BenchmarkId::from_parameter("timestamps_reduce"), |b| {
            measure!(b, &trades, expected, |out| TimestampsAndWatermarks::new(
                |t: &Trade| Timestamp(t.at),
                BoundedOutOfOrderness::of(secs(1)),
                KeyedReduce::new(name.clone(), by_key.clone(), add.clone(), out)
            ));
        });
        group.finish();
    }
}

criterion_group!(benches, running_sum);
criterion_main!(benches);
