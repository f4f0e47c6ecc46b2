//! A segment: a small open-addressing table over one contiguous range of key hashes.
//!
//! ```text
//! block    128 bytes header │ group 0 │ group 1 │ … │ group 2^n − 1
//!
//! hash     63 … → │ ← … 7 │ 6 … 0
//!        directory   group    tag
//! ```
//!
//! An entry lives in its home group or, if that was full, in the first one with room in the order
//! home ^ 1, home ^ 2, … (so the next try is the other half of the same pair of lines), and every
//! group that it passed counts it: a search ends at the first group that nobody passed. A removal
//! takes its passage back, so there are no tombstones. All segments of a table have the same number
//! of groups, so the way from the hash to the group needs nothing from the segment but its address.
//!
//! Invariant: tags, not handles, own entries. Several equal handles may exist (the directory holds
//! a segment once per directory slot); whoever holds them reaches the block only through one at a
//! time.

#![expect(
    unsafe_code,
    reason = "entries live in uninitialised memory, found by tags"
)]

use std::{hint::select_unpredictable, marker::PhantomData, ptr::NonNull};

use super::change::Changes;
use super::group::{Slots, Tag};
use super::layout::{Group, LINE, Place, prefetch_line};
use crate::record::KeyHash;
use crate::seeded_bugs::seeded;

/// Alignment of blocks: a group of 128 bytes then never straddles a pair of cache lines.
pub(super) const BLOCK_ALIGN: usize = 128;
const HEADER_SIZE: usize = 128;
const SEGMENT_SIZE: usize = 64 << 10;
const TAG_BITS: u32 = 7;
const SUMMARY_LOG2: u32 = 8;
const STAGGERS: usize = 8;
/// So many bits of a summary are few.
const FEW_BITS: usize = 1 << (SUMMARY_LOG2 - 2);
const SUMMARY_WORDS: usize = (1 << SUMMARY_LOG2) / 64;

/// What a segment knows of itself, in front of its groups. All zeros is a valid start.
#[repr(C)]
pub(super) struct Header {
    pub(super) len: u32,
    /// At this length the segment is full.
    limit: u32,
    groups_log2: u32,
    /// How many top bits of the hash all keys of the segment share.
    depth: u32,
    /// Per generation, 1 and 2: which groups may hold slots that it changed.
    summary: [[u64; SUMMARY_WORDS]; 2],
}

const _: () = assert!(size_of::<Header>() <= HEADER_SIZE);

/// A handle of a segment; see the module's invariant.
pub(super) struct Segment<K, V> {
    first: NonNull<u8>,
    entries: PhantomData<(K, V)>,
}

impl<K, V> Segment<K, V> {
    /// Groups of a segment of full size, as a power of two: about 64 KB, but enough for an even
    /// fill.
    pub(super) const FULL_LOG2: u32 = {
        let groups = SEGMENT_SIZE / Group::<K, V>::SIZE;
        if groups <= 16 { 4 } else { groups.ilog2() }
    };

    /// Bytes of the block of a segment with `2^groups_log2` groups.
    pub(super) const fn block_size(groups_log2: u32) -> usize {
        HEADER_SIZE + (Group::<K, V>::SIZE << groups_log2)
    }

    /// A segment without entries.
    ///
    /// # Safety
    /// `block` is aligned to [`BLOCK_ALIGN`], has `block_size(groups_log2)` zeroed bytes (only the
    /// header and the first two words of each group need to be zero) and is nobody else's.
    /// `groups_log2` is in `1..=24`.
    pub(super) unsafe fn new(
        block: NonNull<u8>,
        groups_log2: u32,
        depth: u32,
        stagger: usize,
    ) -> Self {
        // SAFETY: the block is larger than its header.
        let first = unsafe { block.add(HEADER_SIZE) };
        let mut segment = Segment {
            first,
            entries: PhantomData,
        };
        let slots = Group::<K, V>::SLOTS << groups_log2;
        *segment.write_header() = Header {
            len: 0,
            limit: Self::limit(slots, stagger) as u32,
            groups_log2,
            depth,
            summary: [[0; SUMMARY_WORDS]; 2],
        };
        segment
    }

