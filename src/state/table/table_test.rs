//! What a table guarantees besides its contents: memory, growth, and that misuse is an error.

use std::ops::Range;

use compact_str::CompactString;

use super::handle::steps;
use super::{
    CHUNK_BYTES, Drained, EncodeChange, Extent, Lookahead, MemoryMode, RunKeys, Table, TableKey,
    TableOptions,
};
use crate::record::KeyHash;
use crate::state::encode_changes;

#[test]
fn empty_table_finds_nothing() {
    let mut table: Table<u64, ()> = Table::new(TableOptions::default());
    table.prefetch(KeyHash(u64::MAX), Lookahead::Far);
    assert!(table.get(KeyHash(0), |_| true).is_none());
    assert!(table.get_mut(KeyHash(u64::MAX), |_| true).is_none());
    assert!(table.remove(KeyHash(1 << 63), |_| true).is_none());
    assert!(table.is_empty() && table.iter().next().is_none());
}

#[test]
fn strings_are_found_by_borrowed_keys_after_growth() {
    let mut table: Table<CompactString, String> = Table::new(TableOptions::default());
    let count = if cfg!(miri) { 600 } else { 20_000 };
    for number in 0..count {
        let word = format!("word {number}");
        let hash = KeyHash::of_bytes(word.as_bytes());
        let make = || (CompactString::from(word.as_str()), word.clone());
        assert!(table.find_or_insert_with(hash, |key| *key == word, make).1);
    }
    for number in 0..count {
        let word = format!("word {number}");
        let hash = KeyHash::of_bytes(word.as_bytes());
        assert_eq!(table.get(hash, |key| *key == word), Some(&word));
    }
}

#[test]
fn cleared_table_keeps_its_memory_and_fills_again() {
    let mut table: Table<u64, u64> = Table::new(TableOptions::default());
    let count = if cfg!(miri) { 400 } else { 30_000 };
    let mut bytes = 0;
    for round in 0..3 {
        for key in 0..count {
            let value = table.find_or_insert_with(key.key_hash(), |k| *k == key, || (key, round));
            assert_eq!(*value.0, round);
        }
        bytes = bytes.max(table.memory_bytes());
        assert_eq!(table.memory_bytes(), bytes);
        table.clear();
        assert!(table.is_empty());
    }
}

/// Numbers that are their own keys.
struct Numbers;

impl RunKeys<u64> for Numbers {
    type Record = u64;

    fn hash(&self, number: &u64) -> KeyHash {
        number.key_hash()
    }

    fn is(&self, number: &u64, key: &u64) -> bool {
        number == key
    }

    fn stored(&self, number: &u64) -> u64 {
        *number
    }
}

#[test]
fn a_run_finds_the_keys_that_it_inserts_while_the_table_grows() {
    let (count, run) = if cfg!(miri) {
        (600, 100)
    } else {
        (60_000, 1000)
    };
    // Each number comes twice, not far apart.
    let numbers: Vec<u64> = (0..2 * count).map(|n| n / 80 * 40 + n % 40).collect();
    for looks_ahead in [true, false] {
        let mut table: Table<u64, u64> = Table::new(TableOptions::default());
        for (index, part) in numbers.chunks(run).enumerate() {
            let first = |(): &mut (), _: &u64| 0;
            let each = |(): &mut (), number: u64, (value, inserted): (&mut u64, bool)| {
                assert_eq!(inserted, *value == 0, "{number}");
                *value += number + 1;
                true
            };
            let keys = (&Numbers, &mut ());
            let taken = if looks_ahead {
                let behind = &numbers[index * run..numbers.len().min(index * run + run + 50)];
                let later = |numbers: Range<usize>| behind[numbers].iter().copied();
                let numbers = |numbers: Range<usize>| part[numbers].iter().copied();
                let records = (numbers, part.len());
                table.upsert_looking_ahead(keys, records, (later, behind.len()), first, each)
            } else {
                let mut records = part.iter().copied();
                table.upsert_run(keys, &mut records, first, each);
                part.len() - records.len()
            };
            assert_eq!(taken, part.len());
        }
        assert_eq!(table.len() as u64, count);
        assert!(table.iter().all(|(key, value)| *value == 2 * (key + 1)));
    }
}

