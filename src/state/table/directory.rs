//! The directory: maps the top bits of a hash to the segment that covers it, and grows by splitting segments.
//!
//! Extendible hashing. A table starts as one small segment, which doubles until it has full size; from then on a full
//! segment splits into two that each cover half of its range. That moves the entries of one segment, whatever the size
//! of the table. If a segment's range is already as fine as the directory, the directory doubles first: a copy of its
//! words. A segment that covers several directory slots is stored in each of them, so a table that sees only a few key
//! groups has a few fine and many coarse ranges, and wastes nothing but directory words. Full size is that of
//! [`Segment::GROUPS_MAX`] or, in a table created for more keys, the size that holds them in equal segments.
//!
//! A hash that does not spread its top bits would make the directory explode, so the directory never grows beyond a
//! multiple of the number of segments; then all segments double instead, which costs a pause and longer searches, but
//! only with such a hash.
//!
//! All segments have the same number of groups, so that a search needs nothing from the segment but its handle.
//! Segments never merge: a table that has shrunk keeps its memory.
//!
//! Invariant: the handles in the directory cover every hash, equal ones are adjacent in an aligned run of
//! `2^(bits − depth)`, the number of groups is that of every segment, and the directory hands out at most one handle
//! for changes at a time.

#![expect(
    unsafe_code,
    reason = "owns the segments' blocks and their aliased handles"
)]

use std::iter::repeat_n;
use std::ops::RangeInclusive;
use std::ptr::NonNull;

use super::change::Changes;
use super::handle::{Handle, Search};
use super::key::TableKey;
use super::layout::{Entry, Group, Place};
use super::memory::{Arena, MemoryMode};
use super::segment::{Counts, Segment};
use super::shape::Shape;
use super::way::Way;
use crate::record::{KeyHash, KeyHasher};
use crate::state::LINE;

const SLOTS_FREELY: usize = 4096;
const SLOTS_PER_SEGMENT_MAX: usize = 64;
/// The bits below these should choose groups and tags.
const DEPTH_MAX: u32 = 32;
const GROUPS_LIMIT: usize = 1 << 24;
/// An expected share of the hash space smaller than this does not enlarge the first directory any further.
const SHARE_MIN: f64 = 1.0 / 4096.0;
/// Fewer segments than this fit into the nearest caches anyway.
const LOOKAHEAD_SEGMENTS_MIN: usize = 3;
/// More segments than this fit into no cache.
const TWO_STAGE_SEGMENTS_MIN: usize = 2048;

/// All segments of a table.
pub(super) struct Directory<K, V> {
    /// At least two, so that the shift below is less than the width of a hash.
    slots: Vec<Handle<K, V>>,
    /// The counts of each segment, at the first of its slots; other places are unused.
    counts: Vec<Counts>,
    shift: u32,
    /// The groups of every segment.
    groups: usize,
    /// A segment with this many groups splits instead of doubling.
    groups_full: usize,
    segments: usize,
    /// Whether searches often continue past their first group, as of the last insertion.
    strays: bool,
    arena: Arena,
    /// Hashes the keys of entries being moved.
    pub(super) hasher: KeyHasher,
    /// The range of the expected hashes.
    hashes: (u64, u64),
    /// How often the shape has changed: tells a cursor that groups have moved.
    shape: u64,
}

// SAFETY: the directory owns its blocks and the entries in them, as a `Vec` owns its buffer.
unsafe impl<K: Send, V: Send> Send for Directory<K, V> {}
// SAFETY: nothing changes under `&self`.
unsafe impl<K: Sync, V: Sync> Sync for Directory<K, V> {}

impl<K, V> Directory<K, V> {
    /// Room for `expected` keys whose hashes are in `hashes`, or for `restored` keys that arrive at once.
    pub(super) fn new(
        memory: MemoryMode,
        hasher: KeyHasher,
        (expected, restored): (usize, usize),
        hashes: RangeInclusive<KeyHash>,
    ) -> Self {
        let (first, last) = (hashes.start().0, hashes.end().0);
        let share = (last.saturating_sub(first) as f64 / u64::MAX as f64).max(SHARE_MIN);
        let Shape {
            groups,
            groups_full,
            depth,
        } = Shape::of::<K, V>(expected.max(restored), share);
        let bits = depth.max(1);
        let mut directory = Directory {
            slots: Vec::new(),
            counts: vec![Counts::default(); 1 << bits],
            shift: 64 - bits,
            groups,
            groups_full,
            segments: 0,
            strays: false,
            arena: Arena::new(Segment::<K, V>::block_size(groups_full), memory),
            hasher,
            hashes: (first, last),
            shape: 0,
        };
        if depth > 0 {
            // Every segment at that depth that overlaps the range, whose ends may cut two of them.
            directory
                .arena
                .reserve((share * (1u64 << depth) as f64) as usize + 2, restored > 0);
        }
        directory.cover(0, 0, depth);
        directory
    }

