//! The directory: from the top bits of a hash to the segment that covers it, and how segments
//! multiply.
//!
//! Extendible hashing. A table starts as one small segment, which doubles until it has full size;
//! from then on a full segment splits into two that cover a half of its range each. That moves at
//! most the entries of one segment, whatever the size of the table. When a segment's range is as
//! fine as the directory, the directory doubles first: a copy of its words. Segments that cover
//! several directory slots stand in each of them, so a table that sees only a few key groups has
//! one fine and many coarse ranges, and wastes nothing but directory words.
//!
//! A hash that does not spread its top bits would make the directory explode. So it never grows
//! beyond a multiple of the number of segments; then all segments double, which costs a pause, but
//! only with such a hash.
//!
//! All segments have the same number of groups, so that a search needs nothing from the segment but
//! its address. Segments never merge: a table that has shrunk keeps its memory.
//!
//! Invariant: the handles in the directory cover every hash, equal ones stand side by side in an
//! aligned run of `2^(bits − depth)`, the mask is that of every segment's number of groups, and the
//! directory hands out at most one handle for changes at a time.

#![expect(
    unsafe_code,
    reason = "owns the segments' blocks and their aliased handles"
)]

use std::ops::RangeInclusive;

use super::change::Changes;
use super::key::TableKey;
use super::layout::{Entry, Group, LINE, Place};
use super::memory::Arena;
use super::segment::Segment;
use crate::record::{KeyHash, KeyHasher};

const SMALLEST_LOG2: u32 = 1;
const SLOTS_FREELY: usize = 4096;
const SLOTS_PER_SEGMENT_MAX: usize = 64;
/// Below these bits come those that choose the group and the tag.
const DEPTH_MAX: u32 = 32;
const GROUPS_LOG2_MAX: u32 = 24;
/// A smaller share of the hash space than this does not make the first directory any larger.
const SHARE_MIN: f64 = 1.0 / 4096.0;
/// Less memory than this many segments lies in the nearest caches anyway.
const LOOKAHEAD_SEGMENTS_MIN: usize = 3;
/// More memory than this many segments lies in no cache.
const TWO_STAGE_SEGMENTS_MIN: usize = 2048;

/// All segments of a table.
pub(super) struct Directory<K, V> {
    /// At least two, so that the shift below is less than the width of a hash.
    slots: Vec<Segment<K, V>>,
    shift: u32,
    /// Takes a hash to its group in any of the segments.
    home_mask: u64,
    groups_log2: u32,
    segments: usize,
    arena: Arena,
    /// Hashes the keys of entries that move.
    pub(super) hasher: KeyHasher,
    /// How often the shape changed: tells a cursor that groups are not where they were.
    shape: u64,
}

// SAFETY: the directory owns its blocks and the entries in them, as a `Vec` owns its buffer.
unsafe impl<K: Send, V: Send> Send for Directory<K, V> {}
// SAFETY: nothing changes under `&self`.
unsafe impl<K: Sync, V: Sync> Sync for Directory<K, V> {}

impl<K, V> Directory<K, V> {
    /// Room for `expected` keys whose hashes are in `hashes`, or for those that are `restored` at once.
    pub(super) fn new(
        arena: Arena,
        hasher: KeyHasher,
        (expected, restored): (usize, usize),
        hashes: RangeInclusive<KeyHash>,
    ) -> Self {
        let expected = expected.max(restored);
        let full = Segment::<K, V>::FULL_LOG2;
        let mut groups_log2 = SMALLEST_LOG2;
        while groups_log2 < full && Segment::<K, V>::comfortable(groups_log2) < expected {
            groups_log2 += 1;
        }
        let (first, last) = (hashes.start().0, hashes.end().0);
        // How many segments the whole hash space would need if it were as full as this part of it.
        let share = (last.saturating_sub(first) as f64 / u64::MAX as f64).max(SHARE_MIN);
        let segments = expected as f64 / Segment::<K, V>::comfortable(full) as f64 / share;
        let depth = if groups_log2 < full {
            0
        } else {
            segments.log2().ceil().max(0.0) as u32
        };
        let mut directory = Directory {
            slots: Vec::new(),
            shift: 64 - depth.max(1),
            home_mask: Segment::<K, V>::home_mask(groups_log2),
            groups_log2,
            segments: 0,
            arena,
            hasher,
            shape: 0,
        };
        if depth > 0 {
            // Every segment at that depth that meets the range, which may cut two of them.
            directory
                .arena
                .reserve((share * (1u64 << depth) as f64) as usize + 2, restored > 0);
        }
        directory.cover(0, 0, depth, (first, last));
        directory
    }

