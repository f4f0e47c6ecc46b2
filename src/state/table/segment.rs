//! A segment: a small open-addressing table over one contiguous range of key hashes.
//!
//! For how it is searched, see [`super::handle`]. What an insertion reads and changes is stored outside of its block.
//!
//! Invariant: entries are owned through tags, not through handles. A [`Segment`] is assembled from its handle and its
//! counts when needed; its creator accesses the segment through only one at a time.

#![expect(
    unsafe_code,
    reason = "entries live in uninitialised memory, found by tags"
)]

use std::ptr::NonNull;

use super::change::{Changes, Owed};
use super::chunks::ROOM;
use super::group::Slots;
use super::handle::{BLOCK_ALIGN, HEADER_SIZE, Handle};
use super::layout::{Group, GroupEntries, Place};
use crate::record::KeyHash;
use crate::seeded_bugs::seeded;
use crate::state::{LINE, prefetch};

const SEGMENT_SIZE: usize = 64 << 10;
/// If at most one entry in this many is away from home, searches seldom continue.
const STRAYED_FEW: u32 = 24;
/// If one entry in four is away from home, hashes are not random but clustered. A segment with sixteen slots per entry
/// has room enough.
const CROWDED: (u32, u32) = (4, 16);
/// A table of one segment, below full size, fits into the nearest caches. There a mispredicted branch costs more than
/// space does.
const CROWDED_SMALL: (u32, u32) = (32, 4);
/// A drain of every group prefetches this many groups ahead: a slice ends before the hardware prefetcher picks up the
/// pattern.
const GROUPS_AHEAD: usize = 16;
const RUN_MAX: usize = 32;
const SUMMARY_LOG2: u32 = 8;
const STAGGERS: usize = 8;
/// Up to this many bits of a summary count as few.
const FEW_BITS: usize = 1 << (SUMMARY_LOG2 - 2);
const SUMMARY_WORDS: usize = (1 << SUMMARY_LOG2) / 64;

/// The fields that every insertion reads and changes. They are stored beside those of other segments rather than in
/// front of the groups, so that they are cached even when the segments are not.
#[derive(Clone, Copy, Default)]
pub(super) struct Counts {
    pub(super) len: u32,
    /// The length at which the segment is full.
    limit: u32,
    groups: u32,
    /// How many entries are not in their home group.
    pub(super) strayed: u32,
}

impl Counts {
    /// Whether more than one entry in `strayed` is away from home although there is room for all: more groups, or a
    /// smaller range, would separate them. False if there are so few entries that this was already tried in vain.
    fn is_crowded(&self, (strayed, slots_per_entry): (u32, u32), slots: u32) -> bool {
        self.strayed * strayed > self.len && self.len * slots_per_entry > self.groups * slots
    }
}

/// In front of the groups: for each of generations 1 and 2, which groups may hold slots that it changed. Initially 0.
type Summaries = [[u64; SUMMARY_WORDS]; 2];

const _: () = assert!(size_of::<Summaries>() <= HEADER_SIZE);

/// One segment, while it is being read or changed; see the module's invariant.
pub(super) struct Segment<K, V> {
    handle: Handle<K, V>,
    counts: NonNull<Counts>,
}

impl<K, V> Segment<K, V> {
    /// The maximum number of groups in a segment: about 64 KB, but enough for an even fill.
    pub(super) const GROUPS_MAX: usize = {
        let groups = SEGMENT_SIZE / Group::<K, V>::SIZE;
        if groups <= 16 { 16 } else { groups & !1 }
    };

    /// The block size in bytes of a segment with this many groups.
    pub(super) const fn block_size(groups: usize) -> usize {
        (HEADER_SIZE + Group::<K, V>::SIZE * groups).next_multiple_of(BLOCK_ALIGN)
    }