    /// Between 0.69 and 0.81 of the slots, by `stagger`: segments that filled up all at once would
    /// also all split at once, faster than memory can be prepared. Fuller ones would cost more in
    /// searches that have to go on (each an unpredicted branch) than they save in memory.
    fn limit(slots: usize, stagger: usize) -> usize {
        slots - slots * 3 / 16 - slots / 8 * (stagger % STAGGERS) / STAGGERS
    }

    /// A second handle of the same segment.
    ///
    /// # Safety
    /// Both handles must belong to one owner, which uses at most one at a time for a change.
    pub(super) unsafe fn alias(&self) -> Self {
        Segment {
            first: self.first,
            entries: PhantomData,
        }
    }

    /// The block, to be given back once nothing uses a handle of this segment.
    pub(super) fn block(&self) -> NonNull<u8> {
        self.header().cast()
    }

    pub(super) fn group(&self, index: usize) -> Group<K, V> {
        assert!(index < self.group_count());
        // SAFETY: the index is in range, so the offset stays in the block.
        unsafe { Group::new(self.first.add(index * Group::<K, V>::SIZE)) }
    }

    /// The mask that takes a hash to the home of its entry, for all segments with that many groups.
    pub(super) const fn home_mask(groups_log2: u32) -> u64 {
        ((1 << groups_log2) - 1) << TAG_BITS
    }

    pub(super) fn home(&self, hash: KeyHash) -> usize {
        ((hash.0 & Self::home_mask(self.groups_log2())) >> TAG_BITS) as usize
    }

    /// The home group, by a mask that the caller has at hand: the header is another cache line.
    ///
    /// # Safety
    /// `home_mask` is that of this segment's number of groups.
    #[inline(always)]
    unsafe fn home_group(&self, hash: KeyHash, home_mask: u64) -> Group<K, V> {
        let index = (hash.0 & home_mask) as usize >> TAG_BITS;
        // The masked hash itself is the offset of a group of this very common size.
        let offset = if Group::<K, V>::SIZE == 1 << TAG_BITS {
            (hash.0 & home_mask) as usize
        } else {
            index * Group::<K, V>::SIZE
        };
        debug_assert!(index < self.group_count());
        // SAFETY: the mask keeps the index below `group_count`, so the offset stays in the block.
        unsafe { Group::new(self.first.add(offset)) }
    }

    fn header(&self) -> NonNull<Header> {
        // SAFETY: the header lies in front of the first group.
        unsafe { self.first.sub(HEADER_SIZE).cast() }
    }

    fn read_header(&self) -> &Header {
        // SAFETY: initialised by `new`; it changes only under `&mut self`.
        unsafe { self.header().as_ref() }
    }

    pub(super) fn write_header(&mut self) -> &mut Header {
        // SAFETY: as in `read_header`; the handle is held exclusively.
        unsafe { self.header().as_mut() }
    }

    pub(super) fn group_count(&self) -> usize {
        1 << self.groups_log2()
    }

    pub(super) fn groups_log2(&self) -> u32 {
        self.read_header().groups_log2
    }

    pub(super) fn len(&self) -> usize {
        self.read_header().len as usize
    }

    /// Whether the next insertion should find more room first.
    #[inline(always)]
    pub(super) fn is_full(&self) -> bool {
        let header = self.read_header();
        header.len >= header.limit
    }

    /// How many entries an even fill of `2^groups_log2` groups may count on: as many as the least limit allows. A
    /// few segments get more and split, but twice the memory for all would cost more: it has to be cleared before
    /// it is filled, and every checkpoint of the whole table walks through it.
    pub(super) const fn comfortable(groups_log2: u32) -> usize {
        (Group::<K, V>::SLOTS << groups_log2) * 11 / 16
    }

    pub(super) fn depth(&self) -> u32 {
        self.read_header().depth
    }

    pub(super) fn set_depth(&mut self, depth: u32) {
        self.write_header().depth = depth;
    }

    /// Asks for the cache line that a search for `hash` reads first, or, in one stage, for the whole of a group
    /// of two lines.
    ///
    /// # Safety
    /// `home_mask` is that of this segment's number of groups.
    #[inline(always)]
    pub(super) unsafe fn prefetch(&self, hash: KeyHash, home_mask: u64, one_stage: bool) {
        // SAFETY: as the caller promises.
        let start = unsafe { self.home_group(hash, home_mask) }.start();
        prefetch_line(start);
        if one_stage && Group::<K, V>::SIZE > LINE {
            // SAFETY: the second line of the group.
            prefetch_line(unsafe { start.add(LINE) });
        }
    }

