//! The keyed state table compared with hashbrown: random read-modify-write of `u64 → u64`, and the longest single
//! insertion while a table grows.
//!
//! All tables get the same keys, uniformly random over those present. `batched` prefetches ahead, as an operator does
//! that is passed a batch; the others take one record at a time. The time covers the hash, the search and the update.
//! Results are checked against the number of updates made.
//!
//! First the tables take turns, round by round, and the medians are printed with their ratio to hashbrown: that
//! figure is reliable on a machine whose speed drifts. Then criterion times each one separately.

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput};
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use thalweg::record::KeyHash;
use thalweg::state::{Lookahead, MemoryMode, Table, TableOptions};

use support::random::Random;

mod support;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The number of records that an operator is passed at a time.
const BATCH: usize = 512;

type Rival = HashMap<u64, u64, FixedState>;
type Ours = Table<u64, u64>;

fn test_mode() -> bool {
    std::env::args().any(|argument| argument == "--test")
}

/// Distinct keys spread over all of `u64`, not in the order of their hashes.
fn key(index: u64) -> u64 {
    index.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0x5555
}

fn random_keys(count: usize, universe: u64) -> Vec<u64> {
    let mut random = Random::new(0x0123_4567_89AB_CDEF);
    (0..count).map(|_| key(random.below(universe))).collect()
}

#[inline(always)]
fn upsert(table: &mut Ours, hash: KeyHash, key: u64) {
    *table
        .find_or_insert_with(hash, |k| *k == key, || (key, 0))
        .0 += 1;
}

#[inline(never)]
fn update_rival(map: &mut Rival, keys: &[u64]) {
    for &key in keys {
        *map.entry(key).or_insert(0) += 1;
    }
}

#[inline(never)]
fn update_one_at_a_time(table: &mut Ours, keys: &[u64]) {
    for &key in keys {
        upsert(table, KeyHash::of_u64(key), key);
    }
}

#[inline(never)]
fn update_batched(table: &mut Ours, keys: &[u64]) {
    const FAR: usize = Lookahead::Far.distance();
    const NEAR: usize = Lookahead::Near.distance();
    let mut hashes = [KeyHash(0); BATCH + FAR];
    for batch in keys.chunks(BATCH) {
        for (hash, &key) in hashes.iter_mut().zip(batch) {
            *hash = KeyHash::of_u64(key);
        }
        // The tail of the array holds older values: a useless but harmless prefetch.
        hashes[..FAR]
            .iter()
            .for_each(|&hash| table.prefetch(hash, Lookahead::Far));
        hashes[..NEAR]
            .iter()
            .for_each(|&hash| table.prefetch(hash, Lookahead::Near));
        for (window, &key) in hashes.windows(FAR + 1).zip(batch) {
            table.prefetch(window[FAR], Lookahead::Far);
            table.prefetch(window[NEAR], Lookahead::Near);
            upsert(table, window[0], key);
        }
    }
}

fn rival(universe: u64) -> Rival {
    let mut map = Rival::with_hasher(FixedState::default());
    (0..universe).for_each(|index| _ = map.insert(key(index), 0));
    map
}

fn ours(universe: u64, memory: MemoryMode) -> Ours {
    let expected_keys = universe as usize;
    let mut table = Table::new(TableOptions {
        expected_keys,
        memory,
        ..TableOptions::default()
    });
    for index in 0..universe {
        let key = key(index);
        table.find_or_insert_with(KeyHash::of_u64(key), |k| *k == key, || (key, 0));
    }
    table
}

type Update = Box<dyn FnMut(&[u64])>;

/// One table, one way to update it, and the total of its counters.
struct Contender {
    name: &'static str,
    update: Update,
    sum: Box<dyn Fn() -> u64>,
    updates: u64,
}

impl Contender {
    fn run(&mut self, keys: &[u64]) -> Duration {
        let start = Instant::now();
        (self.update)(black_box(keys));
        self.updates += keys.len() as u64;
        start.elapsed()
    }
}

fn contender<T: 'static>(
    name: &'static str,
    table: T,
    update: fn(&mut T, &[u64]),
    sum: fn(&T) -> u64,
) -> Contender {
    let table = std::rc::Rc::new(std::cell::RefCell::new(table));
    let shared = table.clone();
    Contender {
        name,
        update: Box::new(move |keys| update(&mut table.borrow_mut(), keys)),
        sum: Box::new(move || sum(&shared.borrow())),
        updates: 0,
    }
}

