//! The directory: from the top bits of a hash to the segment that covers it, and how segments multiply.
//!
//! Extendible hashing. A table starts as one small segment, which doubles until it has full size; from
//! then on a full segment splits into two that cover a half of its range each. That moves at most the
//! entries of one segment, whatever the size of the table. When a segment's range is as fine as the
//! directory, the directory doubles first: a copy of its words. Segments that cover several directory
//! slots stand in each of them, so a table that sees only a few key groups has one fine and many coarse
//! ranges, and wastes nothing but directory words.
//!
//! A hash that does not spread its top bits would make the directory explode. So it never grows beyond a
//! multiple of the number of segments; then the full segment itself doubles, which costs a pause, but only
//! with such a hash.
//!
//! Invariant: the handles in the directory cover every hash, equal ones stand side by side in an aligned
//! run of `2^(bits − depth)`, and the directory hands out at most one of them for changes at a time.

#![expect(
    unsafe_code,
    reason = "owns the segments' blocks and their aliased handles"
)]

use super::change::Changes;
use super::key::TableKey;
use super::memory::Arena;
use super::segment::{Entry, Segment};
use crate::record::KeyHash;

const SMALLEST_LOG2: u32 = 1;
const SLOTS_FREELY: usize = 4096;
const SLOTS_PER_SEGMENT_MAX: usize = 64;
/// The group of an entry is chosen by the 32 bits below these.
const DEPTH_MAX: u32 = 32;

/// All segments of a table.
pub(super) struct Directory<K, V> {
    /// At least two, so that the shift below is less than the width of a hash.
    slots: Vec<Segment<K, V>>,
    shift: u32,
    segments: usize,
    arena: Arena,
    /// How often the shape changed: tells a cursor that groups are not where they were.
    shape: u64,
}

// SAFETY: the directory owns its blocks and the entries in them, as a `Vec` owns its buffer.
unsafe impl<K: Send, V: Send> Send for Directory<K, V> {}
// SAFETY: nothing changes under `&self`.
unsafe impl<K: Sync, V: Sync> Sync for Directory<K, V> {}

impl<K, V> Directory<K, V> {
    pub(super) fn new(arena: Arena) -> Self {
        let mut directory = Directory {
            slots: Vec::new(),
            shift: 63,
            segments: 0,
            arena,
            shape: 0,
        };
        let segment = directory.segment_of_size(SMALLEST_LOG2, 0);
        // SAFETY: both handles belong to this directory.
        directory.slots.push(unsafe { segment.alias() });
        directory.slots.push(segment);
        directory
    }

    #[inline(always)]
    fn slot(&self, hash: KeyHash) -> usize {
        (hash.0 >> self.shift) as usize
    }

    #[inline(always)]
    pub(super) fn segment(&self, hash: KeyHash) -> &Segment<K, V> {
        debug_assert!(self.slot(hash) < self.slots.len());
        // SAFETY: there are `2^(64 - shift)` slots.
        unsafe { self.slots.get_unchecked(self.slot(hash)) }
    }

    #[inline(always)]
    pub(super) fn segment_mut(&mut self, hash: KeyHash) -> &mut Segment<K, V> {
        let slot = self.slot(hash);
        debug_assert!(slot < self.slots.len());
        // SAFETY: there are `2^(64 - shift)` slots.
        unsafe { self.slots.get_unchecked_mut(slot) }
    }

    pub(super) fn shape(&self) -> u64 {
        self.shape
    }

    /// The first hash after the segment that covers `position`, unless that was the last one.
    pub(super) fn after(&self, position: u64) -> Option<u64> {
        let depth = self.segment(KeyHash(position)).depth();
        let width = 1u64.checked_shl(64 - depth)?;
        (position & !(width - 1)).checked_add(width)
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.arena.memory_bytes() + self.slots.capacity() * size_of::<Segment<K, V>>()
    }

    fn segment_of_size(&mut self, groups_log2: u32, depth: u32) -> Segment<K, V> {
        let block = if groups_log2 == Segment::<K, V>::FULL_LOG2 {
            self.arena.full()
        } else {
            self.arena.small(Segment::<K, V>::block_size(groups_log2))
        };
        self.segments += 1;
        // SAFETY: the block is fresh, zeroed, and of the size for this number of groups.
        unsafe { Segment::new(block, groups_log2, depth) }
    }

    /// Gives the block of a segment back.
    ///
    /// # Safety
    /// No handle of the segment is used any more.
    unsafe fn release(&mut self, segment: &Segment<K, V>) {
        let size = Segment::<K, V>::block_size(segment.groups_log2());
        self.segments -= 1;
        // SAFETY: the block came from the arena as the same kind; the caller promises the rest.
        unsafe {
            if segment.groups_log2() == Segment::<K, V>::FULL_LOG2 {
                self.arena.release_full(segment.block());
            } else {
                self.arena.release_small(segment.block(), size);
            }
        }
    }

