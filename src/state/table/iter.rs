//! Iteration over a table: by segment, or in the exact order of hashes, which is that of key groups.

#![expect(unsafe_code, reason = "reads entries that their tags vouch for")]

use std::fmt;

use super::key::TableKey;
use super::keyed::Table;
use super::layout::GroupEntries;
use crate::record::KeyHash;

/// All entries of a table, in the order of their segments' hash ranges.
pub struct Iter<'a, K, V> {
    table: &'a Table<K, V>,
    /// A hash in the segment that comes next.
    position: Option<u64>,
    /// The group after the one whose remaining entries are in `entries`.
    group: usize,
    entries: Option<GroupEntries<'a, K, V>>,
}

impl<K, V> fmt::Debug for Iter<'_, K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Iter")
            .field("position", &self.position)
            .finish_non_exhaustive()
    }
}

impl<'a, K, V> Iterator for Iter<'a, K, V> {
    type Item = (&'a K, &'a V);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let position = self.position?;
            let segment = self.table.directory.segment(KeyHash(position));
            if let Some(entry) = self.entries.as_mut().and_then(Iterator::next) {
                return Some(entry);
            }
            if self.group < segment.group_count() {
                let group = segment.group(self.group);
                // SAFETY: occupied slots hold entries; nothing changes while the table is borrowed.
                self.entries = Some(unsafe { group.entries(group.tags().occupied()) });
                self.group += 1;
            } else {
                self.group = 0;
                self.position = self.table.directory.after(position);
            }
        }
    }
}

impl<K, V> Table<K, V> {
    /// Iterates over all entries. Segments come in the order of their hash ranges; within one there is no order.
    pub fn iter(&self) -> Iter<'_, K, V> {
        Iter {
            table: self,
            position: Some(0),
            group: 0,
            entries: None,
        }
    }

    /// Removes all entries. The memory and the shape are kept: filling the table again needs no splits.
    ///
    /// If changes are tracked, this is a removal of every key.
    pub fn clear(&mut self) {
        let mut position = Some(0);
        while let Some(start) = position {
            let mut segment = self.directory.segment_mut(KeyHash(start));
            for index in 0..segment.group_count() {
                segment.remove_group(index, &mut self.changes, |_| self.len -= 1);
            }
            segment.reset_overflow();
            position = self.directory.after(start);
        }
    }
}

impl<K: TableKey, V> Table<K, V> {
    /// Keeps only the entries for which `keep` returns `true`. Calling it marks nothing as changed.
    pub fn retain(&mut self, mut keep: impl FnMut(&K, &V) -> bool) {
        let hasher = self.directory.hasher;
        let mut position = Some(0);
        while let Some(start) = position {
            let mut segment = self.directory.segment_mut(KeyHash(start));
            for index in 0..segment.group_count() {
                for slot in segment.occupied(index) {
                    let entry = segment.entry(index, slot);
                    if !keep(&entry.key, &entry.value) {
                        let hash = entry.key.hash_under(&hasher);
                        self.len -= 1;
                        drop(segment.remove_at(hash, index, slot, &mut self.changes));
                    }
                }
            }
            position = self.directory.after(start);
        }
    }
}

impl<'a, K, V> IntoIterator for &'a Table<K, V> {
    type Item = (&'a K, &'a V);
    type IntoIter = Iter<'a, K, V>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