    /// A segment without entries, of `groups` groups, for keys that share `depth` bits, full at the length `limit`.
    ///
    /// # Safety
    /// `block` must be aligned to [`BLOCK_ALIGN`], have `block_size(groups)` zeroed bytes (only the header and the
    /// first two words of each group need to be zero) and not be in use elsewhere. Both must remain so while handles of
    /// the segment are used. `groups` must be even, more than 0 and below 2^32; `depth` must be below 64. `counts` must
    /// be valid for writes, and as for [`Segment::of`].
    pub(super) unsafe fn new(
        block: NonNull<u8>,
        (groups, depth, limit): (usize, u32, usize),
        counts: NonNull<Counts>,
    ) -> Self {
        let initial = Counts {
            len: 0,
            limit: limit as u32,
            groups: groups as u32,
            strayed: 0,
        };
        // SAFETY: as the caller promises.
        unsafe {
            counts.write(initial);
            Segment::of(Handle::new(block, depth), counts)
        }
    }

    /// The segment with this handle and these counts.
    ///
    /// # Safety
    /// They must be those of a segment whose block is in use. No other `Segment` of it may be used while this one is,
    /// unless neither changes it, and the counts must stay where they are.
    #[inline(always)]
    pub(super) unsafe fn of(handle: Handle<K, V>, counts: NonNull<Counts>) -> Self {
        Segment { handle, counts }
    }

    pub(super) fn handle(&self) -> Handle<K, V> {
        self.handle
    }

    /// The length at which a segment of `groups` groups is full if this share of its hashes occurs: between 0.69 and
    /// 0.81 of the slots, depending on `stagger`. Segments that filled up all at once would also all split at once,
    /// faster than memory can be prepared. Fuller ones would cost more in searches that have to continue (each a
    /// mispredicted branch) than they save in memory.
    pub(super) fn limit(groups: usize, share: f64, stagger: usize) -> usize {
        let slots = (groups * Group::<K, V>::SLOTS) as f64 * share;
        let spared = 3.0 / 16.0 + (stagger % STAGGERS) as f64 / (8 * STAGGERS) as f64;
        (slots * (1.0 - spared)).ceil() as usize
    }

    pub(super) fn group(&self, index: usize) -> Group<K, V> {
        assert!(index < self.group_count());
        // SAFETY: the index is in range.
        unsafe { self.handle.group(index) }
    }

    /// The group where an entry with this hash belongs.
    #[inline(always)]
    pub(super) fn home_group(&self, hash: KeyHash) -> (usize, Group<K, V>) {
        let home = self.home(hash);
        // SAFETY: a home is among the groups.
        (home, unsafe { self.handle.group(home) })
    }

    #[inline(always)]
    pub(super) fn home(&self, hash: KeyHash) -> usize {
        self.handle.home_among(hash, self.group_count() as u64)
    }

    fn summaries(&self) -> &Summaries {
        // SAFETY: a block begins with them, zeroed before `new`; they change only under `&mut self`.
        unsafe { self.handle.block().cast().as_ref() }
    }

    fn summary_mut(&mut self, generation: u8) -> &mut [u64; SUMMARY_WORDS] {
        // SAFETY: as in `summaries`; the handle is held exclusively.
        let summaries: &mut Summaries = unsafe { self.handle.block().cast().as_mut() };
        &mut summaries[usize::from(generation - 1)]
    }

    fn counts(&self) -> &Counts {
        // SAFETY: initialised by `new`; they change only under `&mut self`.
        unsafe { self.counts.as_ref() }
    }

    pub(super) fn counts_mut(&mut self) -> &mut Counts {
        // SAFETY: as in `counts`; the handle is held exclusively.
        unsafe { self.counts.as_mut() }
    }

    pub(super) fn group_count(&self) -> usize {
        self.counts().groups as usize
    }

    pub(super) fn len(&self) -> usize {
        self.counts().len as usize
    }

    /// Whether an entry that finds room at home may take it. Too many entries away from home also make a segment full
    /// ([`is_full`](Self::is_full)), but it suffices to notice that when the next one does not find room at home.
    #[inline(always)]
    pub(super) fn has_room(&self) -> bool {
        let counts = self.counts();
        counts.len < counts.limit
    }

    /// Whether the next insertion should make more room first.
    pub(super) fn is_full(&self) -> bool {
        let crowded = if Group::<K, V>::SIZE == LINE && self.group_count() < Self::GROUPS_MAX {
            CROWDED_SMALL
        } else {
            CROWDED
        };
        let slots = Group::<K, V>::SLOTS as u32;
        !self.has_room() || self.counts().is_crowded(crowded, slots)
    }

