//! Going over a table in steps of the caller's choosing: reading all entries, or taking them out.
//!
//! What fires a window emits while there is room downstream, and goes on later where it was. So the
//! visitor says after each entry whether to go on, and the bookmark is a value that the caller keeps.
//! Entries come in the order of their segments' hash ranges and, within a segment, of their groups: as
//! they lie in memory, and one word of tags tells all entries of a group.

#![expect(
    unsafe_code,
    reason = "reads entries, and moves them out, that their tags vouch for"
)]

use std::mem::needs_drop;

use super::group::{SLOTS_MAX, Tags};
use super::keyed::Table;
use super::layout::Entry;
use crate::record::KeyHash;

/// Where a [`Table::scan`] or a [`Table::take_while`] stands.
#[derive(Debug, Clone, Copy, Default)]
pub struct Bookmark {
    /// The segment that comes now begins at this hash.
    position: u64,
    group: usize,
    /// Slots of the group before this one are read.
    slot: usize,
}

/// A step ends after so many groups, even if nobody has ended it: empty memory takes its time too.
const GROUPS_PER_STEP: usize = 4096;

impl<K, V> Table<K, V> {
    /// Calls `visit` with the entries from `bookmark` on until it says `false`, or for a bounded time.
    /// Returns whether that was all: then `bookmark` is at the start again.
    ///
    /// Between the steps of one reading the table must stay as it is, or entries may be missed.
    #[inline]
    pub fn scan(&self, bookmark: &mut Bookmark, mut visit: impl FnMut(&K, &V) -> bool) -> bool {
        let mut groups_left = GROUPS_PER_STEP;
        loop {
            let segment = self.directory.segment(KeyHash(bookmark.position));
            let count = if segment.len() == 0 {
                0
            } else {
                segment.group_count()
            };
            while bookmark.group < count {
                if groups_left == 0 {
                    return false;
                }
                groups_left -= 1;
                let group = segment.group(bookmark.group);
                for slot in from(group.tags(), bookmark.slot).occupied() {
                    // SAFETY: an occupied slot holds an entry; nothing changes while it is borrowed.
                    let Entry { key, value } = unsafe { group.entry(slot).as_ref() };
                    if !visit(key, value) {
                        bookmark.slot = slot + 1;
                        return false;
                    }
                }
                bookmark.group += 1;
                bookmark.slot = 0;
            }
            if self.next_segment(bookmark) {
                return true;
            }
        }
    }

    /// Takes entries out, from `bookmark` on, and gives them to `take` until it says `false`, or for a
    /// bounded time. Returns whether the table is empty: then `bookmark` is at the start again.
    ///
    /// The memory stays, and so does the shape: filling up again needs no splits. Between the steps of
    /// one emptying the table must stay as it is.
    ///
    /// # Panics
    /// When the table tracks changes: there is no note of what is taken.
    #[inline]
    pub fn take_while(
        &mut self,
        bookmark: &mut Bookmark,
        mut take: impl FnMut(K, V) -> bool,
    ) -> bool {
        assert!(
            !self.changes.tracked(),
            "taking all entries leaves no notes of it"
        );
        let mut groups_left = GROUPS_PER_STEP;
        loop {
            let segment = self.directory.segment_mut(KeyHash(bookmark.position));
            let count = if segment.len() == 0 {
                0
            } else {
                segment.group_count()
            };
            while bookmark.group < count {
                if groups_left == 0 {
                    return false;
                }
                groups_left -= 1;
                let group = segment.group(bookmark.group);
                let mut tags = group.tags();
                let mut taken = 0;
                let mut go_on = true;
                for slot in tags.occupied() {
                    // SAFETY: the slot holds an entry. What is to be dropped loses its tag at once, so
                    // nothing reads it again; of anything else a copy does no harm, should `take` panic.
                    let Entry { key, value } = unsafe { group.entry(slot).read() };
                    if needs_drop::<Entry<K, V>>() {
                        tags = tags.without(slot);
                        group.set_tags(tags);
                        segment.write_header().len -= 1;
                        self.len -= 1;
                    } else {
                        taken += 1;
                    }
                    if !take(key, value) {
                        tags = from(tags, slot + 1);
                        go_on = false;
                        break;
                    }
                }
                segment.write_header().len -= taken;
                self.len -= taken as usize;
                if !go_on {
                    group.set_tags(tags);
                    return false;
                }
                group.set_tags(Tags(0));
                bookmark.group += 1;
            }
            if self.next_segment(bookmark) {
                return true;
            }
        }
    }

    /// Goes on to the next segment; `true` after the last one.
    fn next_segment(&self, bookmark: &mut Bookmark) -> bool {
        let next = self.directory.after(bookmark.position);
        *bookmark = Bookmark {
            position: next.unwrap_or(0),
            ..Bookmark::default()
        };
        next.is_none()
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
    use crate::state::TableOptions;

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
                    let all = table.take_while(&mut bookmark, |key, value| {
                        assert_eq!(value.0, key);
                        assert!(!std::mem::replace(&mut seen[key as usize], true));
                        left -= 1;
                        left > 0
                    });
                    assert_eq!(before - table.len(), step - left);
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

    #[test]
    fn plain_entries_are_emptied_in_steps_too() {
        for keys in SIZES {
            let mut table = table(keys, |key| key);
            let (mut bookmark, mut sum) = (Bookmark::default(), 0);
            while !table.take_while(&mut bookmark, |key, _| {
                sum += key;
                key % 3 > 0
            }) {}
            assert!(table.is_empty());
            assert_eq!(sum, (0..keys).sum::<u64>());
        }
    }
}
