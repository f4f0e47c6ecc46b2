//! Slice tables: what each key has accumulated in one slice, and the pool that they come from.

use std::ops::RangeInclusive;

use crate::operator::OpenContext;
use crate::operator::key_context::Keys;
use crate::record::{Key, KeyHash, KeyHasher, KeySelector, StoredKey};
use crate::state::{Bookmark, EncodeChange, MemoryMode, RunKeys, Table, TableOptions};
use crate::time::Timestamp;

use super::sketch::Sketch;

/// What all tables of an operator have in common.
#[derive(Clone, Debug)]
pub(super) struct TableShape {
    pub(super) hasher: KeyHasher,
    /// The hashes of the keys that the subtask owns.
    hashes: RangeInclusive<KeyHash>,
}

impl TableShape {
    pub(super) fn of(cx: &OpenContext) -> Self {
        TableShape {
            hasher: cx.hasher,
            hashes: cx.hashes(),
        }
    }

    /// The shape for an operator that receives records of keys that other subtasks own.
    pub(super) fn of_all_keys(cx: &OpenContext) -> Self {
        TableShape {
            hasher: cx.hasher,
            ..TableShape::default()
        }
    }
}

impl Default for TableShape {
    fn default() -> Self {
        TableShape {
            hasher: KeyHasher::default(),
            hashes: KeyHash(0)..=KeyHash(u64::MAX),
        }
    }
}

/// The accumulators of one slice, or of several that were merged, by key.
pub(super) struct SliceTable<K: Key + ?Sized, A> {
    pub(super) entries: Table<K::Stored, A>,
    /// Present if windows have several slices.
    pub(super) sketch: Option<Sketch>,
}

/// Tables with fewer keys than this request no huge pages: there may be thousands of them.
const SMALL_KEYS: usize = 1 << 16;

impl<K: Key + ?Sized, A> SliceTable<K, A> {
    /// Creates an empty table with room for `keys` keys.
    fn new(
        shape: &TableShape,
        sketched: bool,
        keys: usize,
        changes: Option<EncodeChange<K::Stored, A>>,
    ) -> Self {
        let memory = if keys < SMALL_KEYS {
            MemoryMode::SmallPages
        } else {
            MemoryMode::HugePages
        };
        let options = TableOptions {
            expected_keys: keys,
            restored_keys: 0,
            hasher: shape.hasher,
            hashes: shape.hashes.clone(),
            memory,
            changes,
        };
        let mut table = SliceTable {
            entries: Table::new(options),
            sketch: sketched.then(Sketch::default),
        };
        table.forget(keys);
        table
    }

    /// Forgets the keys, once the entries are gone; `keys` new ones are expected.
    fn forget(&mut self, keys: usize) {
        if let Some(sketch) = &mut self.sketch {
            sketch.clear(keys);
        }
    }

    pub(super) fn memory_bytes(&self) -> usize {
        let sketch = self.sketch.as_ref().map_or(0, Sketch::memory_bytes);
        self.entries.memory_bytes() + sketch
    }

    /// Returns the accumulator of a key, and whether `create` has just created it.
    #[inline(always)]
    pub(super) fn accumulator(
        &mut self,
        hash: KeyHash,
        key: &K,
        create: impl FnOnce() -> A,
    ) -> (&mut A, bool) {
        let sketch = &mut self.sketch;
        let equal = |stored: &K::Stored| stored.is(key);
        self.entries.find_or_insert_with(hash, equal, || {
            note(sketch, hash);
            (key.to_stored(), create())
        })
    }

    /// Has `add` add records to the accumulators of their keys; `create` creates missing ones.
    #[inline(always)]
    pub(super) fn accumulate<'a, V, S, F>(
        &mut self,
        keys: &Keys<'a, V, S>,
        mut records: impl Iterator<Item = (&'a V, Timestamp)>,
        function: &mut F,
        create: impl Fn(&F) -> A,
        add: impl Fn(&mut F, &mut A, &V),
    ) where
        V: ?Sized,
        S: KeySelector<V, Key = K>,
    {
        let sketch = &mut self.sketch;
        let first = |function: &mut F, record: &(&V, Timestamp)| {
            note(sketch, keys.hash(record));
            create(function)
        };
        let each =
            |function: &mut F, (record, _): (&V, Timestamp), (accumulator, _): (&mut A, bool)| {
                add(function, accumulator, record);
                true
            };
        (self.entries).upsert_run((keys, function), &mut records, first, each);
    }

    /// Restores an entry from a checkpoint.
    pub(super) fn restore(&mut self, hash: KeyHash, key: K::Stored, accumulator: A) {
        let before = self.entries.len();
        self.entries.restore_entry(hash, key, accumulator);
        if self.entries.len() > before {
            note(&mut self.sketch, hash);
        }
    }

