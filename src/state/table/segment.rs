//! A segment: a small open-addressing table over one contiguous range of key hashes.
//!
//! ```text
//! block    128 bytes header │ group 0 │ group 1 │ … │ group 2^n − 1
//! group    8 tags │ 8 marks │ pad │ 7 × (key, value) │ pad to a multiple of 64
//!
//! hash     63 … → │ ← … 7 │ 6 … 0
//!        directory   group    tag
//! ```
//!
//! An entry lives in its home group or, if that was full, in the first one with room in the order home ^ 1,
//! home ^ 2, … (so the next try is the other half of the same pair of lines), and every group that it
//! passed counts it: a search ends at the first group that nobody passed. A removal
//! takes its passage back, so there are no tombstones. All segments of a
//! table have the same number of groups, so the way from the hash to the group needs nothing from the
//! segment but its address.
//!
//! Invariant: tags, not handles, own entries. Several equal handles may exist (the directory holds a
//! segment once per directory slot); whoever holds them reaches the block only through one at a time.

#![expect(
    unsafe_code,
    reason = "entries live in uninitialised memory, found by tags"
)]

use std::{marker::PhantomData, ptr::NonNull};

use super::change::Changes;
use super::group::{SLOTS, Slots, Tag, Tags};
use crate::record::KeyHash;

/// Alignment of blocks: a group of 128 bytes then never straddles a pair of cache lines.
pub(super) const BLOCK_ALIGN: usize = 128;
const HEADER_SIZE: usize = 128;
const SEGMENT_SIZE: usize = 64 << 10;
const LINE: usize = 64;
const TAG_BITS: u32 = 7;
const SUMMARY_LOG2: u32 = 8;
const STAGGERS: usize = 8;
const SUMMARY_WORDS: usize = (1 << SUMMARY_LOG2) / 64;

/// A key and its value, side by side.
pub(super) struct Entry<K, V> {
    pub(super) key: K,
    pub(super) value: V,
}

/// What a segment knows of itself, in front of its groups. All zeros is a valid start.
#[repr(C)]
struct Header {
    len: u32,
    /// At this length the segment is full.
    limit: u32,
    groups_log2: u32,
    /// How many top bits of the hash all keys of the segment share.
    depth: u32,
    /// Per generation (by parity of its stamp): which groups may hold marks.
    summary: [[u64; SUMMARY_WORDS]; 2],
}

const _: () = assert!(size_of::<Header>() <= HEADER_SIZE);

/// A handle of a segment; see the module's invariant.
pub(super) struct Segment<K, V> {
    first: NonNull<u8>,
    entries: PhantomData<(K, V)>,
}

/// Where an entry lives: good until the table changes.
pub(super) struct Place<K, V> {
    group: Group<K, V>,
    slot: usize,
}

impl<K, V> Place<K, V> {
    /// The entry at this place, which must still hold one.
    #[inline(always)]
    pub(super) fn entry(&self) -> NonNull<Entry<K, V>> {
        self.group.entry(self.slot)
    }

    #[inline(always)]
    fn value(&self) -> NonNull<V> {
        let entry = self.entry().as_ptr();
        // SAFETY: a field of an entry in bounds; nothing is read.
        unsafe { NonNull::new_unchecked(&raw mut (*entry).value) }
    }
}

/// A pointer to a group of some segment: made for indices in range only.
struct Group<K, V>(NonNull<u8>, PhantomData<(K, V)>);

impl<K, V> Clone for Place<K, V> {
    #[inline(always)]
    fn clone(&self) -> Self {
        *self
    }
}

impl<K, V> Copy for Place<K, V> {}

impl<K, V> Clone for Group<K, V> {
    #[inline(always)]
    fn clone(&self) -> Self {
        *self
    }
}

impl<K, V> Copy for Group<K, V> {}

impl<K, V> Group<K, V> {
    const ENTRIES: usize = (2 * size_of::<u64>()).next_multiple_of(align_of::<Entry<K, V>>());
    const SIZE: usize = {
        assert!(
            align_of::<Entry<K, V>>() <= LINE,
            "entries aligned beyond a cache line"
        );
        (Self::ENTRIES + SLOTS * size_of::<Entry<K, V>>()).next_multiple_of(LINE)
    };

    #[inline(always)]
    fn tags(self) -> Tags {
        // SAFETY: a group begins with an aligned tag word, initialised since its block was zeroed.
        Tags(unsafe { self.0.cast::<u64>().read() })
    }

    #[inline(always)]
    fn set_tags(self, tags: Tags) {
        // SAFETY: as in `tags`; the caller holds the segment's handle exclusively.
        unsafe { self.0.cast::<u64>().write(tags.0) }
    }