    /// Appends the segments for the range of `depth` top bits at `position`: at `depth_max` where it overlaps `hashes`,
    /// a single one where it does not.
    fn cover(&mut self, position: u64, depth: u32, depth_max: u32) {
        if depth < depth_max && self.expected_share(position, depth) > 0.0 {
            self.cover(position, depth + 1, depth_max);
            self.cover(position | 1 << (63 - depth), depth + 1, depth_max);
            return;
        }
        let handle = self.new_segment(position, depth).handle();
        self.slots.extend(repeat_n(handle, self.run(depth)));
    }

    /// The share of the range of `depth` top bits around `position` that is expected to occur.
    fn expected_share(&self, position: u64, depth: u32) -> f64 {
        let range = u64::MAX >> depth;
        let (first, last) = (position & !range, position | range);
        let from = first.max(self.hashes.0);
        match last.min(self.hashes.1).checked_sub(from) {
            Some(occurring) => (occurring as f64 + 1.0) / (range as f64 + 1.0),
            None => 0.0,
        }
    }

    /// The length at which a segment there is full.
    fn limit(&self, position: u64, depth: u32) -> usize {
        let share = self.expected_share(position, depth);
        // Hashes outside the expected range may occur nevertheless.
        let share = if share < SHARE_MIN { 1.0 } else { share };
        Segment::<K, V>::limit(self.groups, share, self.segments)
    }

    #[inline(always)]
    fn slot(&self, hash: KeyHash) -> usize {
        (hash.0 >> self.shift) as usize
    }

    #[inline(always)]
    fn handle(&self, hash: KeyHash) -> Handle<K, V> {
        debug_assert!(self.slot(hash) < self.slots.len());
        // SAFETY: there are `2^(64 - shift)` slots.
        unsafe { *self.slots.get_unchecked(self.slot(hash)) }
    }

    /// How many slots a segment of this depth has.
    #[inline(always)]
    fn run(&self, depth: u32) -> usize {
        1 << (64 - self.shift - depth)
    }

    /// The first slot of the segment of `hash`, which has this depth.
    #[inline(always)]
    fn first_slot(&self, hash: KeyHash, depth: u32) -> usize {
        self.slot(hash) & !(self.run(depth) - 1)
    }

    /// The segment of a hash, for reading while the directory is borrowed.
    #[inline(always)]
    pub(super) fn segment(&self, hash: KeyHash) -> Segment<K, V> {
        let handle = self.handle(hash);
        let counts = NonNull::from(&self.counts[self.first_slot(hash, handle.depth())]);
        // SAFETY: both are from the directory, and nothing changes segments while it is borrowed.
        unsafe { Segment::of(handle, counts) }
    }

    /// The segment of a hash, to be changed before another one is requested.
    #[inline(always)]
    pub(super) fn segment_mut(&mut self, hash: KeyHash) -> Segment<K, V> {
        let handle = self.handle(hash);
        let counts = self.counts_at(self.first_slot(hash, handle.depth()));
        // SAFETY: both are from the directory, which is held exclusively.
        unsafe { Segment::of(handle, counts) }
    }

    /// The counts of the segment whose first slot this is. They stay where they are until the directory doubles.
    #[inline(always)]
    fn counts_at(&mut self, first: usize) -> NonNull<Counts> {
        debug_assert!(first < self.counts.len());
        // SAFETY: there are as many as slots. Not through a slice: the counts of two segments may be in use.
        unsafe { NonNull::new_unchecked(self.counts.as_mut_ptr().add(first)) }
    }

    /// The mapping from hashes to groups, valid until the shape changes; with `ONE`, for a table of [one
    /// segment](Self::is_one_segment).
    #[inline(always)]
    pub(super) fn way<const ONE: bool>(&self) -> Way<K, V, ONE> {
        let first = self.slots[0];
        debug_assert!(!self.is_one_segment() || first.depth() == 0);
        Way {
            // SAFETY: every segment has a group.
            first: unsafe { first.group(0) },
            slots: self.slots.as_ptr(),
            shift: self.shift,
            groups: self.groups as u64,
        }
    }

    /// The group where an entry with this hash belongs, until the shape changes.
    #[inline(always)]
    pub(super) fn home(&self, hash: KeyHash) -> Group<K, V> {
        // SAFETY: all segments have this many groups.
        unsafe { self.handle(hash).home_group(hash, self.groups as u64) }
    }

    /// Searches for the entry with this hash that `equal` accepts.
    #[inline(always)]
    pub(super) fn search(&self, hash: KeyHash, equal: impl FnMut(&K) -> bool) -> Search<K, V> {
        // SAFETY: all segments have this many groups.
        unsafe { self.handle(hash).search(hash, self.groups as u64, equal) }
    }