#[test]
fn a_run_that_is_not_as_long_as_was_said_or_looks_at_others_is_safe() {
    let mut table: Table<u64, u64> = Table::new(TableOptions::default());
    let count = if cfg!(miri) { 400 } else { 30_000 };
    fill(&mut table, count);
    let lookahead = [(0..0, 0..10), (0..3, 5..90), (10..60, 7..7)];
    for (records, ahead) in lookahead {
        table.upsert_looking_ahead(
            (&Numbers, &mut ()),
            (|_| records.clone(), 200),
            (|_| ahead.clone(), 100),
            |(), _| 0,
            |(), _, _| true,
        );
        assert!(table.len() as u64 >= count);
    }
}

fn fill(table: &mut Table<u64, u64>, count: u64) {
    for key in 0..count {
        assert!(
            table
                .find_or_insert_with(key.key_hash(), |k| *k == key, || (key, key + 1))
                .1
        );
    }
    for key in 0..count {
        table.prefetch(key.key_hash(), Lookahead::Far);
        table.prefetch(key.key_hash(), Lookahead::Near);
        assert_eq!(table.get(key.key_hash(), |k| *k == key), Some(&(key + 1)));
    }
    assert_eq!(table.len() as u64, count);
}

#[test]
fn large_table_finds_everything_on_all_kinds_of_pages() {
    let count = if cfg!(miri) { 500 } else { 300_000 };
    for memory in [MemoryMode::HugePages, MemoryMode::SmallPages] {
        fill(
            &mut Table::new(TableOptions {
                memory,
                ..TableOptions::default()
            }),
            count,
        );
    }
}

#[test]
fn expected_keys_fit_without_growth() {
    let count = if cfg!(miri) { 500 } else { 200_000 };
    for memory in [MemoryMode::HugePages, MemoryMode::SmallPages] {
        let options = TableOptions {
            memory,
            expected_keys: count,
            ..TableOptions::default()
        };
        let mut table = Table::new(options);
        let bytes = table.memory_bytes();
        fill(&mut table, count as u64);
        assert_eq!(table.memory_bytes(), bytes);
    }
}

#[test]
fn share_of_the_hashes_takes_its_share_of_memory() {
    let count = if cfg!(miri) { 300 } else { 100_000u64 };
    let hashes = KeyHash(5 << 60)..=KeyHash((6 << 60) - 1);
    let keys = |wanted: u64| {
        let hashes = hashes.clone();
        (0..)
            .filter(move |key: &u64| hashes.contains(&key.key_hash()))
            .take(wanted as usize)
    };
    let options = TableOptions {
        expected_keys: count as usize,
        hashes: hashes.clone(),
        ..TableOptions::default()
    };
    let (mut sized, mut grown) = (Table::new(options), Table::new(TableOptions::default()));
    for table in [&mut sized, &mut grown] {
        for key in keys(count) {
            table.find_or_insert_with(key.key_hash(), |k| *k == key, || (key, ()));
        }
        assert!(keys(count).all(|key| table.get(key.key_hash(), |k| *k == key).is_some()));
        let bytes = table.memory_bytes() / count as usize;
        assert!(cfg!(miri) || bytes < 64, "{bytes} bytes for each key");
    }
}

const NUMBERS: EncodeChange<u64, u64> = EncodeChange {
    set: |entries, out| {
        for (key, value) in entries {
            out.extend([key.to_le_bytes(), value.to_le_bytes()].as_flattened());
        }
    },
    removed: |key, out| out.extend(key.to_le_bytes()),
};

#[test]
fn removals_are_drained_in_slices_and_a_base_has_none() {
    let count = if cfg!(miri) { 1500 } else { 10_000u64 };
    for extent in [Extent::Changes, Extent::Whole] {
        let mut table = Table::new(TableOptions {
            changes: Some(NUMBERS),
            ..TableOptions::default()
        });
        for key in 0..count {
            table.restore_entry(key.key_hash(), key, key);
        }
        for key in 1..count {
            table.remove(key.key_hash(), |k| *k == key);
        }
        table.freeze(extent);
        let (mut all, mut slice) = (Drained::default(), Drained::default());
        let (mut set, mut done) = (Vec::new(), false);
        while !done {
            done = table.drain_frozen(100, &mut slice);
            assert!(slice.removed_count <= 1100, "{}", slice.removed_count);
            all.removed.append(&mut slice.removed);
            set.extend(slice.set.to_bytes());
            slice.clear();
        }
        let mut removed: Vec<_> = all.removed.chunks(8).collect();
        removed.sort_by_key(|key| u64::from_le_bytes((*key).try_into().unwrap()));
        let expected = (1..count).map(u64::to_le_bytes);
        if extent == Extent::Changes {
            assert!(removed.into_iter().eq(expected) && set.is_empty());
        } else {
            assert!(removed.is_empty() && set == [0; 16]);
        }
    }
}