    /// Merges what a key has accumulated elsewhere.
    #[inline(always)]
    pub(super) fn merge(
        &mut self,
        hash: KeyHash,
        key: &K::Stored,
        accumulator: &A,
        merge: impl Fn(&mut A, &A),
    ) where
        A: Clone,
    {
        let sketch = &mut self.sketch;
        let equal = |stored: &K::Stored| stored == key;
        let (merged, is_new) = self.entries.find_or_insert_with(hash, equal, || {
            note(sketch, hash);
            (key.clone(), accumulator.clone())
        });
        if !is_new {
            merge(merged, accumulator);
        }
    }
}

/// Adds a key to the sketch, if there is one.
#[cold]
#[inline(never)]
fn note(sketch: &mut Option<Sketch>, hash: KeyHash) {
    if let Some(sketch) = sketch {
        sketch.insert(hash);
    }
}

/// Identifies a table of a pool.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct TableId(u32);

/// All tables of a window operator: those in use, and empty ones that keep their memory for future slices,
/// so that a stream of even slices allocates nothing. Slices have spare tables of their own, and so
/// does every level of nodes: a table made for a thousand slices would suit a single one badly.
pub(super) struct TablePool<K: Key + ?Sized, A> {
    #[expect(
        clippy::vec_box,
        reason = "the current slice's table changes places with another"
    )]
    tables: Vec<Box<SliceTable<K, A>>>,
    /// Spare tables by level.
    free: Vec<Vec<TableId>>,
    /// Spare tables that gave back their memory.
    bare: Vec<TableId>,
    pub(super) shape: TableShape,
    /// Whether tables have sketches.
    sketched: bool,
    /// How the tables of slices encode their changes, if checkpoints are enabled.
    pub(super) changes: Option<EncodeChange<K::Stored, A>>,
    /// Tables released while they owed something to a checkpoint, and how many keys they had.
    owing: Vec<(TableId, usize)>,
    /// The size of all tables, unless one may have changed since it was measured.
    size: Option<(usize, usize)>,
}

/// A table with this many times the memory that its keys needed is replaced.
const SLACK_MAX: usize = 16;
/// Less memory than this is never too much.
const SLACK_FREE: usize = 256 << 10;

impl<K: Key + ?Sized, A> TablePool<K, A> {
    pub(super) fn new(shape: TableShape, sketched: bool) -> Self {
        TablePool {
            tables: Vec::new(),
            free: Vec::new(),
            bare: Vec::new(),
            shape,
            sketched,
            changes: None,
            owing: Vec::new(),
            size: None,
        }
    }

    /// Creates an empty table for a level. Nodes are never part of a checkpoint.
    fn make(&self, level: u32, keys: usize) -> SliceTable<K, A> {
        let changes = self.changes.filter(|_| level == 0);
        SliceTable::new(&self.shape, self.sketched, keys, changes)
    }

    /// Creates an empty table that belongs to no slice.
    pub(super) fn fresh(&self) -> Box<SliceTable<K, A>> {
        Box::new(SliceTable::new(&self.shape, false, 0, None))
    }

    /// Returns an empty table for a level; a new one reserves room for `keys` keys.
    pub(super) fn take(&mut self, level: u32, keys: usize) -> TableId {
        while self.free.len() <= level as usize {
            self.free.push(Vec::new());
        }
        if let Some(id) = self.free[level as usize].pop() {
            self.get_mut(id).forget(keys);
            return id;
        }
        let table = self.make(level, keys);
        if let Some(id) = self.bare.pop() {
            **self.get_mut(id) = table;
            return id;
        }
        self.tables.push(Box::new(table));
        self.size = None;
        TableId(self.tables.len() as u32 - 1)
    }

    /// Releases an empty table that had `keys` keys. One that owes something to a checkpoint is held until that is
    /// written.
    pub(super) fn release(&mut self, level: u32, id: TableId, keys: usize) {
        debug_assert!(self.get(id).entries.is_empty());
        if self.get(id).entries.is_frozen() {
            return self.owing.push((id, keys));
        }
        // Spare tables must not outnumber used ones, and none may be much too large: after a peak the memory
        // is freed.
        let spare: usize = self.free.iter().map(Vec::len).sum();
        let used = self.tables.len() - self.bare.len() - spare;
        if spare > used {
            **self.get_mut(id) = self.make(level, 0);
            return self.bare.push(id);
        }
        let needed = SLACK_FREE + SLACK_MAX * keys * size_of::<(K::Stored, A)>();
        if self.get(id).memory_bytes() > needed {
            **self.get_mut(id) = self.make(level, keys);
        }
        self.free[level as usize].push(id);
    }

