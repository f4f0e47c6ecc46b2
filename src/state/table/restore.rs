//! Restoring: applying entries and removals from a checkpoint, which do not count as changes.
//!
//! Restored entries carry no mark, so that the first freeze of [`Extent::Changes`] afterwards covers what has changed
//! since. Entries come in no particular order, some as they were drained, some as they were copied before that, so the
//! cache lines of each are prefetched some entries ahead.
//!
//! [`Extent::Changes`]: super::Extent::Changes

#![expect(unsafe_code, reason = "writes through a place just found")]

use super::key::TableKey;
use super::keyed::{Lookahead, Table};
use super::layout::Entry;
use crate::record::KeyHash;

impl<K: TableKey + Eq, V> Table<K, V> {
    /// Sets a key's value from a checkpoint: this is not a change, and hides no earlier one.
    ///
    /// Fastest into a table that was created for this many keys.
    ///
    /// # Panics
    /// If a generation is frozen: a table must be restored before it is used.
    #[inline]
    pub fn restore_entry(&mut self, hash: KeyHash, key: K, value: V) {
        self.assert_not_frozen();
        match self.directory.find(hash, |stored| *stored == key) {
            // SAFETY: the place was just found, and it holds an entry.
            Some(place) => unsafe { *place.value().as_mut() = value },
            None => self.restore_absent(hash, Entry { key, value }),
        }
    }

    /// Sets the values of several keys, see [`Table::restore_entry`], and keeps the memory of `entries`. Their first
    /// cache lines should have been prefetched.
    pub(in crate::state) fn restore_entries(&mut self, entries: &mut Vec<(KeyHash, K, V)>) {
        for (hash, ..) in &*entries {
            self.prefetch(*hash, Lookahead::Near);
        }
        for (hash, key, value) in entries.drain(..) {
            self.restore_entry(hash, key, value);
        }
    }

    fn restore_absent(&mut self, hash: KeyHash, entry: Entry<K, V>) {
        let mut segment = self.directory.segment_mut(hash);
        if segment.is_full() {
            segment = self.directory.roomy_segment(hash, &mut self.changes);
        }
        self.len += 1;
        segment.adopt(hash, entry, false, &mut self.changes);
        self.directory.notice_strays(&segment);
    }
}

impl<K, V> Table<K, V> {
    /// Removes the key that `equal` accepts, as recorded in a checkpoint: this is not a change. Returns whether the key
    /// existed.
    ///
    /// # Panics
    /// If a generation is frozen: a table must be restored before it is used.
    pub fn restore_removal(&mut self, hash: KeyHash, equal: impl FnMut(&K) -> bool) -> bool {
        self.assert_not_frozen();
        let Some(place) = self.directory.find(hash, equal) else {
            return false;
        };
        let mut segment = self.directory.segment_mut(hash);
        // SAFETY: the place was just found in this segment by this hash.
        drop(unsafe { segment.remove_unlogged(hash, place) });
        self.len -= 1;
        true
    }

    #[inline]
    fn assert_not_frozen(&self) {
        assert!(
            self.changes.frozen.is_none(),
            "a generation is frozen: tables are restored before they are used"
        );
    }
}