#[test]
fn copies_of_what_is_frozen_take_no_more_memory_than_is_waited_for() {
    let (count, step) = if cfg!(miri) {
        (1500, 500)
    } else {
        (200_000u64, 1000)
    };
    let mut table = Table::new(TableOptions {
        expected_keys: count as usize,
        changes: Some(NUMBERS),
        ..TableOptions::default()
    });
    for key in 0..count {
        table.restore_entry(key.key_hash(), key, key);
    }
    for extent in [Extent::Whole, Extent::Changes] {
        let before = table.memory_bytes();
        table.freeze(extent);
        let (mut copied, mut out) = (0, Drained::default());
        for key in 0..count {
            let value = table.get_mut(key.key_hash(), |k| *k == key);
            *value.expect("it is there") += 1;
            if key % step == 0 {
                // With a budget of 0, only what had to be copied is drained.
                assert!(!table.drain_frozen(0, &mut out));
                copied += out.set.count();
                out.clear();
            }
            // The entries of one step, before they are fetched, and the spare chunks.
            let limit = step as usize * 7 * 16 + 8 * CHUNK_BYTES;
            assert!(table.memory_bytes() - before <= limit);
        }
        while !table.drain_frozen(1000, &mut out) {}
        copied += out.set.count();
        assert_eq!(copied, count, "{extent:?}");
        assert!(table.memory_bytes() - before <= CHUNK_BYTES);
    }
}

#[test]
#[should_panic(expected = "not drained")]
fn freezing_twice_without_draining_is_an_error() {
    let mut table = Table::new(TableOptions {
        changes: Some(NUMBERS),
        ..TableOptions::default()
    });
    table.find_or_insert_with(KeyHash::of_u64(1), |key| *key == 1, || (1u64, 1u64));
    table.freeze(Extent::Changes);
    table.freeze(Extent::Changes);
}

#[test]
fn a_table_is_filled_while_its_pages_are_prepared() {
    let count = if cfg!(miri) { 400 } else { 300_000 };
    let options = || TableOptions {
        restored_keys: count as usize,
        ..TableOptions::default()
    };
    // A table dropped before all pages are prepared leaves nothing behind that touches them.
    drop(Table::<u64, u64>::new(options()));
    let mut table: Table<u64, u64> = Table::new(options());
    let bytes = table.memory_bytes();
    for key in 0..count {
        table.restore_entry(key.key_hash(), key, key + 1);
    }
    for key in 0..count {
        assert_eq!(
            table.get(key.key_hash(), |k| *k == key),
            Some(&(key + 1)),
            "of {count} keys"
        );
    }
    // Some segments get more than their share and split; most do not.
    assert!(table.memory_bytes() < bytes + bytes / 2);
}

impl<K: TableKey, V> Table<K, V> {
    /// How many groups a search for an entry visits, on average and at most.
    fn ways(&self) -> (f64, usize) {
        let (mut sum, mut most, mut position) = (0, 0, Some(0));
        while let Some(start) = position {
            let segment = self.directory.segment(KeyHash(start));
            for index in 0..segment.group_count() {
                for slot in segment.occupied(index) {
                    let hash = segment.entry(index, slot).key.hash_under(&self.hasher());
                    let way = steps(segment.home(hash), index, segment.group_count());
                    (sum, most) = (sum + way, most.max(way));
                }
            }
            position = self.directory.after(start);
        }
        (sum as f64 / self.len() as f64, most)
    }
}