    /// Finds the entry with this hash that `equal` accepts.
    #[inline(always)]
    pub(super) fn find(&self, hash: KeyHash, equal: impl FnMut(&K) -> bool) -> Option<Place<K, V>> {
        match self.search(hash, equal) {
            Search::Found(place) => Some(place),
            Search::Absent(_) => None,
        }
    }

    /// Whether there is only one segment.
    #[inline(always)]
    pub(super) fn is_one_segment(&self) -> bool {
        self.segments == 1
    }

    /// Whether the segments exceed the nearest caches.
    #[inline(always)]
    pub(super) fn looks_ahead(&self) -> bool {
        self.segments >= LOOKAHEAD_SEGMENTS_MIN
    }

    /// Whether all lines are prefetched at once: if groups of one line seldom overflow, or if groups are short and are
    /// fetched from a cache rather than from memory, so that a superfluous line costs less than finding out which one
    /// is needed.
    #[inline(always)]
    pub(super) fn one_stage(&self) -> bool {
        if Group::<K, V>::SIZE == LINE {
            !self.strays
        } else {
            Group::<K, V>::SIZE <= 2 * LINE && self.segments < TWO_STAGE_SEGMENTS_MIN
        }
    }

    /// Checks, after an insertion, how many entries of that segment are away from home.
    #[inline(always)]
    pub(super) fn notice_strays(&mut self, segment: &Segment<K, V>) {
        if let Some(many) = segment.has_many_strays() {
            self.strays = many;
        }
    }

    /// Prefetches the cache lines that `find` reads first.
    #[inline(always)]
    pub(super) fn prefetch(&self, hash: KeyHash) {
        self.home(hash).prefetch(self.one_stage());
    }

    /// Prefetches the cache line that `find` reads after the first one.
    #[inline(always)]
    pub(super) fn prefetch_entry(&self, hash: KeyHash) {
        if !self.one_stage() {
            // SAFETY: all segments have this many groups.
            unsafe { self.handle(hash).prefetch_entry(hash, self.groups as u64) };
        }
    }

    /// The total number of groups.
    pub(super) fn group_count(&self) -> usize {
        self.segments * self.groups
    }

    pub(super) fn shape(&self) -> u64 {
        self.shape
    }

    /// The first hash after the segment that covers `position`, unless that was the last one.
    pub(super) fn after(&self, position: u64) -> Option<u64> {
        let depth = self.handle(KeyHash(position)).depth();
        let width = 1u64.checked_shl(64 - depth)?;
        (position & !(width - 1)).checked_add(width)
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.arena.memory_bytes()
            + self.slots.capacity() * size_of::<Handle<K, V>>()
            + self.counts.capacity() * size_of::<Counts>()
    }

    /// An empty segment, of the common size, for the range of `depth` top bits around `position`.
    fn new_segment(&mut self, position: u64, depth: u32) -> Segment<K, V> {
        let block = if self.groups == self.groups_full {
            self.arena.full()
        } else {
            self.arena.single(Segment::<K, V>::block_size(self.groups))
        };
        self.segments += 1;
        let limit = self.limit(position, depth);
        let counts = self.counts_at(self.first_slot(KeyHash(position), depth));
        // SAFETY: the block is fresh, zeroed, and of the size for this number of groups; the counts at this slot are in
        // use neither before nor after by another segment.
        unsafe { Segment::new(block, (self.groups, depth, limit), counts) }
    }

    /// Returns the block of a segment to the arena.
    ///
    /// # Safety
    /// No handle of the segment may be used any more.
    unsafe fn release(&mut self, segment: &Segment<K, V>) {
        let groups = segment.group_count();
        self.segments -= 1;
        // SAFETY: the block came from the arena as the same kind; the caller guarantees the rest.
        unsafe {
            let block = segment.handle().block();
            if groups == self.groups_full {
                self.arena.release_full(block);
            } else {
                let size = Segment::<K, V>::block_size(groups);
                self.arena.release_single(block, size);
            }
        }
    }

    /// Puts `segment` into every slot of the range of `depth` top bits around `hash`.
    fn install(&mut self, hash: KeyHash, segment: &Segment<K, V>) {
        let handle = segment.handle();
        let first = self.first_slot(hash, handle.depth());
        let run = self.run(handle.depth());
        self.slots[first..first + run].fill(handle);
    }

    fn double(&mut self) {
        self.slots = self.slots.iter().flat_map(|slot| [*slot; 2]).collect();
        self.counts = self.counts.iter().flat_map(|counts| [*counts; 2]).collect();
        self.shift -= 1;
    }

    /// Whether the segment of `hash` may split: the directory is fine enough, or may grow.
    fn may_split(&self, hash: KeyHash) -> bool {
        let depth = self.handle(hash).depth();
        let fine = depth < 64 - self.shift;
        let slots_max = SLOTS_FREELY.max(self.segments * SLOTS_PER_SEGMENT_MAX);
        self.groups >= self.groups_full
            && depth < DEPTH_MAX
            && (fine || 2 * self.slots.len() <= slots_max)
    }
}