    /// Puts `segment` into every slot of the range of `depth` top bits around `hash`.
    fn install(&mut self, hash: KeyHash, segment: &Segment<K, V>) {
        let bits = 64 - self.shift;
        let run = 1 << (bits - segment.depth());
        let start = self.slot(hash) & !(run - 1);
        for slot in &mut self.slots[start..start + run] {
            // SAFETY: all handles in the slots belong to this directory.
            *slot = unsafe { segment.alias() };
        }
    }

    fn double(&mut self) {
        let mut slots = Vec::with_capacity(2 * self.slots.len());
        for segment in &self.slots {
            // SAFETY: all handles in the slots belong to this directory.
            slots.extend([unsafe { segment.alias() }, unsafe { segment.alias() }]);
        }
        self.slots = slots;
        self.shift -= 1;
    }

    /// Whether the segment of `hash` may split: the directory is fine enough, or may become it.
    fn may_split(&self, hash: KeyHash) -> bool {
        let segment = self.segment(hash);
        let fine = segment.depth() < 64 - self.shift;
        let slots_max = SLOTS_FREELY.max(self.segments * SLOTS_PER_SEGMENT_MAX);
        segment.groups_log2() >= Segment::<K, V>::FULL_LOG2
            && segment.depth() < DEPTH_MAX
            && (fine || 2 * self.slots.len() <= slots_max)
    }
}

impl<K: TableKey, V> Directory<K, V> {
    /// Makes room in the segment of `hash`: bounded work, of one segment's entries.
    #[cold]
    #[inline(never)]
    pub(super) fn make_room(&mut self, hash: KeyHash, changes: &mut Changes<K, V>) {
        hand_out_segment(self.segment_mut(hash), changes);
        changes.restart_segment();
        self.shape += 1;
        if self.may_split(hash) {
            self.split(hash, changes)
        } else {
            self.enlarge(hash, changes)
        }
    }

    /// Moves the entries of a segment into one with twice as many groups.
    fn enlarge(&mut self, hash: KeyHash, changes: &Changes<K, V>) {
        let (groups_log2, depth) = (self.segment(hash).groups_log2(), self.segment(hash).depth());
        assert!(
            groups_log2 < 24,
            "a hundred million keys share the top of their hashes"
        );
        let mut larger = self.segment_of_size(groups_log2 + 1, depth);
        let old = self.segment_mut(hash);
        for index in 0..old.group_count() {
            for slot in old.occupied(index) {
                let changed = old.is_changed(index, slot, changes);
                let hash = old.entry(index, slot).key.key_hash();
                larger.adopt(hash, old.take(index, slot), changed, changes);
            }
        }
        // SAFETY: the old segment is empty, and all its handles are overwritten here before it is freed.
        unsafe {
            let old = old.alias();
            self.install(hash, &larger);
            self.release(&old);
        }
    }

    /// Moves the upper half of a segment's range into a segment of its own.
    fn split(&mut self, hash: KeyHash, changes: &Changes<K, V>) {
        let depth = self.segment(hash).depth();
        if depth == 64 - self.shift {
            self.double();
        }
        let mut upper = self.segment_of_size(self.segment(hash).groups_log2(), depth + 1);
        let upper_bit = 1 << (63 - depth);
        let lower = self.segment_mut(hash);
        let mut strayed: Vec<(KeyHash, bool, Entry<K, V>)> = Vec::new();
        for index in 0..lower.group_count() {
            for slot in lower.occupied(index) {
                let hash = lower.entry(index, slot).key.key_hash();
                let changed = lower.is_changed(index, slot, changes);
                if hash.0 & upper_bit != 0 {
                    upper.adopt(hash, lower.take(index, slot), changed, changes);
                } else if !lower.is_home(hash, index) {
                    strayed.push((hash, changed, lower.take(index, slot)));
                }
            }
        }
        lower.reset_overflow();
        for (hash, changed, entry) in strayed {
            lower.adopt(hash, entry, changed, changes);
        }
        lower.set_depth(depth + 1);
        self.install(KeyHash(hash.0 | upper_bit), &upper);
    }
}

/// Hands out everything that the frozen generation still owes of a segment.
pub(super) fn hand_out_segment<K, V>(segment: &mut Segment<K, V>, changes: &mut Changes<K, V>) {
    if changes.frozen.is_some() {
        for index in 0..segment.group_count() {
            segment.hand_out(index, changes);
        }
        segment.forget_summary(changes.frozen_parity());
    }
}

impl<K, V> Drop for Directory<K, V> {
    fn drop(&mut self) {
        let mut position = Some(0);
        while let Some(start) = position {
            position = self.after(start);
            let segment = self.segment_mut(KeyHash(start));
            if std::mem::needs_drop::<Entry<K, V>>() {
                segment.drop_entries();
            }
            if segment.groups_log2() != Segment::<K, V>::FULL_LOG2 {
                // SAFETY: the directory goes away, and it passes every segment once. Blocks of full
                // size go with their chunks.
                unsafe {
                    let segment = segment.alias();
                    self.release(&segment);
                }
            }
        }
    }
}
