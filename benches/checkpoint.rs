//! The path of a table into a checkpoint and back: drained, written, restored, in memory and in files.
//!
//! `u64 → u64`, with all keys changed or one in a hundred. `drain` is what a worker does between batches; `write` is
//! that plus the checkpoint writer's work on the same thread, until the checkpoint is complete; `restore` is from
//! there into an empty table. Every result is checked: all drained entries are counted, and a restored table has
//! every key with its value.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput};
use thalweg::checkpoint::{
    CheckpointStore, Contents, Deferred, HeapStorage, OperatorInfo, Pending, Piece, PieceSink,
    RealStorage, Restored, SnapshotOutput, StateRef, StateReport, Storage, StoreOptions,
    SubtaskReport, TableSnapshot,
};
use thalweg::record::KeyHash;
use thalweg::state::{Drained, Extent, StateKind, Table, TableOptions, encode_changes};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The number of entries that a worker drains between two batches.
const SLICE: usize = 256;

type Sums = Table<u64, u64>;

fn test_mode() -> bool {
    std::env::args().any(|argument| argument == "--test")
}

fn key_count() -> u64 {
    if test_mode() { 10_000 } else { 1_000_000 }
}

fn empty_table(keys: u64) -> Sums {
    Table::new(TableOptions {
        expected_keys: keys as usize,
        changes: Some(encode_changes::<u64, u64>()),
        ..TableOptions::default()
    })
}

fn add(table: &mut Sums, key: u64) {
    let hash = table.hasher().hash(&key);
    *table
        .find_or_insert_with(hash, |stored| *stored == key, || (key, 0))
        .0 += 1;
}

/// A table whose keys were all drained once, and of which every `stride`-th has changed since.
fn changed_table(keys: u64, stride: usize) -> Sums {
    let mut table = empty_table(keys);
    (0..keys).for_each(|key| add(&mut table, key));
    table.freeze(Extent::Whole);
    assert_eq!(drain(&mut table), keys);
    (0..keys)
        .step_by(stride)
        .for_each(|key| add(&mut table, key));
    table.freeze(Extent::Changes);
    table
}

/// Drains what is frozen, slice by slice; returns the number of entries.
fn drain(table: &mut Sums) -> u64 {
    let (mut drained, mut count) = (Drained::default(), 0);
    loop {
        let is_done = table.drain_frozen(SLICE, &mut drained);
        count += drained.set.count();
        black_box(&drained);
        drained.clear();
        if is_done {
            return count;
        }
    }
}

/// Writes pieces as they arrive.
struct Writer(Pending);

impl PieceSink for Writer {
    fn has_room(&self) -> bool {
        true
    }

    fn is_full(&self) -> bool {
        false
    }

    fn send(&mut self, _checkpoint: u64, piece: Piece) {
        self.0.append(&piece).expect("there is room");
    }

    fn defer(&mut self, _checkpoint: u64, _work: Deferred) {
        unreachable!("a table defers nothing");
    }

    fn buffer(&mut self) -> Vec<u8> {
        Vec::with_capacity(512 * 1024)
    }
}

fn snapshot() -> TableSnapshot {
    let state = StateRef::new(&"sums".into(), "sums");
    TableSnapshot::of::<u64, u64>(state, StateKind::Value)
}

/// Writes what a table freezes as a complete checkpoint.
fn write(
    store: &mut CheckpointStore,
    snapshot: &mut TableSnapshot,
    table: &mut Sums,
    extent: Extent,
) {
    let (parent, checkpoint) = (store.newest(), store.next_checkpoint());
    let mut writer = Writer(store.begin(checkpoint).expect("the next number"));
    snapshot.freeze(table, checkpoint, extent);
    let mut reports: Vec<StateReport> = Vec::new();
    loop {
        let out = &mut SnapshotOutput::new(checkpoint, 0, &mut writer, &mut reports, SLICE);
        if snapshot.drain(table, out) {
            break;
        }
    }
    let contents = Contents {
        parent: parent.filter(|_| extent == Extent::Changes),
        operators: vec![OperatorInfo {
            uid: "sums".into(),
            parallelism: 1,
            max_parallelism: 128,
        }],
        reports: vec![SubtaskReport {
            subtask: 0,
            states: reports,
        }],
        ..Contents::default()
    };
    let completed = store.complete(writer.0, contents);
    completed.expect("the storage takes it");
}