    /// How many groups an even fill with this many entries needs, by the lowest limit. A few segments get more and
    /// split, but twice the memory for all would cost more: it has to be cleared before it is filled, and every
    /// checkpoint of the whole table scans it.
    pub(super) fn groups_for(entries: f64) -> f64 {
        entries / (Group::<K, V>::SLOTS as f64 * 11.0 / 16.0)
    }

    /// Sets how many bits the keys of the segment share. Earlier handles become invalid, and entries have to move
    /// before the segment is searched.
    pub(super) fn deepen(&mut self, depth: u32, limit: usize) {
        self.counts_mut().limit = limit as u32;
        // SAFETY: the block is that of `new`.
        self.handle = unsafe { Handle::new(self.handle.block(), depth) };
    }

    /// Whether so many entries are away from home that a search should check in advance where it will continue; `None`
    /// if none is.
    #[inline(always)]
    pub(super) fn has_many_strays(&self) -> Option<bool> {
        let counts = self.counts();
        (counts.strayed > 0).then(|| counts.strayed * STRAYED_FEW > counts.len)
    }

    /// Marks the entry at `place` as changed and returns a pointer to its value.
    ///
    /// # Safety
    /// `place` must have been found in this segment, with no entry inserted or removed since.
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
    /// Only this slot's entry is handed out to the frozen generation: the rest of the group may be in another cache
    /// line, and the drain, which scans memory in order, will reach it sooner than records do.
    #[inline(never)]
    fn first_touch(&mut self, place: Place<K, V>, changes: &mut Changes<K, V>) {
        if changes.frozen.is_some() && !seeded("no-copy-on-first-touch") {
            hand_out_slot(place, changes);
        } else if changes.marks_groups() && !place.group.is_sampled() {
            return mark_group(place.group, changes);
        }
        self.change(place, changes);
    }

    /// Marks a slot whose entry has changed for the first time in the current generation, or is new.
    pub(super) fn change(&mut self, place: Place<K, V>, changes: &mut Changes<K, V>) {
        if place.group.is_sampled() {
            changes.count_sampled();
        }
        self.mark(place, changes);
    }

    /// Marks a slot as changed in the current generation; nothing of it may still be owed.
    pub(super) fn mark(&mut self, place: Place<K, V>, changes: &mut Changes<K, V>) {
        let (group, generation) = (place.group, changes.generation);
        if generation != 0 {
            if !group.marks().holds(generation) && changes.take_note() {
                self.summarise(self.index_of(group), generation);
            }
            group.set_marks(group.marks().with(place.slot, generation));
        }
    }

    pub(super) fn index_of(&self, group: Group<K, V>) -> usize {
        (group.start().addr().get() - self.handle.first().addr().get()) / Group::<K, V>::SIZE
    }

    fn summary_bit(&self, index: usize) -> usize {
        index >> self.summary_shift()
    }

    /// The base-2 logarithm of the number of groups that share a bit of a summary.
    fn summary_shift(&self) -> u32 {
        let bits = self.group_count().next_power_of_two().ilog2();
        bits.saturating_sub(SUMMARY_LOG2)
    }

    fn summarise(&mut self, index: usize, generation: u8) {
        let bit = self.summary_bit(index);
        let summary = self.summary_mut(generation);
        summary[bit / 64] |= 1 << (bit % 64);
    }

    /// Whether the group may hold slots that this generation changed.
    pub(super) fn may_hold(&self, index: usize, generation: u8) -> bool {
        let bit = self.summary_bit(index);
        self.summaries()[usize::from(generation - 1)][bit / 64] >> (bit % 64) & 1 == 1
    }

    /// Whether any group may.
    pub(super) fn any_may_hold(&self, generation: u8) -> bool {
        self.summaries()[usize::from(generation - 1)] != [0; SUMMARY_WORDS]
    }

