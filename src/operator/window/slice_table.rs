//! Slice tables: one keyed table per slice, from a pool.

use crate::record::{Key, KeyHash, StoredKey};
use crate::state::{Cursor, MemoryMode, Table, TableKey, TableOptions};

/// A key as slice tables store it: with its hash, so that merging tables hashes nothing, and so that the
/// order of entries is that of key groups under every key-group assignment.
pub(super) struct HashedKey<K: Key + ?Sized> {
    pub(super) hash: KeyHash,
    pub(super) stored: K::Stored,
}

impl<K: Key + ?Sized> Clone for HashedKey<K> {
    #[inline(always)]
    fn clone(&self) -> Self {
        HashedKey {
            hash: self.hash,
            stored: self.stored.clone(),
        }
    }
}

impl<K: Key + ?Sized> TableKey for HashedKey<K> {
    #[inline(always)]
    fn key_hash(&self) -> KeyHash {
        self.hash
    }
}

/// The accumulators of one slice, by key.
pub(super) type SliceTable<K, A> = Table<HashedKey<K>, A>;

/// Names a table of a pool.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct TableId(u32);

/// All tables of a window operator: those in use, and empty ones that keep their memory for the slices to
/// come, so that a stream of even slices allocates nothing.
pub(super) struct TablePool<K: Key + ?Sized, A> {
    tables: Vec<SliceTable<K, A>>,
    free: Vec<TableId>,
}

/// How many entries are merged before the worker gets a chance to do something else.
///
/// A table has no cursor for reading, so going on costs passing over what was read: large steps.
const MERGE_STEP: usize = 1 << 15;

/// Tables with fewer keys than this ask for no huge pages: there may be thousands of them.
const SMALL_KEYS: usize = 1 << 16;

fn new_table<K: Key + ?Sized, A>(expected_keys: usize) -> SliceTable<K, A> {
    let memory = if expected_keys < SMALL_KEYS {
        MemoryMode::SmallPages
    } else {
        MemoryMode::HugePages
    };
    Table::new(TableOptions {
        expected_keys,
        memory,
        ..TableOptions::default()
    })
}

impl<K: Key + ?Sized, A> TablePool<K, A> {
    pub(super) fn new() -> Self {
        TablePool {
            tables: Vec::new(),
            free: Vec::new(),
        }
    }

    /// An empty table; a new one has room for so many keys.
    pub(super) fn take(&mut self, expected_keys: usize) -> TableId {
        self.free.pop().unwrap_or_else(|| {
            self.tables.push(new_table(expected_keys));
            TableId(self.tables.len() as u32 - 1)
        })
    }

    /// Gives an empty table back.
    pub(super) fn release(&mut self, id: TableId) {
        debug_assert!(self.get(id).is_empty() && !self.free.contains(&id));
        // No more spare tables than used ones: after a peak the memory goes back.
        if self.free.len() > self.tables.len() / 2 {
            *self.get_mut(id) = new_table(0);
        }
        self.free.push(id);
    }

    #[inline(always)]
    pub(super) fn get(&self, id: TableId) -> &SliceTable<K, A> {
        &self.tables[id.0 as usize]
    }

    #[inline(always)]
    pub(super) fn get_mut(&mut self, id: TableId) -> &mut SliceTable<K, A> {
        &mut self.tables[id.0 as usize]
    }

    /// The entries of all tables and the bytes that they take.
    pub(super) fn size(&self) -> (usize, usize) {
        let sizes = self.tables.iter().map(|t| (t.len(), t.memory_bytes()));
        sizes.fold((0, 0), |(n, b), (entries, bytes)| (n + entries, b + bytes))
    }

    /// How many tables there are.
    pub(super) fn count(&self) -> usize {
        self.tables.len()
    }

    /// Drops some entries of a table, which is of no use any more; releases it once it is empty.
    pub(super) fn discard_some(
        &mut self,
        id: TableId,
        cursor: &mut Cursor,
        entries: usize,
    ) -> bool {
        let empty = self.get_mut(id).drain_some(cursor, entries, |_, _| ());
        if empty {
            self.release(id);
        }
        empty
    }
}

impl<K: Key + ?Sized, A: Clone> TablePool<K, A> {
    /// Merges some entries of one table, those from `position` on, into another one. Returns how many;
    /// then `position` is after them, or `None` at the end.
    pub(super) fn merge_some(
        &mut self,
        from: TableId,
        into: TableId,
        position: &mut Option<usize>,
        merge: impl Fn(&mut A, &A),
    ) -> usize {
        let [from, into] = self
            .tables
            .get_disjoint_mut([from.0 as usize, into.0 as usize])
            .expect("a table is not merged into itself");
        let start = position.unwrap_or(0);
        for (key, accumulator) in from.iter().skip(start).take(MERGE_STEP) {
            merge_entry(into, key, accumulator, &merge);
        }
        let merged = (from.len() - start).min(MERGE_STEP);
        *position = (start + merged < from.len()).then_some(start + merged);
        merged
    }
}

#[inline(always)]
fn merge_entry<K: Key + ?Sized, A: Clone>(
    into: &mut SliceTable<K, A>,
    key: &HashedKey<K>,
    accumulator: &A,
    merge: impl Fn(&mut A, &A),
) {
    let (merged, inserted) = into.find_or_insert_with(
        key.hash,
        |other| other.stored.key() == key.stored.key(),
        || (key.clone(), accumulator.clone()),
    );
    if !inserted {
        merge(merged, accumulator);
    }
}
