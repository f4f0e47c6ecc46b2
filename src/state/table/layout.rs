//! The memory layout of a group: two words, then three to seven entries, in whole cache lines.
//!
//! ```text
//! 0        8        16 (or the entries' alignment)                      multiple of 64
//! │ tags   │ marks  │ key value │ key value │ … │ padding │
//! ```
//!
//! With 16-byte entries a group is one line with three slots: a hit touches one line. If keys are distributed randomly,
//! one entry in nine then finds its home full, and searches have to continue for it; if they are consecutively assigned
//! numbers, hardly any does ([`KeyHash`]). Seven slots overflow three times less often, but two hits in five touch a
//! second line, and for a table too large for a cache, the cost is proportional to the lines.
//!
//! With entries of 24 and 32 bytes a group is two lines, with four and three slots; in all but very large tables both
//! are prefetched at once. Seven slots take a seventh less memory, but three and four lines, of which the right one is
//! known only once the tags have arrived: running sums took a sixth to a quarter longer with them at a million evenly
//! spread keys, and from a fifth longer to twice as long with hot keys or ten million (best of nine runs, a noisy
//! machine).
//!
//! [`KeyHash`]: crate::record::KeyHash

#![expect(unsafe_code, reason = "reads and writes raw memory at computed places")]

use std::{marker::PhantomData, ptr::NonNull};

use super::change::SAMPLED;
use super::group::{Marks, SLOTS_MAX, Slots, Tags};
use crate::state::{LINE, prefetch};

/// 2^32 divided by the golden ratio: its multiples are evenly spread.
const GOLDEN: u32 = 0x9e37_79b1;

/// A key and its value, side by side.
pub(super) struct Entry<K, V> {
    pub(super) key: K,
    pub(super) value: V,
}

/// The position of an entry: valid until the table changes.
pub(super) struct Place<K, V> {
    pub(super) group: Group<K, V>,
    pub(super) slot: usize,
}

impl<K, V> Place<K, V> {
    /// The entry at this place, which must still be occupied.
    #[inline(always)]
    pub(super) fn entry(&self) -> NonNull<Entry<K, V>> {
        self.group.entry(self.slot)
    }

    #[inline(always)]
    pub(super) fn value(&self) -> NonNull<V> {
        let entry = self.entry().as_ptr();
        // SAFETY: a field of an entry in bounds; nothing is read.
        unsafe { NonNull::new_unchecked(&raw mut (*entry).value) }
    }
}

const fn max(a: usize, b: usize) -> usize {
    if a < b { b } else { a }
}

/// A pointer to a group of some segment, created only for indices in range.
pub(super) struct Group<K, V> {
    start: NonNull<u8>,
    entries: PhantomData<(K, V)>,
}

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
    /// # Safety
    /// A group of a segment must begin at `start`.
    #[inline(always)]
    pub(super) unsafe fn new(start: NonNull<u8>) -> Self {
        Group {
            start,
            entries: PhantomData,
        }
    }

    /// The group `count` groups further on in the same segment.
    ///
    /// # Safety
    /// There must be one.
    #[inline(always)]
    pub(super) unsafe fn later(self, count: usize) -> Self {
        // SAFETY: as the caller promises.
        unsafe { Group::new(self.start.add(count * Self::SIZE)) }
    }

    #[inline(always)]
    pub(super) fn start(self) -> NonNull<u8> {
        self.start
    }

    /// The offset of the entries, chosen so that none whose size divides a line straddles two lines.
    const ENTRIES: usize = {
        let size = size_of::<Entry<K, V>>();
        let align = if size.is_power_of_two() && size <= LINE {
            size
        } else {
            align_of::<Entry<K, V>>()
        };
        (2 * size_of::<u64>()).next_multiple_of(align)
    };
    /// As many as fit into one line, or else into two, if that is at least three; otherwise seven, or six if that packs
    /// more of them into a line.
    pub(super) const SLOTS: usize = {
        let (one, two) = (Self::slots_of(1), Self::slots_of(2));
        let (six, seven) = (Self::lines(SLOTS_MAX - 1), Self::lines(SLOTS_MAX));
        if 3 <= one && one < SLOTS_MAX {
            one
        } else if 3 <= two && two < SLOTS_MAX {
            two
        } else if (SLOTS_MAX - 1) * seven > SLOTS_MAX * six {
            SLOTS_MAX - 1
        } else {
            SLOTS_MAX
        }
    };
    /// The size of a group in bytes: whole cache lines.
    pub(super) const SIZE: usize = {
        assert!(
            align_of::<Entry<K, V>>() <= LINE,
            "entries aligned beyond a cache line"
        );
        Self::lines(Self::SLOTS) * LINE
    };

    /// How many slots fit into this many lines.
    const fn slots_of(lines: usize) -> usize {
        (lines * LINE).saturating_sub(Self::ENTRIES) / max(size_of::<Entry<K, V>>(), 1)
    }

    const fn lines(slots: usize) -> usize {
        (Self::ENTRIES + slots * size_of::<Entry<K, V>>()).div_ceil(LINE)
    }

    /// Whether this group is in the sample that estimates how much of a table changes: about one in [`SAMPLED`], by
    /// address.
    #[inline(always)]
    pub(super) fn is_sampled(self) -> bool {
        let line = (self.start.addr().get() / LINE) as u32;
        line.wrapping_mul(GOLDEN) < u32::MAX / SAMPLED
    }

    /// Prefetches its first cache line or, in one stage, its first two.
    #[inline(always)]
    pub(super) fn prefetch(self, one_stage: bool) {
        prefetch(self.start.as_ptr());
        if one_stage && Self::SIZE > LINE {
            prefetch(self.start.as_ptr().wrapping_add(LINE));
        }
    }

    /// The last of its cache lines.
    #[inline(always)]
    pub(super) fn last_line(self) -> NonNull<u8> {
        // SAFETY: in the group.
        unsafe { self.start.add(Self::SIZE - LINE) }
    }

    #[inline(always)]
    pub(super) fn tags(self) -> Tags {
        // SAFETY: a group begins with an aligned tag word, initialised since its block was zeroed.
        Tags(unsafe { self.start.cast::<u64>().read() })
    }

    #[inline(always)]
    pub(super) fn set_tags(self, tags: Tags) {
        // SAFETY: as in `tags`; the caller holds the segment's handle exclusively.
        unsafe { self.start.cast::<u64>().write(tags.0) }
    }

    #[inline(always)]
    pub(super) fn marks(self) -> Marks {
        // SAFETY: the second word of a group, initialised since its block was zeroed.
        Marks(unsafe { self.start.cast::<u64>().add(1).read() })
    }

    /// The generation that last changed a slot: one byte of the marks.
    #[inline(always)]
    pub(super) fn generation(self, slot: usize) -> u8 {
        debug_assert!(slot < Self::SLOTS);
        let at = if cfg!(target_endian = "little") {
            slot
        } else {
            7 - slot
        };
        // SAFETY: as in `marks`: one of the eight bytes of that word, in the order that they have here.
        unsafe { self.start.add(size_of::<u64>() + at).read() }
    }

    #[inline(always)]
    pub(super) fn set_marks(self, marks: Marks) {
        // SAFETY: as in `marks`; the caller holds the segment's handle exclusively.
        unsafe { self.start.cast::<u64>().add(1).write(marks.0) }
    }

    #[inline(always)]
    pub(super) fn entry(self, slot: usize) -> NonNull<Entry<K, V>> {
        debug_assert!(slot < Self::SLOTS);
        // SAFETY: `slot` comes from `Slots`, so it is below `SLOTS`, and the offset stays in the
        // group.
        unsafe {
            self.start
                .add(Self::ENTRIES)
                .cast::<Entry<K, V>>()
                .add(slot)
        }
    }
}