#[test]
fn keys_of_every_pattern_are_found_near_their_home_in_little_memory() {
    let count = if cfg!(miri) { 300 } else { 50_000u64 };
    let fibonacci = |i: u64| i * 75_025;
    let patterns: [(&str, fn(u64) -> u64); 12] = [
        ("in a row", |i| i),
        ("in a row far out", |i| (1 << 60) + i),
        ("from the end", |i| u64::MAX - i),
        ("negative and positive", |i| (i as i64 - 25_000) as u64),
        ("thousands", |i| i * 1000),
        ("hours in nanoseconds", |i| i * 3_600_000_000_000),
        ("powers of two", |i| i << 32),
        ("high bits", |i| i << 46),
        ("pairs", |i| ((i / 200) << 32) | (i % 200)),
        ("floating point", |i| (i as f64).to_bits()),
        ("a bad stride", fibonacci),
        ("by chance", |i| {
            KeyHash::default().then(KeyHash::of_u64(i)).0
        }),
    ];
    for (name, key) in patterns {
        let mut table: Table<u64, u64> = Table::new(TableOptions::default());
        for key in (0..count).map(key) {
            table.find_or_insert_with(key.key_hash(), |k| *k == key, || (key, key));
        }
        assert_eq!(table.len() as u64, count, "{name}");
        let (mean, most) = table.ways();
        let bytes = table.memory_bytes() as f64 / count as f64;
        println!("{name}: {mean:.3} on average, {most} at most, {bytes:.0} bytes a key");
        assert!(
            mean < 0.5 && most < 40,
            "{name}: {mean} on average, {most} at most"
        );
        assert!(bytes < 150.0 || cfg!(miri), "{name}: {bytes} bytes a key");
    }
}

#[test]
fn a_base_of_plain_entries_has_each_of_them_once_whatever_holes_there_are() {
    let count = if cfg!(miri) { 600 } else { 20_000u64 };
    for nth in [1, 2, 3, 7, 50] {
        let mut table = Table::new(TableOptions {
            changes: Some(encode_changes::<u64, u64>()),
            ..TableOptions::default()
        });
        for key in 0..count {
            table.find_or_insert_with(key.key_hash(), |k| *k == key, || (key, key * key));
        }
        for key in (0..count).filter(|key| key % nth != 0) {
            table.remove(key.key_hash(), |k| *k == key);
        }
        let mut drained = Drained::default();
        table.freeze(Extent::Whole);
        while !table.drain_frozen(100, &mut drained) {}
        let bytes = drained.set.to_bytes();
        let (numbers, rest) = bytes.as_chunks::<8>();
        let numbers: Vec<u64> = numbers.iter().map(|n| u64::from_le_bytes(*n)).collect();
        let (entries, odd) = numbers.as_chunks::<2>();
        assert!(rest.is_empty() && odd.is_empty());
        assert_eq!(drained.set.count(), entries.len() as u64);
        let mut entries = entries.to_vec();
        entries.sort_unstable();
        let expected = (0..count).filter(|key| key % nth == 0);
        assert!(entries.into_iter().eq(expected.map(|key| [key, key * key])));
    }
}

#[test]
fn a_sample_tells_whether_most_entries_have_changed_and_filling_is_no_change() {
    let count = if cfg!(miri) { 5_000 } else { 60_000u64 };
    let mut table = Table::new(TableOptions {
        changes: Some(NUMBERS),
        ..TableOptions::default()
    });
    let change = |table: &mut Table<u64, u64>, keys: std::ops::Range<u64>| {
        for key in keys {
            let equal = |k: &u64| *k == key;
            *table
                .find_or_insert_with(key.key_hash(), equal, || (key, 0))
                .0 += 1;
        }
    };
    let next = |table: &mut Table<u64, u64>, expect: bool| {
        table.freeze(Extent::Whole);
        if expect {
            table.expect_whole();
        }
        while !table.drain_frozen(1000, &mut Drained::default()) {}
    };
    change(&mut table, 0..count);
    assert!(!table.most_have_changed(), "it was filled");
    next(&mut table, false);
    assert!(!table.most_have_changed());
    // Whether or not changes of each entry are noted.
    for expect in [true, false, true] {
        change(&mut table, 0..count / 10);
        change(&mut table, 0..count / 10);
        assert!(!table.most_have_changed(), "twice the same tenth");
        change(&mut table, 0..count);
        assert!(table.most_have_changed());
        next(&mut table, expect);
        assert!(!table.most_have_changed());
    }
}
