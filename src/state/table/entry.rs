//! Insertion and removal of a segment's entries.
//!
//! An insertion takes the first free slot, starting at the home group, and counts its passage in every full group on
//! the way; a removal takes the passage back. Moves between segments keep an entry's mark.

#![expect(
    unsafe_code,
    reason = "entries live in uninitialised memory, found by tags"
)]

use std::ptr::NonNull;

use super::change::Changes;
use super::group::{Slots, Tag};
use super::handle::{steps, way};
use super::key::TableKey;
use super::layout::{Entry, Group, Place};
use super::segment::Segment;
use crate::record::{KeyHash, KeyHasher};

impl<K, V> Segment<K, V> {
    /// The occupied slots of a group.
    pub(super) fn occupied(&self, index: usize) -> Slots {
        assert!(index < self.group_count());
        self.group(index).tags().occupied()
    }

    /// The entry of an occupied slot.
    pub(super) fn entry(&self, index: usize, slot: usize) -> &Entry<K, V> {
        assert!(self.occupied(index).contains(slot));
        // SAFETY: an occupied slot of a group in range holds an entry, borrowed like the handle.
        unsafe { self.group(index).entry(slot).as_ref() }
    }

    /// Whether the entry in this slot was changed in the current generation.
    pub(super) fn is_changed(&self, index: usize, slot: usize, changes: &Changes<K, V>) -> bool {
        changes.tracked() && self.group(index).generation(slot) == changes.generation
    }

    /// Adds an entry whose key is not in the segment, marked as changed.
    pub(super) fn insert(
        &mut self,
        hash: KeyHash,
        entry: Entry<K, V>,
        changes: &mut Changes<K, V>,
    ) -> NonNull<V> {
        let place = self.free_place(hash);
        self.fill(&place, hash, entry);
        if changes.tracked() {
            self.change(place, changes);
        }
        place.value()
    }

    /// Adds an entry from elsewhere in the table: it stays marked as it was. Neither segment may owe anything to a
    /// frozen generation.
    pub(super) fn adopt(
        &mut self,
        hash: KeyHash,
        entry: Entry<K, V>,
        changed: bool,
        changes: &mut Changes<K, V>,
    ) {
        let place = self.free_place(hash);
        self.fill(&place, hash, entry);
        let marks = place.group.marks();
        place.group.set_marks(changes.owed().handed_out(marks));
        if changed {
            self.mark(place, changes);
        }
    }

    /// Moves the entries of a group to their homes at the segment's increased depth. Those groups must be empty, or be
    /// this one.
    pub(super) fn spread_group(
        &mut self,
        index: usize,
        hasher: &KeyHasher,
        changes: &mut Changes<K, V>,
    ) where
        K: TableKey,
    {
        for slot in self.occupied(index) {
            let hash = self.entry(index, slot).key.hash_under(hasher);
            if !self.is_home(hash, index) {
                let changed = self.is_changed(index, slot, changes);
                let entry = self.take(index, slot);
                self.adopt(hash, entry, changed, changes);
            }
        }
    }

    /// Returns a free slot for `hash` and counts its passage. There must be one.
    #[inline(always)]
    fn free_place(&mut self, hash: KeyHash) -> Place<K, V> {
        let (home, group) = self.home_group(hash);
        match group.tags().free(Group::<K, V>::SLOTS).first() {
            Some(slot) => Place { group, slot },
            None => self.free_place_further(home),
        }
    }

    /// Returns a free slot away from a full home.
    #[inline(never)]
    fn free_place_further(&mut self, home: usize) -> Place<K, V> {
        assert!(self.len() < self.group_count() * Group::<K, V>::SLOTS);
        let groups = self.group_count();
        for step in 0..groups {
            let group = self.group(way(home, step, groups));
            let tags = group.tags();
            if let Some(slot) = tags.free(Group::<K, V>::SLOTS).first() {
                self.counts_mut().strayed += 1;
                return Place { group, slot };
            }
            group.set_tags(tags.overflow_more());
        }
        unreachable!("a segment with a free slot has a group with a free slot")
    }

