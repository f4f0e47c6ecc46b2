//! Timers: fire and re-arm, compared with a binary heap, for many distinct times and for windows.
//!
//! `distinct` holds a million timers, one per key, at random times ahead; `windows` registers one timer per record
//! and window, so most registrations find it already present. Every queue must fire the same timers in the same time
//! order, which is verified by a checksum over the passes.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use hashbrown::HashSet;
use thalweg::record::KeyHash;
use thalweg::state::TimerQueue;
use thalweg::time::Timestamp;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const LIVE: u64 = 1_000_000;
const LIVE_QUICK: u64 = 1_000;
/// The upper bound of the spans ahead: about 17 minutes.
const SPAN: u64 = 1 << 40;

trait Queue: Default {
    const NAME: &'static str;
    fn register(&mut self, key: u64, at: i64) -> bool;
    fn pop_due(&mut self, watermark: i64) -> Option<(i64, u64)>;
}

#[derive(Default)]
struct Ours(TimerQueue<u64, ()>);

impl Queue for Ours {
    const NAME: &'static str = "timer_queue";

    fn register(&mut self, key: u64, at: i64) -> bool {
        let hash = KeyHash::of_u64(key);
        self.0
            .register(hash, |known| *known == key, || key, (), Timestamp(at))
    }

    fn pop_due(&mut self, watermark: i64) -> Option<(i64, u64)> {
        let timer = self.0.pop_due(Timestamp(watermark))?;
        Some((timer.at.0, timer.key))
    }
}

/// What Flink's heap queue does: a heap, and a set so that each timer is held only once.
#[derive(Default)]
struct HeapAndSet {
    heap: BinaryHeap<Reverse<(i64, u64)>>,
    set: HashSet<(i64, u64), foldhash::fast::FixedState>,
}

impl Queue for HeapAndSet {
    const NAME: &'static str = "heap_and_set";

    fn register(&mut self, key: u64, at: i64) -> bool {
        let is_new = self.set.insert((at, key));
        if is_new {
            self.heap.push(Reverse((at, key)));
        }
        is_new
    }

    fn pop_due(&mut self, watermark: i64) -> Option<(i64, u64)> {
        if self.heap.peek()?.0.0 > watermark {
            return None;
        }
        let timer = self.heap.pop()?.0;
        self.set.remove(&timer);
        Some(timer)
    }
}

/// A heap that fires a timer as often as it was registered: not what is needed, but a lower bound on the cost of a
/// heap.
#[derive(Default)]
struct HeapOnly(BinaryHeap<Reverse<(i64, u64)>>);

impl Queue for HeapOnly {
    const NAME: &'static str = "heap_without_identity";

    fn register(&mut self, key: u64, at: i64) -> bool {
        self.0.push(Reverse((at, key)));
        true
    }

    fn pop_due(&mut self, watermark: i64) -> Option<(i64, u64)> {
        if self.0.peek()?.0.0 > watermark {
            return None;
        }
        self.0.pop().map(|timer| timer.0)
    }
}

fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    KeyHash::of_u64(*state).0
}

/// One timer per key; each that fires is registered again.
struct Distinct<Q> {
    queue: Q,
    watermark: i64,
    step: i64,
}

impl<Q: Queue> Distinct<Q> {
    fn new(live: u64) -> Self {
        let mut queue = Q::default();
        let mut state = 1;
        for key in 0..live {
            queue.register(key, (random(&mut state) % SPAN) as i64);
        }
        // A pass fires about a hundred timers.
        let step = (SPAN / live * 50) as i64;
        Distinct {
            queue,
            watermark: 0,
            step,
        }
    }

    /// Fires and re-arms about `count` timers; returns their number, and a sum that does not depend on ties.
    fn run(&mut self, count: u64) -> (u64, u64) {
        let (mut fired, mut sum, mut last) = (0, 0_u64, i64::MIN);
        while fired < count {
            self.watermark += self.step;
            while let Some((at, key)) = self.queue.pop_due(self.watermark) {
                assert!(last <= at, "in the order of time");
                last = at;
                fired += 1;
                sum = sum.wrapping_add(KeyHash::of_u64(key).then(KeyHash(at as u64)).0);
                let ahead = KeyHash::of_u64(key ^ at as u64).0 % SPAN;
                self.queue.register(key, self.watermark + 1 + ahead as i64);
            }
        }
        (fired, sum)
    }
}

/// Records with random keys register the end of their window; each window holds many records per key.
fn windows<Q: Queue>(queue: &mut Q, keys: u64, records: u64) -> (u64, u64) {
    let size = keys as i64 * 4;
    let (mut fired, mut sum, mut state) = (0, 0_u64, 2);
    for record in 0..records as i64 {
        let key = random(&mut state) % keys;
        let end = record - record % size + size - 1;
        queue.register(key, end);
        if record == end {
            while let Some((at, key)) = queue.pop_due(record) {
                fired += 1;
                sum = sum.wrapping_add(KeyHash::of_u64(key).then(KeyHash(at as u64)).0);
            }
        }
    }
    (fired, sum)
}

fn time_distinct<Q: Queue>(criterion: &mut Criterion, live: u64) {
    let mut group = criterion.benchmark_group("distinct");
    group.sample_size(10).warm_up_time(Duration::from_secs(1));
    let mut distinct = None;
    group.bench_function(BenchmarkId::new(Q::NAME, live), |bencher| {
        let distinct = distinct.get_or_insert_with(|| Distinct::<Q>::new(live));
        bencher.iter_custom(|count| {
            let start = Instant::now();
            let (fired, sum) = distinct.run(count);
            black_box(sum);
            start.elapsed().mul_f64(count as f64 / fired as f64)
        });
    });
}

fn time_windows<Q: Queue>(criterion: &mut Criterion, keys: u64) {
    let mut group = criterion.benchmark_group("windows_per_record");
    group.sample_size(10).warm_up_time(Duration::from_secs(1));
    let records = keys * 40;
    group.bench_function(BenchmarkId::new(Q::NAME, keys), |bencher| {
        bencher.iter_custom(|count| {
            let mut spent = Duration::ZERO;
            for _ in 0..count {
                let mut queue = Q::default();
                let start = Instant::now();
                black_box(windows(&mut queue, keys, records));
                spent += start.elapsed();
            }
            spent / records as u32
        });
    });
}

/// Checks passes over as many timers as are then timed.
fn check(live: u64) {
    let count = 2 * live;
    let ours = Distinct::<Ours>::new(live).run(count);
    assert_eq!(ours, Distinct::<HeapAndSet>::new(live).run(count));
    assert_eq!(ours, Distinct::<HeapOnly>::new(live).run(count));
    let (keys, records) = (live / 10, 10 * live);
    let ours = windows(&mut Ours::default(), keys, records);
    assert_eq!(ours, windows(&mut HeapAndSet::default(), keys, records));
    assert!(ours.0 > 0);
}

fn timers(criterion: &mut Criterion) {
    let is_test = std::env::args().any(|argument| argument == "--test");
    for live in [LIVE_QUICK, LIVE] {
        if is_test && live == LIVE {
            continue;
        }
        check(live);
        time_distinct::<Ours>(criterion, live);
        time_distinct::<HeapAndSet>(criterion, live);
        time_distinct::<HeapOnly>(criterion, live);
    }
    let keys = if is_test { 100 } else { 10_000 };
    time_windows::<Ours>(criterion, keys);
    time_windows::<HeapAndSet>(criterion, keys);
}

criterion_group!(benches, timers);
criterion_main!(benches);