fn restore(restored: &Restored, keys: u64) -> Sums {
    let mut table = empty_table(keys);
    let all = KeyHash(0)..=KeyHash(u64::MAX);
    let is_there = snapshot().restore(&mut table, restored, &all);
    assert!(is_there.expect("undamaged"));
    assert_eq!(table.len() as u64, keys);
    table
}

/// Checks that every key has the sum given by `sum`.
fn check(table: &Sums, keys: u64, sum: impl Fn(u64) -> u64) {
    for key in 0..keys {
        let found = table.get(table.hasher().hash(&key), |stored| *stored == key);
        assert_eq!(found, Some(&sum(key)), "key {key}");
    }
}

/// A storage in memory, and one in a temporary directory.
fn storages() -> (tempfile::TempDir, [(&'static str, Arc<dyn Storage>); 2]) {
    let directory = tempfile::tempdir().expect("a directory");
    let real = RealStorage::create(directory.path()).expect("a directory");
    let storages: [(_, Arc<dyn Storage>); 2] = [
        ("memory", Arc::new(HeapStorage::new())),
        ("files", Arc::new(real)),
    ];
    (directory, storages)
}

fn drains(criterion: &mut Criterion) {
    let keys = key_count();
    let mut group = criterion.benchmark_group("drain");
    for (name, stride) in [("all", 1), ("1%", 100)] {
        let changed = keys.div_ceil(stride as u64);
        group.throughput(Throughput::Elements(changed));
        group.bench_function(BenchmarkId::from_parameter(name), |bencher| {
            bencher.iter_batched_ref(
                || changed_table(keys, stride),
                |table| assert_eq!(drain(table), changed),
                BatchSize::LargeInput,
            );
        });
    }
    group.finish();
}

fn writes(criterion: &mut Criterion) {
    let keys = key_count();
    let mut group = criterion.benchmark_group("write");
    group.throughput(Throughput::Elements(keys));
    let (_directory, storages) = storages();
    for (name, storage) in storages {
        let mut store = CheckpointStore::open(storage, StoreOptions::default()).expect("empty");
        let mut table = empty_table(keys);
        (0..keys).for_each(|key| add(&mut table, key));
        let mut snapshot = snapshot();
        group.bench_function(name, |bencher| {
            bencher.iter(|| write(&mut store, &mut snapshot, &mut table, Extent::Whole));
        });
        let restored = store.restore_newest().expect("undamaged").expect("one");
        check(&restore(&restored, keys), keys, |_| 1);
    }
    group.finish();
}

fn restores(criterion: &mut Criterion) {
    let keys = key_count();
    let mut group = criterion.benchmark_group("restore");
    group.throughput(Throughput::Elements(keys));
    let (_directory, storages) = storages();
    for (name, storage) in storages {
        let mut store = CheckpointStore::open(storage, StoreOptions::default()).expect("empty");
        let (mut table, mut snapshot) = (empty_table(keys), snapshot());
        (0..keys).for_each(|key| add(&mut table, key));
        write(&mut store, &mut snapshot, &mut table, Extent::Whole);
        (0..keys).step_by(100).for_each(|key| add(&mut table, key));
        write(&mut store, &mut snapshot, &mut table, Extent::Changes);
        let restored = store.restore_newest().expect("undamaged").expect("one");
        group.bench_function(name, |bencher| {
            bencher.iter_with_large_drop(|| restore(&restored, keys));
        });
        let sum = |key: u64| 1 + u64::from(key.is_multiple_of(100));
        check(&restore(&restored, keys), keys, sum);
    }
    group.finish();
}

fn main() {
    let mut criterion = Criterion::default().sample_size(20).configure_from_args();
    drains(&mut criterion);
    writes(&mut criterion);
    restores(&mut criterion);
    criterion.final_summary();
}
