//! The keyed state table beside hashbrown, in one run: random read-modify-write of `u64 → u64`, and the
//! longest single insertion while a table grows.
//!
//! The keys of a run are the same for all tables, uniformly random over those present, and precomputed, so
//! that what is timed is the hash, the search and the update. `batched` prefetches a fixed number of
//! records ahead, as an operator does that is handed a batch. Each result is checked against the number of
//! updates made.

use std::hash::BuildHasher;
use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput};
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use thalweg::record::KeyHash;
use thalweg::state::{MemoryMode, Table, TableOptions};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const AHEAD: usize = 32;

fn test_mode() -> bool {
    std::env::args().any(|argument| argument == "--test")
}

/// Keys spread over the whole of `u64`, by an odd multiplication: distinct, and not in hash order.
fn key(index: u64) -> u64 {
    index.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0x5555
}

fn random_keys(count: u64, universe: u64) -> Vec<u64> {
    let mut state = 0x0123_4567_89AB_CDEF_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    (0..count).map(|_| key(next() % universe)).collect()
}

type Rival = HashMap<u64, u64, FixedState>;

fn rival(universe: u64) -> Rival {
    let mut map = Rival::with_hasher(FixedState::default());
    (0..universe).for_each(|index| _ = map.insert(key(index), 0));
    map
}

fn ours(universe: u64, memory: MemoryMode, expected: bool) -> Table<u64, u64> {
    let expected_keys = if expected { universe as usize } else { 0 };
    let mut table = Table::new(TableOptions {
        expected_keys,
        memory,
        ..TableOptions::default()
    });
    for index in 0..universe {
        upsert(&mut table, key(index), 0);
    }
    table
}

#[inline(always)]
fn upsert(table: &mut Table<u64, u64>, key: u64, add: u64) {
    let hash = KeyHash::of_u64(key);
    *table
        .find_or_insert_with(hash, |k| *k == key, || (key, 0))
        .0 += add;
}

#[inline(never)]
fn update_rival(map: &mut Rival, keys: &[u64]) {
    for &key in keys {
        *map.entry(key).or_insert(0) += 1;
    }
}

#[inline(never)]
fn update_one_at_a_time(table: &mut Table<u64, u64>, keys: &[u64]) {
    for &key in keys {
        upsert(table, key, 1);
    }
}

#[inline(never)]
fn update_batched(table: &mut Table<u64, u64>, keys: &[u64]) {
    let (last, ahead) = (
        keys.len().saturating_sub(AHEAD),
        keys.get(AHEAD..).unwrap_or(&[]),
    );
    for &key in &keys[..keys.len().min(AHEAD)] {
        table.prefetch(KeyHash::of_u64(key));
    }
    for (&key, &later) in keys.iter().zip(ahead) {
        table.prefetch(KeyHash::of_u64(later));
        upsert(table, key, 1);
    }
    for &key in &keys[last..] {
        upsert(table, key, 1);
    }
}

/// Runs `update` until criterion is content, and checks the sum of all counters at the end.
fn measure<T>(
    group: &mut criterion::BenchmarkGroup<'_, criterion::measurement::WallTime>,
    name: &str,
    (universe, keys): (u64, &[u64]),
    table: &mut T,
    update: fn(&mut T, &[u64]),
    sum: fn(&T) -> u64,
) {
    let before = sum(table);
    let mut rounds = 0;
    group.bench_with_input(BenchmarkId::new(name, universe), keys, |bencher, keys| {
        bencher.iter(|| {
            update(table, black_box(keys));
            rounds += 1;
        });
    });
    assert_eq!(
        sum(table) - before,
        rounds * keys.len() as u64,
        "{name}: lost updates"
    );
}

fn read_modify_write(criterion: &mut Criterion) {
    let sizes: &[u64] = if test_mode() {
        &[1_000, 20_000]
    } else {
        &[1_000, 100_000, 1_000_000, 10_000_000]
    };
    for &universe in sizes {
        let count = if test_mode() { 10_000 } else { 1 << 18 };
        let keys = random_keys(count, universe);
        let input = (universe, keys.as_slice());
        let mut group = criterion.benchmark_group("table/read_modify_write");
        group
            .throughput(Throughput::Elements(count))
            .sample_size(20);
        group
            .measurement_time(Duration::from_secs(2))
            .warm_up_time(Duration::from_millis(500));
        let total = |table: &Table<u64, u64>| table.iter().map(|(_, value)| *value).sum();
        let mut map = rival(universe);
        let total_rival = |map: &Rival| map.values().sum();
        measure(
            &mut group,
            "hashbrown",
            input,
            &mut map,
            update_rival,
            total_rival,
        );
        drop(map);
        for (pages, memory) in [
            ("huge", MemoryMode::HugePages),
            ("small", MemoryMode::SmallPages),
        ] {
            let mut table = ours(universe, memory, true);
            let name = format!("one_at_a_time/{pages}");
            measure(
                &mut group,
                &name,
                input,
                &mut table,
                update_one_at_a_time,
                total,
            );
            let name = format!("batched/{pages}");
            measure(&mut group, &name, input, &mut table, update_batched, total);
        }
        group.finish();
    }
}

/// Times every insertion by itself; the longest, and the whole.
fn longest(count: u64, mut insert: impl FnMut(u64)) -> (Duration, Duration) {
    let start = Instant::now();
    let (mut longest, mut before) = (Duration::ZERO, start);
    for index in 0..count {
        insert(key(index));
        let now = Instant::now();
        longest = longest.max(now - before);
        before = now;
    }
    (longest, start.elapsed())
}

fn growth() {
    let count = if test_mode() { 50_000 } else { 10_000_000 };
    for round in 0..3 {
        let mut map = Rival::with_hasher(FixedState::default());
        let rival = longest(count, |key| *map.entry(key).or_insert(0) += 1);
        assert_eq!(map.len() as u64, count);
        drop(map);
        let mut table = Table::new(TableOptions::default());
        let ours = longest(count, |key| upsert(&mut table, key, 1));
        assert_eq!(table.len() as u64, count);
        println!(
            "growth to {count} keys, round {round}: longest insertion (all) hashbrown {:?} ({:?}), \
             table {:?} ({:?}), {} bytes a key",
            rival.0,
            rival.1,
            ours.0,
            ours.1,
            table.memory_bytes() as u64 / count,
        );
    }
}

fn main() {
    black_box(FixedState::default().hash_one(1u64));
    let mut criterion = Criterion::default().configure_from_args();
    growth();
    read_modify_write(&mut criterion);
    criterion.final_summary();
}