    /// Writes an entry into a free slot, which carries no mark.
    #[inline(always)]
    pub(super) fn fill(&mut self, place: &Place<K, V>, hash: KeyHash, entry: Entry<K, V>) {
        let group = place.group;
        // SAFETY: the slot is free, so it holds no entry, and the handle is held exclusively.
        unsafe { place.entry().write(entry) };
        group.set_tags(group.tags().with(place.slot, Tag::of(hash)));
        self.counts_mut().len += 1;
    }

    /// Removes the entry at `place` and takes its passage back.
    ///
    /// # Safety
    /// `place` must have been found by `hash` in this segment, with no entry inserted or removed since.
    pub(super) unsafe fn remove(
        &mut self,
        hash: KeyHash,
        place: Place<K, V>,
        changes: &mut Changes<K, V>,
    ) -> Entry<K, V> {
        self.hand_out_group(place.group, changes);
        // SAFETY: as the caller promises.
        let entry = unsafe { self.remove_unlogged(hash, place) };
        changes.log_removal(&entry.key);
        entry
    }

    /// As `remove`, if the removal is not a change and nothing is owed to a frozen generation.
    ///
    /// # Safety
    /// As for `remove`.
    pub(super) unsafe fn remove_unlogged(
        &mut self,
        hash: KeyHash,
        place: Place<K, V>,
    ) -> Entry<K, V> {
        let found = self.index_of(place.group);
        let home = self.home(hash);
        let groups = self.group_count();
        for step in 0..steps(home, found, groups) {
            let group = self.group(way(home, step, groups));
            group.set_tags(group.tags().overflow_less());
        }
        let strayed = u32::from(home != found);
        let counts = self.counts_mut();
        counts.strayed = counts.strayed.saturating_sub(strayed);
        self.take(found, place.slot)
    }

    /// Removes the entry of an occupied slot, whose key has this hash.
    pub(super) fn remove_at(
        &mut self,
        hash: KeyHash,
        index: usize,
        slot: usize,
        changes: &mut Changes<K, V>,
    ) -> Entry<K, V> {
        assert!(self.occupied(index).contains(slot));
        let place = Place {
            group: self.group(index),
            slot,
        };
        // SAFETY: the slot holds an entry. With a wrong hash only the overflow counts would become incorrect.
        unsafe { self.remove(hash, place, changes) }
    }

    /// Removes all entries of a group. As with `take`, the overflow counts stay.
    pub(super) fn remove_group(
        &mut self,
        index: usize,
        changes: &mut Changes<K, V>,
        mut removed: impl FnMut(Entry<K, V>),
    ) {
        let slots = self.occupied(index);
        if slots.first().is_some() {
            self.hand_out_group(self.group(index), changes);
        }
        for slot in slots {
            let entry = self.take(index, slot);
            changes.log_removal(&entry.key);
            removed(entry);
        }
    }

    /// Takes the entry out of an occupied slot. Its passage stays counted until the overflow counts are reset: searches
    /// then look further than necessary, but find everything.
    pub(super) fn take(&mut self, index: usize, slot: usize) -> Entry<K, V> {
        assert!(self.occupied(index).contains(slot));
        let group = self.group(index);
        group.set_tags(group.tags().without(slot));
        group.set_marks(group.marks().without(slot));
        self.counts_mut().len -= 1;
        // SAFETY: the slot held an entry; with its tag gone nothing reads it again.
        unsafe { group.entry(slot).read() }
    }

    /// Resets all overflow counts: valid only when every entry is at home.
    pub(super) fn reset_overflow(&mut self) {
        self.counts_mut().strayed = 0;
        for index in 0..self.group_count() {
            let group = self.group(index);
            group.set_tags(group.tags().without_overflow());
        }
    }

    /// Whether the group at `index` is the home of this hash.
    pub(super) fn is_home(&self, hash: KeyHash, index: usize) -> bool {
        self.home(hash) == index
    }

    /// Drops all entries.
    pub(super) fn drop_entries(&mut self) {
        for index in 0..self.group_count() {
            for slot in self.occupied(index) {
                drop(self.take(index, slot));
            }
        }
        self.reset_overflow();
    }
}