impl<K, V> Group<K, V> {
    /// Some of the group's entries.
    ///
    /// # Safety
    /// The slots must be occupied, and nothing may change them or their entries while the result is in use.
    #[inline(always)]
    pub(super) unsafe fn entries<'a>(self, slots: Slots) -> GroupEntries<'a, K, V> {
        GroupEntries {
            group: self,
            slots,
            more: [].iter(),
            len: slots.len(),
            entries: PhantomData,
        }
    }
}

/// Some entries of one or several groups: keys and their values.
pub struct GroupEntries<'a, K, V> {
    group: Group<K, V>,
    slots: Slots,
    more: std::slice::Iter<'a, (Group<K, V>, Slots)>,
    len: usize,
    entries: PhantomData<&'a Entry<K, V>>,
}

impl<'a, K, V> GroupEntries<'a, K, V> {
    /// The entries in these slots of these groups, `len` in total.
    ///
    /// # Safety
    /// The slots must be occupied, and nothing may change them or their entries while the result is in use.
    pub(super) unsafe fn of(groups: &'a [(Group<K, V>, Slots)], len: usize) -> Option<Self> {
        debug_assert_eq!(
            len,
            groups.iter().map(|(_, slots)| slots.len()).sum::<usize>()
        );
        let (&(group, slots), more) = groups.split_first()?;
        Some(GroupEntries {
            group,
            slots,
            more: more.iter(),
            len,
            entries: PhantomData,
        })
    }

    /// The total number of slots in the groups.
    pub(in crate::state) fn slot_count(&self) -> usize {
        (1 + self.more.len()) * Group::<K, V>::SLOTS
    }

    /// Calls `each` for every slot of the groups: with `true` for a slot with one of these entries, otherwise with
    /// `false` and some entry in its place. Which slots are occupied is random, and a mispredicted branch costs more
    /// than the slots visited in vain.
    #[inline(always)]
    pub(in crate::state) fn each_slot(mut self, mut each: impl FnMut(&'a K, &'a V, bool)) {
        let (mut group, mut slots, more) = (self.group, self.slots, self.more.clone());
        let Some(in_place) = self.next() else {
            return;
        };
        let mut more = more.copied();
        loop {
            for slot in 0..Group::<K, V>::SLOTS {
                let is_one = slots.contains(slot);
                let (key, value) = if is_one {
                    // SAFETY: the slot holds an entry that stays unchanged, as the constructor's caller promised.
                    let Entry { key, value } = unsafe { group.entry(slot).as_ref() };
                    (key, value)
                } else {
                    in_place
                };
                each(key, value, is_one);
            }
            match more.next() {
                Some(next) => (group, slots) = next,
                None => return,
            }
        }
    }
}

impl<K, V> std::fmt::Debug for GroupEntries<'_, K, V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GroupEntries")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

impl<'a, K, V> Iterator for GroupEntries<'a, K, V> {
    type Item = (&'a K, &'a V);

    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        let slot = loop {
            match self.slots.next() {
                Some(slot) => break slot,
                None => (self.group, self.slots) = *self.more.next()?,
            }
        };
        self.len -= 1;
        // SAFETY: the slot holds an entry that stays unchanged, as the constructor's caller promised.
        let Entry { key, value } = unsafe { self.group.entry(slot).as_ref() };
        Some((key, value))
    }

    #[inline(always)]
    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.len, Some(self.len))
    }
}

impl<K, V> ExactSizeIterator for GroupEntries<'_, K, V> {}