impl<K: TableKey, V> Directory<K, V> {
    /// Returns the segment of `hash`, with room in it: normally bounded work, on the entries of one segment.
    ///
    /// What the frozen generation owes of a segment is handed out before its entries move, so that a drain in the
    /// middle of it can continue where it is.
    #[cold]
    #[inline(never)]
    pub(super) fn roomy_segment(
        &mut self,
        hash: KeyHash,
        changes: &mut Changes<K, V>,
    ) -> Segment<K, V> {
        while self.segment(hash).is_full() {
            self.shape += 1;
            if self.may_split(hash) {
                hand_out_segment(&mut self.segment_mut(hash), changes);
                self.split(hash, changes);
            } else {
                self.enlarge(changes);
            }
        }
        self.segment_mut(hash)
    }

    /// Doubles the groups of every segment: usually there is only one.
    fn enlarge(&mut self, changes: &mut Changes<K, V>) {
        assert!(
            self.groups < GROUPS_LIMIT,
            "too many keys share the top of their hashes"
        );
        let twice = 2 * self.groups;
        self.groups = if self.groups < self.groups_full {
            twice.min(self.groups_full)
        } else {
            twice
        };
        let hasher = self.hasher;
        let mut position = Some(0);
        while let Some(start) = position {
            position = self.after(start);
            let hash = KeyHash(start);
            hand_out_segment(&mut self.segment_mut(hash), changes);
            let handle = self.handle(hash);
            let mut counts = self.counts[self.first_slot(hash, handle.depth())];
            // SAFETY: the old handle, with a copy of its counts: those of the larger segment take their place.
            let mut old = unsafe { Segment::of(handle, NonNull::from(&mut counts)) };
            let mut larger = self.new_segment(start, handle.depth());
            for index in 0..old.group_count() {
                for slot in old.occupied(index) {
                    let changed = old.is_changed(index, slot, changes);
                    let hash = old.entry(index, slot).key.hash_under(&hasher);
                    larger.adopt(hash, old.take(index, slot), changed, changes);
                }
            }
            self.install(hash, &larger);
            // SAFETY: the old segment is empty, and its handles are overwritten.
            unsafe { self.release(&old) };
        }
    }

    /// Moves the upper half of a segment's range into a segment of its own, and spreads the lower half over all groups
    /// of the old one.
    ///
    /// An entry at home in group `i` gets the home `2 i` or `2 i + 1`, counting on into the upper segment where that
    /// exceeds the lower one's groups. So the entries of the lower half are moved from its end on, each into groups
    /// that are empty by then; those that were away from home are moved last.
    fn split(&mut self, hash: KeyHash, changes: &mut Changes<K, V>) {
        let depth = self.handle(hash).depth();
        if depth == 64 - self.shift {
            self.double();
        }
        let hasher = self.hasher;
        let upper_bit = 1 << (63 - depth);
        let (position, upper_position) = (hash.0 & !upper_bit, hash.0 | upper_bit);
        let mut upper = self.new_segment(upper_position, depth + 1);
        let limit = self.limit(position, depth + 1);
        let mut lower = self.segment_mut(hash);
        let mut strayed: Vec<(KeyHash, bool, Entry<K, V>)> = Vec::new();
        for index in 0..lower.group_count() {
            for slot in lower.occupied(index) {
                let hash = lower.entry(index, slot).key.hash_under(&hasher);
                let changed = lower.is_changed(index, slot, changes);
                if !lower.is_home(hash, index) {
                    strayed.push((hash, changed, lower.take(index, slot)));
                } else if hash.0 & upper_bit != 0 {
                    upper.adopt(hash, lower.take(index, slot), changed, changes);
                }
            }
        }
        lower.reset_overflow();
        lower.deepen(depth + 1, limit);
        for index in (0..lower.group_count().div_ceil(2)).rev() {
            lower.spread_group(index, &hasher, changes);
        }
        for (hash, changed, entry) in strayed {
            let half = if hash.0 & upper_bit != 0 {
                &mut upper
            } else {
                &mut lower
            };
            half.adopt(hash, entry, changed, changes);
        }
        self.install(KeyHash(position), &lower);
        self.install(KeyHash(upper_position), &upper);
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
            let mut segment = self.segment_mut(KeyHash(start));
            if std::mem::needs_drop::<Entry<K, V>>() {
                segment.drop_entries();
            }
            // Full-size blocks are freed with their chunks.
            if segment.group_count() != self.groups_full {
                // SAFETY: the directory is being dropped, and visits every segment once.
                unsafe { self.release(&segment) };
            }
        }
    }
}