    /// Asks for the lines that a search will go on to, once the first one is here: that of the first candidate, or
    /// where there is none those of the next group, if it may be there, or else what an insertion changes: the
    /// header, in which it counts, and the last slots, some of which are free.
    ///
    /// # Safety
    /// `home_mask` is that of this segment's number of groups.
    #[inline(always)]
    pub(super) unsafe fn prefetch_entry(&self, hash: KeyHash, home_mask: u64) {
        let next = KeyHash(hash.0 ^ 1 << TAG_BITS);
        // SAFETY: as the caller promises; there are two groups at least.
        let (group, next) = unsafe {
            (
                self.home_group(hash, home_mask),
                self.home_group(next, home_mask),
            )
        };
        let tags = group.tags();
        let found = tags.matching(Tag::of(hash)).first();
        let entry = group.entry(found.unwrap_or(0)).cast();
        // None of this can be predicted. What had to pass on stands in one of the last slots of the next group.
        let further = [next.start(), next.last_line()];
        let inserted = [self.header().cast(), group.last_line()];
        for (further, inserted) in further.into_iter().zip(inserted) {
            let other = select_unpredictable(tags.overflows(), further, inserted);
            prefetch_line(select_unpredictable(found.is_some(), entry, other));
        }
    }

    /// Finds the entry with this hash that `equal` accepts.
    ///
    /// Only the usual case is inlined: the first candidate in the home group, or none there and
    /// nobody passed. That keeps the caller's loop short enough to overlap the cache misses of many
    /// records.
    ///
    /// # Safety
    /// `home_mask` is that of this segment's number of groups.
    #[inline(always)]
    pub(super) unsafe fn find(
        &self,
        hash: KeyHash,
        home_mask: u64,
        mut equal: impl FnMut(&K) -> bool,
    ) -> Option<Place<K, V>> {
        debug_assert!(home_mask == Self::home_mask(self.groups_log2()));
        // SAFETY: as the caller promises.
        let group = unsafe { self.home_group(hash, home_mask) };
        let tags = group.tags();
        if let Some(slot) = tags.matching(Tag::of(hash)).first() {
            let place = Place { group, slot };
            // SAFETY: `matching` yields occupied slots only, and those hold an entry.
            if equal(unsafe { &place.entry().as_ref().key }) {
                return Some(place);
            }
        } else if !tags.overflows() {
            return None;
        }
        // SAFETY: as the caller promises.
        unsafe { self.find_further(hash, home_mask, equal) }
    }

    /// # Safety
    /// As `find`.
    #[cold]
    #[inline(never)]
    unsafe fn find_further(
        &self,
        hash: KeyHash,
        home_mask: u64,
        mut equal: impl FnMut(&K) -> bool,
    ) -> Option<Place<K, V>> {
        for step in 0..=home_mask >> TAG_BITS {
            // SAFETY: as the caller promises; the mask keeps every step in range.
            let group = unsafe { self.home_group(KeyHash(hash.0 ^ step << TAG_BITS), home_mask) };
            let tags = group.tags();
            for slot in tags.matching(Tag::of(hash)) {
                let place = Place { group, slot };
                // SAFETY: `matching` yields occupied slots only, and those hold an entry.
                if equal(unsafe { &place.entry().as_ref().key }) {
                    return Some(place);
                }
            }
            if !tags.overflows() {
                return None;
            }
        }
        None
    }

    /// Marks the entry at `place` as changed and gives it out.
    ///
    /// # Safety
    /// `place` was found in this segment, and no entry was inserted or removed since.
    #[inline(always)]
    pub(super) unsafe fn touch(
        &mut self,
        place: Place<K, V>,
        changes: &mut Changes<K, V>,
    ) -> NonNull<V> {
        if place.group.generation(place.slot) != changes.generation {
            self.first_touch(place, changes);
        }
        place.value()
    }

    /// The first change of an entry in the current generation.
    ///
    /// What the frozen one owes is handed out of this slot only: the rest of the group may lie in another cache line,
    /// and the drain, which walks through memory in order, will find it sooner than records will.
    #[inline(never)]
    fn first_touch(&mut self, place: Place<K, V>, changes: &mut Changes<K, V>) {
        if changes.frozen.is_some() && !seeded("no-copy-on-first-touch") {
            hand_out_slot(place, changes);
        } else if changes.marks_groups() {
            return mark_group(place.group, changes);
        }
        self.mark(place, changes);
    }