    /// Appends the segments for the range of `depth` top bits at `position`: as deep as `depth_max`
    /// where it meets `hashes`, one for all of it where not.
    fn cover(&mut self, position: u64, depth: u32, depth_max: u32, hashes: (u64, u64)) {
        let last = position | u64::MAX.checked_shr(depth).unwrap_or(0);
        let wanted = position <= hashes.1 && hashes.0 <= last;
        if depth < depth_max && wanted {
            self.cover(position, depth + 1, depth_max, hashes);
            self.cover(position | 1 << (63 - depth), depth + 1, depth_max, hashes);
            return;
        }
        let segment = self.new_segment(depth);
        for _ in 0..1usize << (64 - self.shift - depth) {
            // SAFETY: all handles in the slots belong to this directory.
            self.slots.push(unsafe { segment.alias() });
        }
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

    /// Finds the entry with this hash that `equal` accepts.
    #[inline(always)]
    pub(super) fn find(&self, hash: KeyHash, equal: impl FnMut(&K) -> bool) -> Option<Place<K, V>> {
        // SAFETY: the mask is that of all segments.
        unsafe { self.segment(hash).find(hash, self.home_mask, equal) }
    }

    /// Whether the segments are more than the nearest caches hold.
    #[inline(always)]
    pub(super) fn looks_ahead(&self) -> bool {
        self.segments >= LOOKAHEAD_SEGMENTS_MIN
    }

    /// Whether a group is asked for as a whole: where it is short, and where what is fetched comes from a cache
    /// rather than from memory, so that a line too many costs less than looking which one is needed.
    #[inline(always)]
    fn one_stage(&self) -> bool {
        Group::<K, V>::SIZE <= 2 * LINE && self.segments < TWO_STAGE_SEGMENTS_MIN
    }

    /// Asks for the cache lines that `find` reads first.
    #[inline(always)]
    pub(super) fn prefetch(&self, hash: KeyHash) {
        let one_stage = self.one_stage();
        // SAFETY: the mask is that of all segments.
        unsafe { self.segment(hash).prefetch(hash, self.home_mask, one_stage) };
    }

    /// Asks for the cache line that `find` reads after the first one.
    #[inline(always)]
    pub(super) fn prefetch_entry(&self, hash: KeyHash) {
        if !self.one_stage() {
            // SAFETY: the mask is that of all segments.
            unsafe { self.segment(hash).prefetch_entry(hash, self.home_mask) };
        }
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

    /// An empty segment of the size that all have.
    fn new_segment(&mut self, depth: u32) -> Segment<K, V> {
        let block = if self.groups_log2 == Segment::<K, V>::FULL_LOG2 {
            self.arena.full()
        } else {
            self.arena
                .single(Segment::<K, V>::block_size(self.groups_log2))
        };
        self.segments += 1;
        // SAFETY: the block is fresh, zeroed, and of the size for this number of groups.
        unsafe { Segment::new(block, self.groups_log2, depth, self.segments) }
    }

    /// Gives the block of a segment back.
    ///
    /// # Safety
    /// No handle of the segment is used any more.
    unsafe fn release(&mut self, segment: &Segment<K, V>) {
        let groups_log2 = segment.groups_log2();
        self.segments -= 1;
        // SAFETY: the block came from the arena as the same kind; the caller promises the rest.
        unsafe {
            if groups_log2 == Segment::<K, V>::FULL_LOG2 {
                self.arena.release_full(segment.block());
            } else {
                let size = Segment::<K, V>::block_size(groups_log2);
                self.arena.release_single(segment.block(), size);
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
        self.groups_log2 >= Segment::<K, V>::FULL_LOG2
            && segment.depth() < DEPTH_MAX
            && (fine || 2 * self.slots.len() <= slots_max)
    }
}

impl<K: TableKey, V> Directory<K, V> {
    /// Makes room in the segment of `hash`: bounded work, of one segment's entries.
    ///
    /// What the frozen generation owes of a segment is handed out before its entries move, so that
    /// a drain that stands in its midst may go on where it is.
    #[cold]
    #[inline(never)]
    pub(super) fn make_room(&mut self, hash: KeyHash, changes: &mut Changes<K, V>) {
        self.shape += 1;
        if self.may_split(hash) {
            hand_out_segment(self.segment_mut(hash), changes);
            self.split(hash, changes);
        } else {
            self.enlarge(changes);
        }
    }

    /// Gives every segment twice as many groups: usually there is only one.
    fn enlarge(&mut self, changes: &mut Changes<K, V>) {
        assert!(
            self.groups_log2 < GROUPS_LOG2_MAX,
            "too many keys share the top of their hashes"
        );
        self.groups_log2 += 1;
        self.home_mask = Segment::<K, V>::home_mask(self.groups_log2);
        let hasher = self.hasher;
        let mut position = Some(0);
        while let Some(start) = position {
            position = self.after(start);
            let hash = KeyHash(start);
            hand_out_segment(self.segment_mut(hash), changes);
            let mut larger = self.new_segment(self.segment(hash).depth());
            let old = self.segment_mut(hash);
            for index in 0..old.group_count() {
                for slot in old.occupied(index) {
                    let changed = old.is_changed(index, slot, changes);
                    let hash = old.entry(index, slot).key.hash_under(&hasher);
                    larger.adopt(hash, old.take(index, slot), changed, changes);
                }
            }
            // SAFETY: the old segment is empty, and its handles are overwritten before it is freed.
            unsafe {
                let old = old.alias();
                self.install(hash, &larger);
                self.release(&old);
            }
        }
    }

    /// Moves the upper half of a segment's range into a segment of its own.
    fn split(&mut self, hash: KeyHash, changes: &Changes<K, V>) {
        let depth = self.segment(hash).depth();
        if depth == 64 - self.shift {
            self.double();
        }
        let hasher = self.hasher;
        let mut upper = self.new_segment(depth + 1);
        let upper_bit = 1 << (63 - depth);
        let lower = self.segment_mut(hash);
        let mut strayed: Vec<(KeyHash, bool, Entry<K, V>)> = Vec::new();
        for index in 0..lower.group_count() {
            for slot in lower.occupied(index) {
                let hash = lower.entry(index, slot).key.hash_under(&hasher);
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
        segment.forget_summary(changes.frozen_generation());
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
