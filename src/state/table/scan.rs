//! Traversal of a table in steps controlled by the caller: reading all entries, and dropping them.
//!
//! A firing window emits while there is room downstream, and resumes later where it stopped. So the visitor returns
//! after each entry whether to continue, and the bookmark is a value that the caller keeps. Entries come in the order
//! of their segments' hash ranges and, within a segment, of their groups: this is the order in memory, and one word of
//! tags describes all entries of a group.
//!
//! Gathering the entries of some groups first, without branching on which slots are occupied, and visiting them in a
//! separate loop was tried: firing windows took as long, or a tenth longer; on a first-generation EPYC a twentieth less. To
//! sort the gathered entries by whether their keys are in other slices, too, cost what it saved.

#![expect(
    unsafe_code,
    reason = "reads and drops entries that their tags vouch for"
)]

use std::mem::needs_drop;

use super::change::Changes;
use super::group::{SLOTS_MAX, Tags};
use super::keyed::Table;
use super::layout::Entry;
use super::segment::Segment;
use crate::record::KeyHash;

/// The position of a [`Table::scan`] or a [`Table::walk`].
#[derive(Debug, Clone, Copy, Default)]
pub struct Bookmark {
    /// The current segment begins at this hash.
    position: u64,
    group: usize,
    /// Slots of the group before this one have been read.
    slot: usize,
}

/// A step ends after this many groups, even if the visitor has not ended it: scanning empty memory takes time, too.
const GROUPS_PER_STEP: usize = 4096;

impl<K, V> Table<K, V> {
    /// Calls `visit` with the entries from `bookmark` on until it returns `false`, or for a bounded time. Returns
    /// whether that was all: then `bookmark` is back at the start.
    ///
    /// Between the steps of one scan the table must not change, or entries may be missed.
    #[inline]
    pub fn scan(&self, bookmark: &mut Bookmark, mut visit: impl FnMut(&K, &V) -> bool) -> bool {
        let mut groups_left = GROUPS_PER_STEP;
        loop {
            let segment = self.directory.segment(KeyHash(bookmark.position));
            if !segment.visit(bookmark, &mut groups_left, &mut visit) {
                return false;
            }
            if self.next_segment(bookmark) {
                return true;
            }
        }
    }

    /// As [`Table::scan`]; with `empty`, the entries of a group are dropped once all of them have been visited, so that
    /// none is left at the end. The memory and the shape are kept: filling the table again needs no splits.
    ///
    /// Entries of a frozen generation are handed out before they are dropped. The drop itself is not recorded: whoever
    /// empties a table that tracks changes reports separately that all of its entries are gone.
    #[inline]
    pub fn walk(
        &mut self,
        bookmark: &mut Bookmark,
        empty: bool,
        mut visit: impl FnMut(&K, &V) -> bool,
    ) -> bool {
        let mut groups_left = GROUPS_PER_STEP;
        loop {
            let mut segment = self.directory.segment_mut(KeyHash(bookmark.position));
            let first = bookmark.group;
            let is_through = segment.visit(bookmark, &mut groups_left, &mut visit);
            if empty {
                for group in first..bookmark.group {
                    self.len -= segment.drop_group(group, &mut self.changes);
                }
            }
            if !is_through {
                return false;
            }
            if self.next_segment(bookmark) {
                return true;
            }
        }
    }

    /// Advances to the next segment; returns `true` after the last one.
    fn next_segment(&self, bookmark: &mut Bookmark) -> bool {
        let next = self.directory.after(bookmark.position);
        *bookmark = Bookmark {
            position: next.unwrap_or(0),
            ..Bookmark::default()
        };
        next.is_none()
    }
}

impl<K, V> Segment<K, V> {
    /// Calls `visit` with the entries from `bookmark` on until it returns `false`, or no groups are left to visit in
    /// this step. Returns whether that was all.
    #[inline(always)]
    fn visit(
        &self,
        bookmark: &mut Bookmark,
        groups_left: &mut usize,
        visit: &mut impl FnMut(&K, &V) -> bool,
    ) -> bool {
        let first = bookmark.group;
        if self.len() == 0 || first >= self.group_count() {
            return true;
        }
        let groups = (self.group_count() - first).min(*groups_left);
        let mut group = self.group(first);
        // Ahead of the loop: a choice in it, for every group, costs as much as this loop saves.
        let mut tags = from(group.tags(), bookmark.slot);
        for index in 0..groups {
            for slot in tags.occupied() {
                // SAFETY: an occupied slot holds an entry; nothing changes while it is borrowed.
                let Entry { key, value } = unsafe { group.entry(slot).as_ref() };
                if !visit(key, value) {
                    bookmark.group = first + index;
                    bookmark.slot = slot + 1;
                    return false;
                }
            }
            if index + 1 < groups {
                // SAFETY: there is another group.
                group = unsafe { group.later(1) };
                tags = group.tags();
            }
        }
        bookmark.group += groups;
        bookmark.slot = 0;
        *groups_left -= groups;
        bookmark.group == self.group_count()
    }