    /// Marks a slot as changed in the current generation, of which nothing may be owed any more.
    pub(super) fn mark(&mut self, place: Place<K, V>, changes: &Changes<K, V>) {
        let (group, generation) = (place.group, changes.generation);
        if generation != 0 {
            if !changes.marks_groups() && !group.marks().holds(generation) {
                self.summarise(self.index_of(group), generation);
            }
            group.set_marks(group.marks().with(place.slot, generation));
        }
    }

    pub(super) fn index_of(&self, group: Group<K, V>) -> usize {
        (group.start().addr().get() - self.first.addr().get()) / Group::<K, V>::SIZE
    }

    fn summary_bit(&self, index: usize) -> usize {
        index >> self.groups_log2().saturating_sub(SUMMARY_LOG2)
    }

    fn summarise(&mut self, index: usize, generation: u8) {
        let bit = self.summary_bit(index);
        let summary = &mut self.write_header().summary[usize::from(generation - 1)];
        summary[bit / 64] |= 1 << (bit % 64);
    }

    /// Whether the group may hold slots that this generation changed.
    pub(super) fn may_hold(&self, index: usize, generation: u8) -> bool {
        let bit = self.summary_bit(index);
        self.read_header().summary[usize::from(generation - 1)][bit / 64] >> (bit % 64) & 1 == 1
    }

    /// Whether some group may.
    pub(super) fn any_may_hold(&self, generation: u8) -> bool {
        self.read_header().summary[usize::from(generation - 1)] != [0; SUMMARY_WORDS]
    }

    /// Asks for the first cache lines of the groups that may, if they are few: those that are many lie so close
    /// together that the processor fetches them by itself.
    pub(super) fn prefetch_holding(&self, generation: u8) {
        let summary = self.read_header().summary[usize::from(generation - 1)];
        let bits: u32 = summary.iter().map(|word| word.count_ones()).sum();
        if bits as usize > FEW_BITS {
            return;
        }
        let groups_per_bit = 1usize << self.groups_log2().saturating_sub(SUMMARY_LOG2);
        for (place, mut word) in summary.into_iter().enumerate() {
            while word != 0 {
                let bit = 64 * place + word.trailing_zeros() as usize;
                word &= word - 1;
                for group in bit * groups_per_bit..(bit + 1) * groups_per_bit {
                    prefetch_line(self.group(group).start());
                }
            }
        }
    }

    pub(super) fn forget_summary(&mut self, generation: u8) {
        self.write_header().summary[usize::from(generation - 1)] = [0; SUMMARY_WORDS];
    }

    /// Hands out what the frozen generation still owes of a group; how many entries that was.
    pub(super) fn hand_out(&mut self, index: usize, changes: &mut Changes<K, V>) -> usize {
        assert!(index < self.group_count());
        self.hand_out_group(self.group(index), changes)
    }

    pub(super) fn hand_out_group(
        &mut self,
        group: Group<K, V>,
        changes: &mut Changes<K, V>,
    ) -> usize {
        let pending = changes.pending(group.tags(), group.marks());
        let count = pending.len();
        if count > 0 {
            // SAFETY: only occupied slots are pending: a removal takes the mark away with the tag. Writing the
            // entries down changes none of them.
            changes.hand_out(unsafe { group.entries(pending) });
        }
        let marks = changes.handed_out(group.marks());
        group.set_marks(if changes.marks_groups() {
            marks.with_occupied(group.tags(), changes.generation)
        } else {
            marks
        });
        count
    }
}

/// Hands out what the frozen generation still owes of a slot.
fn hand_out_slot<K, V>(place: Place<K, V>, changes: &mut Changes<K, V>) {
    let group = place.group;
    let pending = changes.pending(group.tags(), group.marks());
    if pending.contains(place.slot) {
        // SAFETY: only occupied slots are pending, see `hand_out_group`.
        changes.hand_out(unsafe { group.entries(Slots::only(place.slot)) });
    }
}

/// Marks all entries of a group as changed in the current generation, of which nothing may be owed.
fn mark_group<K, V>(group: Group<K, V>, changes: &Changes<K, V>) {
    let marks = group.marks();
    group.set_marks(marks.with_occupied(group.tags(), changes.generation));
}