    #[inline(always)]
    fn marks(self) -> u64 {
        // SAFETY: the second word of a group, initialised since its block was zeroed.
        unsafe { self.0.cast::<u64>().add(1).read() }
    }

    #[inline(always)]
    fn set_marks(self, marks: u64) {
        // SAFETY: as in `marks`; the caller holds the segment's handle exclusively.
        unsafe { self.0.cast::<u64>().add(1).write(marks) }
    }

    #[inline(always)]
    fn entry(self, slot: usize) -> NonNull<Entry<K, V>> {
        debug_assert!(slot < SLOTS);
        // SAFETY: `slot` comes from `Slots`, so it is below `SLOTS`, and the offset stays in the group.
        unsafe { self.0.add(Self::ENTRIES).cast::<Entry<K, V>>().add(slot) }
    }
}

impl<K, V> Segment<K, V> {
    /// Groups of a segment of full size, as a power of two: about 64 KB, but enough for an even fill.
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
    /// `block` is aligned to [`BLOCK_ALIGN`], has `block_size(groups_log2)` zeroed bytes (only the header
    /// and the first two words of each group need to be zero) and is nobody else's. `groups_log2` is in
    /// `1..=24`.
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
        let slots = SLOTS << groups_log2;
        *segment.write_header() = Header {
            len: 0,
            limit: Self::limit(slots, stagger) as u32,
            groups_log2,
            depth,
            summary: [[0; SUMMARY_WORDS]; 2],
        };
        segment
    }

    /// Between 0.69 and 0.81 of the slots, by `stagger`: segments that filled up all at once would also all
    /// split at once, faster than memory can be prepared. Fuller ones would cost more in searches that
    /// have to go on (each an unpredicted branch) than they save in memory.
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

    #[inline(always)]
    fn group(&self, index: usize) -> Group<K, V> {
        debug_assert!(index < self.group_count());
        // SAFETY: callers keep `index` below `group_count`, so the offset stays in the block.
        Group(
            unsafe { self.first.add(index * Group::<K, V>::SIZE) },
            PhantomData,
        )
    }

    /// The mask that takes a hash to the home of its entry, for all segments with that many groups.
    pub(super) const fn home_mask(groups_log2: u32) -> u64 {
        ((1 << groups_log2) - 1) << TAG_BITS
    }

    fn home(&self, hash: KeyHash) -> usize {
        ((hash.0 & Self::home_mask(self.groups_log2())) >> TAG_BITS) as usize
    }

    /// The home group, by a mask that the caller has at hand: the header is another cache line.
    #[inline(always)]
    fn home_group(&self, hash: KeyHash, home_mask: u64) -> Group<K, V> {
        let index = (hash.0 & home_mask) as usize >> TAG_BITS;
        // The masked hash itself is the offset of a group of this very common size.
        let offset = if Group::<K, V>::SIZE == 1 << TAG_BITS {
            (hash.0 & home_mask) as usize
        } else {
            index * Group::<K, V>::SIZE
        };
        debug_assert!(index < self.group_count());
        // SAFETY: the mask keeps the index below `group_count`, so the offset stays in the block.
        Group(unsafe { self.first.add(offset) }, PhantomData)
    }

    fn header(&self) -> NonNull<Header> {
        // SAFETY: the header lies in front of the first group.
        unsafe { self.first.sub(HEADER_SIZE).cast() }
    }

    fn read_header(&self) -> &Header {
        // SAFETY: initialised by `new`; it changes only under `&mut self`.
        unsafe { self.header().as_ref() }
    }

    fn write_header(&mut self) -> &mut Header {
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

    /// How many entries an even fill of `2^groups_log2` groups may count on.
    pub(super) const fn comfortable(groups_log2: u32) -> usize {
        (SLOTS << groups_log2) / 20 * 13
    }

    pub(super) fn depth(&self) -> u32 {
        self.read_header().depth
    }

    pub(super) fn set_depth(&mut self, depth: u32) {
        self.write_header().depth = depth;
    }

    /// Asks for the cache line that a search for `hash` reads first.
    #[inline(always)]
    pub(super) fn prefetch(&self, hash: KeyHash, home_mask: u64) {
        prefetch_line(self.home_group(hash, home_mask).0);
    }

    /// Asks for the line that a search will go on to, once the first one is here: that of the first
    /// candidate, or of the group after a full one. Without branches, as both are common.
    #[inline(always)]
    pub(super) fn prefetch_entry(&self, hash: KeyHash, home_mask: u64) {
        let group = self.home_group(hash, home_mask);
        match group.tags().matching(Tag::of(hash)).first() {
            Some(slot) => prefetch_line(group.entry(slot).cast()),
            None => prefetch_line(
                self.home_group(KeyHash(hash.0 ^ 1 << TAG_BITS), home_mask)
                    .0,
            ),
        }
    }

    /// Finds the entry with this hash that `equal` accepts.
    ///
    /// Only the usual case is inlined: the first candidate in the home group, or none there and nobody
    /// passed. That keeps the caller's loop short enough to overlap the cache misses of many records.
    #[inline(always)]
    pub(super) fn find(
        &self,
        hash: KeyHash,
        home_mask: u64,
        mut equal: impl FnMut(&K) -> bool,
    ) -> Option<Place<K, V>> {
        debug_assert!(home_mask == Self::home_mask(self.groups_log2()));
        let group = self.home_group(hash, home_mask);
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
        self.find_further(hash, home_mask, equal)
    }

    #[cold]
    #[inline(never)]
    fn find_further(
        &self,
        hash: KeyHash,
        home_mask: u64,
        mut equal: impl FnMut(&K) -> bool,
    ) -> Option<Place<K, V>> {
        for step in 0..=home_mask >> TAG_BITS {
            let group = self.home_group(KeyHash(hash.0 ^ step << TAG_BITS), home_mask);
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
        let marks = self.current_marks(place.group, changes);
        // A store of what is there already would make one more cache line dirty, to be written back.
        if marks >> place.slot & 1 == 0 {
            place.group.set_marks(marks | 1 << place.slot);
        }
        place.value()
    }

    /// The marks of a group under the current stamp, after handing out what is frozen.
    #[inline(always)]
    fn current_marks(&mut self, group: Group<K, V>, changes: &mut Changes<K, V>) -> u64 {
        let marks = group.marks();
        if changes.is_current(marks) {
            marks
        } else {
            self.first_touch(group, changes)
        }
    }

    #[cold]
    #[inline(never)]
    fn first_touch(&mut self, group: Group<K, V>, changes: &mut Changes<K, V>) -> u64 {
        self.hand_out_group(group, changes);
        let index = self.index_of(group);
        self.summarise(index, changes.parity());
        group.set_marks(changes.stamp);
        changes.stamp
    }

    fn index_of(&self, group: Group<K, V>) -> usize {
        (group.0.addr().get() - self.first.addr().get()) / Group::<K, V>::SIZE
    }

    fn summary_bit(&self, index: usize) -> usize {
        index >> self.groups_log2().saturating_sub(SUMMARY_LOG2)
    }

    fn summarise(&mut self, index: usize, parity: usize) {
        let bit = self.summary_bit(index);
        self.write_header().summary[parity][bit / 64] |= 1 << (bit % 64);
    }

    /// Whether the group may hold marks of the generation with this parity.
    pub(super) fn may_hold_marks(&self, index: usize, parity: usize) -> bool {
        let bit = self.summary_bit(index);
        self.read_header().summary[parity][bit / 64] >> (bit % 64) & 1 == 1
    }

    /// Whether some group may hold marks of the generation with this parity.
    pub(super) fn any_marks(&self, parity: usize) -> bool {
        self.read_header().summary[parity] != [0; SUMMARY_WORDS]
    }

    pub(super) fn forget_summary(&mut self, parity: usize) {
        self.write_header().summary[parity] = [0; SUMMARY_WORDS];
    }

    /// Hands out what the frozen generation still owes of a group; how many entries that was.
    pub(super) fn hand_out(&mut self, index: usize, changes: &mut Changes<K, V>) -> usize {
        assert!(index < self.group_count());
        self.hand_out_group(self.group(index), changes)
    }

    fn hand_out_group(&mut self, group: Group<K, V>, changes: &mut Changes<K, V>) -> usize {
        let pending = changes.pending(group.tags(), group.marks());
        let mut count = 0;
        for slot in pending {
            // SAFETY: only occupied slots are pending: a removal takes the mark away with the tag.
            let entry = unsafe { group.entry(slot).as_ref() };
            changes.hand_out(&entry.key, &entry.value);
            count += 1;
        }
        if !changes.is_current(group.marks()) {
            group.set_marks(changes.handed_out());
        }
        count
    }

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

    /// The entry of an occupied slot, to be changed: marks it.
    pub(super) fn entry_mut(
        &mut self,
        index: usize,
        slot: usize,
        changes: &mut Changes<K, V>,
    ) -> &mut Entry<K, V> {
        assert!(self.occupied(index).contains(slot));
        let place = Place {
            group: self.group(index),
            slot,
        };
        // SAFETY: an occupied slot of a group in range is a place; borrowed exclusively, like the handle.
        unsafe {
            self.touch(place, changes);
            place.entry().as_mut()
        }
    }

    /// Whether the entry of this slot was changed in the current generation.
    pub(super) fn is_changed(&self, index: usize, slot: usize, changes: &Changes<K, V>) -> bool {
        let marks = self.group(index).marks();
        changes.is_current(marks) && marks >> slot & 1 == 1
    }

    /// Adds an entry whose key is not in the segment, marked as changed.
    pub(super) fn insert(
        &mut self,
        hash: KeyHash,
        entry: Entry<K, V>,
        changes: &mut Changes<K, V>,
    ) -> NonNull<V> {
        let place = self.free_place(hash);
        let marks = self.current_marks(place.group, changes);
        self.fill(&place, hash, entry, marks | 1 << place.slot)
    }

    /// Adds an entry that comes from another place of the table: it stays as changed as it was.
    /// Nothing of either segment may be owed to a frozen generation.
    pub(super) fn adopt(
        &mut self,
        hash: KeyHash,
        entry: Entry<K, V>,
        changed: bool,
        changes: &Changes<K, V>,
    ) {
        let place = self.free_place(hash);
        let marks = place.group.marks();
        let marks = match (changes.is_current(marks), changed) {
            (true, changed) => marks | (changed as u64) << place.slot,
            (false, false) => changes.handed_out(),
            (false, true) => {
                self.summarise(self.index_of(place.group), changes.parity());
                changes.stamp | 1 << place.slot
            }
        };
        self.fill(&place, hash, entry, marks);
    }

    /// A free slot for `hash`, its passage counted. There must be one.
    fn free_place(&mut self, hash: KeyHash) -> Place<K, V> {
        assert!(self.len() < self.group_count() * SLOTS);
        let home = self.home(hash);
        for step in 0..self.group_count() {
            let group = self.group(home ^ step);
            let tags = group.tags();
            if let Some(slot) = tags.free().first() {
                return Place { group, slot };
            }
            group.set_tags(tags.overflow_more());
        }
        unreachable!("a segment with a free slot has a group with a free slot")
    }

    fn fill(
        &mut self,
        place: &Place<K, V>,
        hash: KeyHash,
        entry: Entry<K, V>,
        marks: u64,
    ) -> NonNull<V> {
        let group = place.group;
        // SAFETY: the slot is free, so it holds no entry, and the handle is held exclusively.
        unsafe { place.entry().write(entry) };
        group.set_tags(group.tags().with(place.slot, Tag::of(hash)));
        group.set_marks(marks);
        self.write_header().len += 1;
        place.value()
    }

    /// Removes the entry at `place` and takes its passage back.
    ///
    /// # Safety
    /// `place` was found by `hash` in this segment, and no entry was inserted or removed since.
    pub(super) unsafe fn remove(
        &mut self,
        hash: KeyHash,
        place: Place<K, V>,
        changes: &mut Changes<K, V>,
    ) -> Entry<K, V> {
        self.current_marks(place.group, changes);
        let found = self.index_of(place.group);
        let home = self.home(hash);
        for step in 0..home ^ found {
            let group = self.group(home ^ step);
            group.set_tags(group.tags().overflow_less());
        }
        let entry = self.take(found, place.slot);
        changes.log_removal(&entry.key);
        entry
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
        // SAFETY: the slot holds an entry. With a foreign hash only overflow counts would come out wrong.
        unsafe { self.remove(hash, place, changes) }
    }

    /// Removes all entries of a group. As with `take`, overflow counts stay.
    pub(super) fn remove_group(
        &mut self,
        index: usize,
        changes: &mut Changes<K, V>,
        mut removed: impl FnMut(Entry<K, V>),
    ) {
        let slots = self.occupied(index);
        if slots.first().is_some() {
            self.current_marks(self.group(index), changes);
        }
        for slot in slots {
            let entry = self.take(index, slot);
            changes.log_removal(&entry.key);
            removed(entry);
        }
    }

    /// Takes the entry of an occupied slot out. Its passage stays counted until the overflow counts are
    /// reset: searches then look further than they need to, but find everything.
    pub(super) fn take(&mut self, index: usize, slot: usize) -> Entry<K, V> {
        assert!(self.occupied(index).contains(slot));
        let group = self.group(index);
        group.set_tags(group.tags().without(slot));
        group.set_marks(group.marks() & !(1 << slot));
        self.write_header().len -= 1;
        // SAFETY: the slot held an entry; with its tag gone nothing reads it again.
        unsafe { group.entry(slot).read() }
    }

    /// Forgets all overflow counts: right when every entry is at home.
    pub(super) fn reset_overflow(&mut self) {
        for index in 0..self.group_count() {
            let group = self.group(index);
            group.set_tags(group.tags().without_overflow());
        }
    }

    /// Whether an entry with this hash lives here when there is room.
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

#[inline(always)]
fn prefetch_line(address: NonNull<u8>) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch reads nothing and SSE is part of every x86-64.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(address.as_ptr().cast()) };
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    let _ = address;
}