    /// Drops all entries of a group; returns how many there were. Overflow counts are reset, too: all groups that a
    /// search would visit are emptied with this one. What is owed to a frozen generation is handed out.
    fn drop_group(&mut self, index: usize, changes: &mut Changes<K, V>) -> usize {
        let group = self.group(index);
        let slots = group.tags().occupied();
        if changes.tracked() {
            if changes.frozen.is_some() {
                self.hand_out_group(group, changes);
            }
            group.set_marks(group.marks().without_any());
        }
        // Done first: should a drop panic, nobody else drops an entry without a tag.
        group.set_tags(Tags(0));
        let mut count = 0;
        for slot in slots {
            if needs_drop::<Entry<K, V>>() {
                // SAFETY: the slot held an entry; with its tag gone nothing reads it again.
                unsafe { group.entry(slot).drop_in_place() };
            }
            count += 1;
        }
        let counts = self.counts_mut();
        counts.len -= count as u32;
        if counts.len == 0 {
            counts.strayed = 0;
        }
        count
    }
}

/// The tags of the slots from `slot` on, and the overflow count.
fn from(tags: Tags, slot: usize) -> Tags {
    debug_assert!(slot <= SLOTS_MAX);
    Tags(tags.0 & (u64::MAX << (8 * slot)))
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;
    use crate::record::Key;
    use crate::state::{Drained, EncodeChange, Extent, GroupEntries, TableOptions};

    fn table<V>(keys: u64, value: impl Fn(u64) -> V) -> Table<u64, V> {
        let mut table = Table::new(TableOptions::default());
        for key in 0..keys {
            table.find_or_insert_with(key.key_hash(), |k| *k == key, || (key, value(key)));
        }
        table
    }

    /// Sizes from one segment of two groups to several of full size.
    const SIZES: [u64; 5] = [0, 1, 9, 1000, if cfg!(miri) { 1500 } else { 40_000 }];

    #[test]
    fn a_reading_in_steps_sees_every_entry_once() {
        for (keys, step) in SIZES.into_iter().flat_map(|keys| [(keys, 1), (keys, 17)]) {
            let table = table(keys, |key| key + 1);
            let (mut bookmark, mut seen) = (Bookmark::default(), vec![0; keys as usize]);
            loop {
                let mut left = step;
                let all = table.scan(&mut bookmark, |&key, &value| {
                    assert_eq!(value, key + 1);
                    seen[key as usize] += 1;
                    left -= 1;
                    left > 0
                });
                if all {
                    break;
                }
            }
            assert!(seen.iter().all(|times| *times == 1), "{keys} keys");
        }
    }

    #[test]
    fn a_table_emptied_in_steps_can_be_filled_again() {
        for (keys, step) in SIZES.into_iter().flat_map(|keys| [(keys, 1), (keys, 17)]) {
            let witness = Rc::new(());
            let mut table = table(keys, |key| (key, Rc::clone(&witness)));
            for round in 1..3 {
                let (mut bookmark, mut seen) = (Bookmark::default(), vec![false; keys as usize]);
                loop {
                    let before = table.len();
                    let mut left = step;
                    let all = table.walk(&mut bookmark, true, |&key, value| {
                        assert_eq!(value.0, key);
                        assert!(!std::mem::replace(&mut seen[key as usize], true));
                        left -= 1;
                        left > 0
                    });
                    assert!(before - table.len() <= step - left + SLOTS_MAX);
                    if all {
                        break;
                    }
                }
                assert!(table.is_empty() && seen.iter().all(|seen| *seen));
                assert_eq!(Rc::strong_count(&witness), 1, "round {round}");
                for key in 0..keys {
                    let hash = key.key_hash();
                    assert!(table.get(hash, |k| *k == key).is_none());
                    let make = || (key, (key, Rc::clone(&witness)));
                    assert!(table.find_or_insert_with(hash, |k| *k == key, make).1);
                }
            }
            drop(table);
            assert_eq!(Rc::strong_count(&witness), 1);
        }
    }

    fn numbers(bytes: &[u8]) -> Vec<u64> {
        let (numbers, rest) = bytes.as_chunks();
        assert!(rest.is_empty());
        numbers.iter().map(|n| u64::from_le_bytes(*n)).collect()
    }

    #[test]
    fn what_was_frozen_is_handed_out_though_the_table_is_emptied() {
        let encode = EncodeChange {
            set: |entries: GroupEntries<u64, u64>, bytes: &mut Vec<u8>| {
                for (key, value) in entries {
                    bytes.extend((key * 1000 + value).to_le_bytes());
                }
            },
            removed: |key: &u64, bytes| bytes.extend(key.to_le_bytes()),
        };
        for (extent, fresh, drained_before) in [
            (Extent::Changes, 0..100, 0),
            (Extent::Changes, 0..100, 30),
            (Extent::Whole, 0..200, 0),
            (Extent::Whole, 0..200, 30),
        ] {
            let mut table = Table::<u64, u64>::new(TableOptions {
                changes: Some(encode),
                ..TableOptions::default()
            });
            let set = |table: &mut Table<u64, u64>, key: u64, value: u64| {
                let equal = |k: &u64| *k == key;
                *table
                    .find_or_insert_with(key.key_hash(), equal, || (key, 0))
                    .0 = value;
            };
            let mut drained = Drained::default();
            (100..200).for_each(|key| set(&mut table, key, 1));
            table.freeze(Extent::Changes);
            while !table.drain_frozen(1000, &mut drained) {}
            drained.clear();
            (0..100).for_each(|key| set(&mut table, key, 1));
            table.freeze(extent);
            table.drain_frozen(drained_before, &mut drained);
            (150..250).for_each(|key| set(&mut table, key, 2));
            let (mut bookmark, mut left) = (Bookmark::default(), 40);
            while !table.walk(&mut bookmark, true, |_, _| {
                left -= 1;
                left > 0
            }) {
                table.drain_frozen(1, &mut drained);
                left = 40;
            }
            assert!(table.is_empty() && table.is_frozen());
            while !table.drain_frozen(10, &mut drained) {}
            let mut found = numbers(&drained.set.to_bytes());
            found.sort_unstable();
            let expected: Vec<u64> = fresh.map(|key| key * 1000 + 1).collect();
            assert_eq!(found, expected, "{extent:?}");
            assert_eq!(drained.removed_count, 0);
            // It can be reused: nothing from before is left in it.
            drained.clear();
            (90..110).for_each(|key| set(&mut table, key, 3));
            table.freeze(Extent::Changes);
            while !table.drain_frozen(10, &mut drained) {}
            let mut found = numbers(&drained.set.to_bytes());
            found.sort_unstable();
            assert_eq!(
                found,
                (90..110).map(|key| key * 1000 + 3).collect::<Vec<_>>()
            );
        }
    }

    #[test]
    fn a_table_filled_and_emptied_again_and_again_does_not_grow() {
        let keys = if cfg!(miri) { 1500 } else { 40_000 };
        let mut table = Table::new(TableOptions::default());
        let mut bytes = 0;
        for round in 0..30 {
            // Keys as if at random: some of them do not find room at home.
            for key in (0..keys).map(|n: u64| n.wrapping_mul(0xD6E8_FEB8_6659_FD93).rotate_left(29))
            {
                table.find_or_insert_with(key.key_hash(), |k| *k == key, || (key, key));
            }
            if round == 0 {
                bytes = table.memory_bytes();
            }
            assert_eq!(table.memory_bytes(), bytes, "round {round}");
            while !table.walk(&mut Bookmark::default(), true, |_, _| true) {}
        }
    }

    #[test]
    fn plain_entries_are_emptied_in_steps_too() {
        for keys in SIZES {
            let mut table = table(keys, |key| key);
            let (mut bookmark, mut sum) = (Bookmark::default(), 0);
            while !table.walk(&mut bookmark, true, |key, _| {
                sum += key;
                key % 3 > 0
            }) {}
            assert!(table.is_empty());
            assert_eq!(sum, (0..keys).sum::<u64>());
        }
    }
}