fn contenders(universe: u64) -> Vec<Contender> {
    let total = |table: &Ours| table.iter().map(|(_, value)| *value).sum();
    let (huge, small) = (MemoryMode::HugePages, MemoryMode::SmallPages);
    vec![
        contender("hashbrown", rival(universe), update_rival, |map| {
            map.values().sum()
        }),
        contender(
            "one_at_a_time",
            ours(universe, huge),
            update_one_at_a_time,
            total,
        ),
        contender("batched", ours(universe, huge), update_batched, total),
        contender(
            "batched_allocator_pages",
            ours(universe, small),
            update_batched,
            total,
        ),
    ]
}

/// Runs the contenders alternately and prints their medians.
fn side_by_side(universe: u64, keys: &[u64], contenders: &mut [Contender], rounds: usize) {
    let mut times = vec![Vec::new(); contenders.len()];
    for round in 0..rounds {
        let span = keys.len() / rounds;
        for (contender, times) in contenders.iter_mut().zip(&mut times) {
            times
                .push(contender.run(&keys[round * span..][..span]).as_nanos() as f64 / span as f64);
        }
    }
    let medians: Vec<f64> = times
        .iter_mut()
        .map(|times| {
            times.sort_by(f64::total_cmp);
            times[times.len() / 2]
        })
        .collect();
    for (contender, median) in contenders.iter().zip(&medians) {
        let (name, ratio) = (contender.name, medians[0] / median);
        println!(
            "{universe:>9} keys  {name:<24} {median:7.2} ns an update  {ratio:5.2} × hashbrown"
        );
    }
}

fn read_modify_write(criterion: &mut Criterion) {
    let (sizes, span, rounds): (&[u64], usize, usize) = if test_mode() {
        (&[1_000, 20_000], 1 << 12, 2)
    } else {
        (&[1_000, 100_000, 1_000_000, 10_000_000], 1 << 20, 11)
    };
    for &universe in sizes {
        let keys = random_keys(span * rounds, universe);
        let mut contenders = contenders(universe);
        side_by_side(universe, &keys, &mut contenders, rounds);
        let mut group = criterion.benchmark_group("table/read_modify_write");
        group
            .throughput(Throughput::Elements(span as u64))
            .sample_size(10);
        group
            .measurement_time(Duration::from_secs(2))
            .warm_up_time(Duration::from_millis(300));
        for contender in &mut contenders {
            // Different keys each time: a repeated sequence would be cached or learned.
            let mut spans = keys.chunks(span).cycle();
            group.bench_function(BenchmarkId::new(contender.name, universe), |bencher| {
                bencher.iter_custom(|rounds| {
                    (0..rounds)
                        .map(|_| contender.run(spans.next().unwrap_or(&[])))
                        .sum()
                });
            });
        }
        group.finish();
        for contender in &contenders {
            assert_eq!(
                (contender.sum)(),
                contender.updates,
                "{}: lost updates",
                contender.name
            );
        }
    }
}

/// Times every insertion separately, and keeps for each the fastest of all rounds so far: an interruption strikes
/// elsewhere each time, the growth of a table always at the same key.
fn time_insertions(quickest: &mut [Duration], mut insert: impl FnMut(u64)) {
    let mut before = Instant::now();
    for (index, quickest) in quickest.iter_mut().enumerate() {
        insert(key(index as u64));
        let now = Instant::now();
        *quickest = (*quickest).min(now - before);
        before = now;
    }
}

fn growth() {
    let (count, rounds) = if test_mode() {
        (50_000, 1)
    } else {
        (10_000_000, 4)
    };
    let mut quickest = [vec![Duration::MAX; count], vec![Duration::MAX; count]];
    let mut bytes = 0;
    for _ in 0..rounds {
        let mut map = Rival::with_hasher(FixedState::default());
        time_insertions(&mut quickest[0], |key| *map.entry(key).or_insert(0) += 1);
        assert_eq!(map.len(), count);
        drop(map);
        let mut table = Ours::new(TableOptions::default());
        time_insertions(&mut quickest[1], |key| {
            upsert(&mut table, KeyHash::of_u64(key), key)
        });
        assert_eq!(table.len(), count);
        bytes = table.memory_bytes() / count;
    }
    for (name, quickest) in ["hashbrown", "table"].iter().zip(&quickest) {
        let longest = quickest.iter().max().expect("some insertions");
        let all: Duration = quickest.iter().sum();
        println!("growth to {count} keys  {name:<10} longest insertion {longest:?}, all {all:?}");
    }
    println!("growth to {count} keys  table      {bytes} bytes a key");
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    growth();
    read_modify_write(&mut criterion);
    criterion.final_summary();
}