    /// Prefetches the first cache lines of the groups that may, if they are few: if they are many, they are so close
    /// together that the hardware prefetcher fetches them.
    pub(super) fn prefetch_holding(&self, generation: u8) {
        let summary = self.summaries()[usize::from(generation - 1)];
        let bits: u32 = summary.iter().map(|word| word.count_ones()).sum();
        if bits as usize > FEW_BITS {
            return;
        }
        let shift = self.summary_shift();
        for (place, mut word) in summary.into_iter().enumerate() {
            while word != 0 {
                let bit = 64 * place + word.trailing_zeros() as usize;
                word &= word - 1;
                for group in bit << shift..self.group_count().min((bit + 1) << shift) {
                    prefetch(self.group(group).start().as_ptr());
                }
            }
        }
    }

    /// Prefetches the first cache line of a group, if the group exists.
    #[inline]
    pub(super) fn prefetch_group(&self, index: usize) {
        if index < self.group_count() {
            prefetch(self.group(index).start().as_ptr());
        }
    }

    pub(super) fn forget_summary(&mut self, generation: u8) {
        *self.summary_mut(generation) = [0; SUMMARY_WORDS];
    }

    /// Hands out what the frozen generation still owes of a group; returns the number of entries.
    pub(super) fn hand_out(&mut self, index: usize, changes: &mut Changes<K, V>) -> usize {
        self.hand_out_group(self.group(index), changes)
    }

    pub(super) fn hand_out_group(
        &mut self,
        group: Group<K, V>,
        changes: &mut Changes<K, V>,
    ) -> usize {
        let pending = settle(group, changes.owed());
        let count = pending.len();
        if count > 0 {
            // SAFETY: only occupied slots are pending: a removal clears the mark along with the tag. Encoding the
            // entries changes none of them.
            changes.hand_out(unsafe { group.entries(pending) });
        }
        count
    }

    /// Hands out what the frozen generation still owes of the groups from `index` on, until about `budget` is spent on
    /// entries and groups. Returns the next index and what was spent.
    pub(super) fn hand_out_run(
        &mut self,
        mut index: usize,
        budget: usize,
        changes: &mut Changes<K, V>,
    ) -> (usize, usize) {
        let (count, owed, mut spent) = (self.group_count(), changes.owed(), 0);
        let mut run = [(self.group(0), Slots::none()); RUN_MAX];
        while index < count && spent < budget {
            let groups = Self::RUN.min(count - index).min(budget - spent);
            let mut entries = 0;
            for (ahead, place) in run[..groups].iter_mut().enumerate() {
                self.prefetch_group(index + ahead + GROUPS_AHEAD);
                let group = self.group(index + ahead);
                let pending = settle(group, owed);
                entries += pending.len();
                *place = (group, pending);
            }
            // SAFETY: as in `hand_out_group`.
            if let Some(entries) = unsafe { GroupEntries::of(&run[..groups], entries) } {
                changes.hand_out(entries);
            }
            spent += groups + entries;
            index += groups;
        }
        (index, spent)
    }

    /// The number of groups encoded at a time: as many as fit into the spare room of a chunk.
    const RUN: usize = {
        let fitting = ROOM / Group::<K, V>::SIZE;
        if fitting == 0 {
            1
        } else if fitting > RUN_MAX {
            RUN_MAX
        } else {
            fitting
        }
    };
}

/// Returns the slots of a group that the frozen generation still owes, and marks them as no longer owed: they must be
/// encoded before anything changes.
#[inline(always)]
fn settle<K, V>(group: Group<K, V>, owed: Owed) -> Slots {
    let (tags, marks) = (group.tags(), group.marks());
    group.set_marks(owed.passed(tags, marks, group.is_sampled()));
    owed.of(tags, marks)
}

/// Hands out what the frozen generation still owes of a slot.
fn hand_out_slot<K, V>(place: Place<K, V>, changes: &mut Changes<K, V>) {
    let group = place.group;
    let pending = changes.owed().of(group.tags(), group.marks());
    if pending.contains(place.slot) {
        // SAFETY: only occupied slots are pending, see `hand_out_group`.
        changes.hand_out(unsafe { group.entries(Slots::only(place.slot)) });
    }
}

/// Marks all entries of a group as changed in the current generation; nothing of it may still be owed.
fn mark_group<K, V>(group: Group<K, V>, changes: &Changes<K, V>) {
    let marks = group.marks();
    group.set_marks(marks.with_occupied(group.tags(), changes.generation));
}