    /// Notes that a table owes nothing any more: if it has been released, it becomes available.
    pub(super) fn release_drained(&mut self, id: TableId) {
        if let Some(at) = self.owing.iter().position(|(owing, _)| *owing == id) {
            let (_, keys) = self.owing.swap_remove(at);
            self.release(0, id, keys);
        }
    }

    /// Empties the table of a slice and releases it.
    pub(super) fn discard(&mut self, id: TableId) {
        let keys = self.get(id).entries.len();
        let mut bookmark = Bookmark::default();
        while !self.discard_some(id, &mut bookmark, usize::MAX) {}
        self.release(0, id, keys);
    }

    /// Merges the restored entries of one table into another one.
    pub(super) fn restore_from(&mut self, from: TableId, into: TableId, merge: impl Fn(&mut A, &A))
    where
        A: Clone,
    {
        let hasher = self.shape.hasher;
        let [from, into] = self.two_mut(from, into);
        for (key, accumulator) in &from.entries {
            let hash = hasher.hash(key.key());
            let known = into.entries.get(hash, |stored| stored == key);
            let accumulator = match known.cloned() {
                None => accumulator.clone(),
                Some(mut known) => {
                    merge(&mut known, accumulator);
                    known
                }
            };
            into.restore(hash, key.clone(), accumulator);
        }
    }

    #[inline(always)]
    pub(super) fn get(&self, id: TableId) -> &SliceTable<K, A> {
        &self.tables[id.0 as usize]
    }

    #[inline(always)]
    pub(super) fn get_mut(&mut self, id: TableId) -> &mut Box<SliceTable<K, A>> {
        self.size = None;
        &mut self.tables[id.0 as usize]
    }

    /// Returns two different tables.
    fn two_mut(&mut self, one: TableId, other: TableId) -> [&mut Box<SliceTable<K, A>>; 2] {
        self.size = None;
        let both = [one.0 as usize, other.0 as usize];
        let both = self.tables.get_disjoint_mut(both);
        both.expect("a table is not merged into itself")
    }

    /// Returns the number of entries of all tables and the bytes that they take. Measuring visits every table, so the
    /// result is kept until one may have changed: most turns of a subtask change only the current slice's.
    pub(super) fn size(&mut self) -> (usize, usize) {
        *self.size.get_or_insert_with(|| {
            let sizes = self.tables.iter();
            let sizes = sizes.map(|table| (table.entries.len(), table.memory_bytes()));
            sizes.fold((0, 0), |(n, b), (entries, bytes)| (n + entries, b + bytes))
        })
    }

    /// Returns how many tables there are.
    pub(super) fn count(&self) -> usize {
        self.tables.len()
    }

    /// Merges up to `limit` entries of one table, from the bookmark on, into another one. Returns
    /// how many, and whether those were the last.
    pub(super) fn merge_some(
        &mut self,
        (from, into): (TableId, TableId),
        bookmark: &mut Bookmark,
        limit: usize,
        merge: impl Fn(&mut A, &A),
    ) -> (usize, bool)
    where
        A: Clone,
    {
        let hasher = self.shape.hasher;
        let [from, into] = self.two_mut(from, into);
        let mut merged = 0;
        let all = from.entries.scan(bookmark, |key, accumulator| {
            into.merge(hasher.hash(key.key()), key, accumulator, &merge);
            merged += 1;
            merged < limit
        });
        (merged, all)
    }

    /// Drops up to `limit` entries of a table. Returns whether it is empty.
    pub(super) fn discard_some(
        &mut self,
        id: TableId,
        bookmark: &mut Bookmark,
        limit: usize,
    ) -> bool {
        let mut left = limit;
        self.get_mut(id).entries.walk(bookmark, true, |_, _| {
            left -= 1;
            left > 0
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: u64 = 1000;

    /// Takes a table and fills it; returns it, and how many bytes it had before.
    fn fill(pool: &mut TablePool<u64, u64>) -> (TableId, usize) {
        let id = pool.take(0, KEYS as usize);
        let table = pool.get_mut(id);
        let bytes = table.memory_bytes();
        for key in 0..KEYS {
            let hash = KeyHasher::default().hash(&key);
            table.accumulator(hash, &key, || 0);
        }
        (id, bytes)
    }

    #[test]
    fn after_a_peak_memory_is_freed_and_no_table_starts_small() {
        let mut pool = TablePool::new(TableShape::default(), false);
        let mut used: Vec<_> = (0..20).map(|_| fill(&mut pool).0).collect();
        let full = pool.get(used[0]).memory_bytes();
        for slice in 0..100 {
            pool.discard(used.remove(0));
            if slice >= 17 {
                let (id, bytes) = fill(&mut pool);
                assert_eq!(bytes, full, "slice {slice} would grow its table");
                used.push(id);
            }
        }
        assert_eq!(used.len(), 3);
        assert!(pool.size().1 < 10 * full, "{} tables", pool.count());
    }
}
