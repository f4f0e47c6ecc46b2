//! The two words at the start of a group of up to seven slots: tags and change marks, as pure arithmetic.
//!
//! ```text
//! tags   byte 0..7   0 = free slot, 0x80 | low seven bits of the key hash = occupied slot
//!        byte 7      how many entries whose home is here or before had to move past (sticky at 255)
//! marks  byte 0..7   the generation that last changed the slot, 1 or 2; 0 once it is handed out
//!        byte 7      bits 0, 1: some slot was changed in generation 1, 2; bits 2..8: a count of the
//!                    freezes of the whole table, as of when the group was last handed out
//! ```
//!
//! On x86-64 the seven tags are compared by SSE2, elsewhere and under Miri in one 64-bit word. The word takes no more
//! instructions, but four 64-bit constants, and a loop that also hashes does not have enough registers for those:
//! measured, it cost a quarter of the time of a hit in cache. The load stays eight bytes wide, so that it never
//! overlaps a mark that is still in the store buffer (a hot key would wait for it every time). The portable compare may
//! also report an *occupied* slot whose tag differs in the lowest bit; the key comparison that follows rejects it. No
//! compare reports a free slot.

#![cfg_attr(
    all(target_arch = "x86_64", not(miri)),
    expect(unsafe_code, reason = "vector instructions")
)]

use crate::record::KeyHash;

/// The maximum number of slots in a group: with the overflow count their tags fill one word.
pub(super) const SLOTS_MAX: usize = 7;

const TOP_BITS: u64 = 0x0080_8080_8080_8080;
const EVERY_SLOT: u32 = (1 << SLOTS_MAX) - 1;
#[cfg(not(all(target_arch = "x86_64", not(miri))))]
const EVERY_BYTE: u64 = 0x0101_0101_0101_0101;
const OVERFLOW_ONE: u64 = 1 << 56;

/// The tag of an occupied slot: never 0, and from bits that choose neither segment nor group.
#[derive(Clone, Copy)]
pub(super) struct Tag(u8);

impl Tag {
    #[inline(always)]
    pub(super) const fn of(hash: KeyHash) -> Self {
        Tag(hash.0 as u8 | 0x80)
    }
}

/// The tags of a group and its overflow count.
#[derive(Clone, Copy)]
pub(super) struct Tags(pub(super) u64);

impl Tags {
    /// The slots that may hold an entry with this tag.
    #[inline(always)]
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    pub(super) fn matching(self, tag: Tag) -> Slots {
        use std::arch::x86_64::{
            _mm_cmpeq_epi8, _mm_cvtsi64_si128, _mm_movemask_epi8, _mm_set1_epi8,
        };
        // SAFETY: SSE2 is part of every x86-64, and these read no memory.
        let equal = unsafe {
            let tags = _mm_cvtsi64_si128(self.0 as i64);
            _mm_movemask_epi8(_mm_cmpeq_epi8(tags, _mm_set1_epi8(tag.0 as i8)))
        };
        Slots(equal as u32 & EVERY_SLOT)
    }

    /// The slots that may hold an entry with this tag.
    #[inline(always)]
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    pub(super) fn matching(self, tag: Tag) -> Slots {
        let differences = self.0 ^ (EVERY_BYTE * u64::from(tag.0));
        Slots::of_bytes(differences.wrapping_sub(EVERY_BYTE) & !differences)
    }

    #[inline(always)]
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    pub(super) fn occupied(self) -> Slots {
        use std::arch::x86_64::{_mm_cvtsi64_si128, _mm_movemask_epi8};
        // SAFETY: SSE2 is part of every x86-64, and these read no memory.
        let bits = unsafe { _mm_movemask_epi8(_mm_cvtsi64_si128(self.0 as i64)) };
        Slots(bits as u32 & EVERY_SLOT)
    }

    #[inline(always)]
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    pub(super) const fn occupied(self) -> Slots {
        Slots::of_bytes(self.0)
    }

    /// The free slots of a group with this many slots.
    #[inline(always)]
    pub(super) fn free(self, slots: usize) -> Slots {
        Slots(!self.occupied().0 & ((1 << slots) - 1))
    }

    /// Whether a search that starts at or before this group may have to continue past it.
    #[inline(always)]
    pub(super) const fn overflows(self) -> bool {
        self.0 >= OVERFLOW_ONE
    }

    pub(super) const fn with(self, slot: usize, tag: Tag) -> Self {
        Tags(self.0 | (tag.0 as u64) << (8 * slot))
    }

    pub(super) const fn without(self, slot: usize) -> Self {
        Tags(self.0 & !(0xff << (8 * slot)))
    }

    /// Counts one more entry that moved past. At 255 the count saturates and stays until the segment is rebuilt.
    pub(super) const fn overflow_more(self) -> Self {
        if self.0 >> 56 == 0xff {
            self
        } else {
            Tags(self.0 + OVERFLOW_ONE)
        }
    }

    /// Counts one entry less that moved past.
    pub(super) const fn overflow_less(self) -> Self {
        if self.0 >> 56 == 0xff {
            self
        } else {
            Tags(self.0 - OVERFLOW_ONE)
        }
    }

    pub(super) const fn without_overflow(self) -> Self {
        Tags(self.0 & (OVERFLOW_ONE - 1))
    }
}

/// The change marks of a group, see the diagram above.
#[derive(Clone, Copy)]
pub(super) struct Marks(pub(super) u64);

const EVERY_MARK: u64 = 0x00ff_ffff_ffff_ffff;
const WHOLE_SHIFT: u32 = 58;

impl Marks {
    /// The count after `whole`. Every freeze of the whole table reaches every group, so a group's count is the last
    /// one, or 0 in a new group.
    pub(super) const fn next_whole(whole: u8) -> u8 {
        if whole == 63 { 1 } else { whole + 1 }
    }

    pub(super) const fn whole(self) -> u8 {
        (self.0 >> WHOLE_SHIFT) as u8
    }

    pub(super) const fn with_whole(self, whole: u8) -> Self {
        let others = (1 << WHOLE_SHIFT) - 1;
        Marks(self.0 & others | (whole as u64) << WHOLE_SHIFT)
    }

    /// The slots that `generation` changed.
    pub(super) const fn changed_in(self, generation: u8) -> Slots {
        // Generations 1 and 2 have one bit each. It is shifted to the top of its byte.
        Slots::of_bytes((self.0 & EVERY_MARK) << (8 - generation))
    }

    /// Whether some slot was changed in `generation`.
    pub(super) const fn holds(self, generation: u8) -> bool {
        self.0 & Self::held(generation) != 0
    }

    const fn held(generation: u8) -> u64 {
        (generation as u64) << 56
    }

    /// Marks a slot as changed in `generation`.
    pub(super) const fn with(self, slot: usize, generation: u8) -> Self {
        Marks(self.without(slot).0 | (generation as u64) << (8 * slot) | Self::held(generation))
    }

    /// Marks every occupied slot as changed in `generation`, and none in another.
    pub(super) const fn with_occupied(self, tags: Tags, generation: u8) -> Self {
        let every = ((tags.0 & TOP_BITS) >> 7) * generation as u64;
        let held = if every == 0 {
            0
        } else {
            Self::held(generation)
        };
        Marks(every | held).with_whole(self.whole())
    }

    /// Clears the mark of a slot.
    pub(super) const fn without(self, slot: usize) -> Self {
        Marks(self.0 & !(0xff << (8 * slot)))
    }

    /// Clears the marks of all slots.
    pub(super) const fn without_any(self) -> Self {
        self.forget(1).forget(2)
    }

    /// Clears the marks of `generation`.
    pub(super) const fn forget(self, generation: u8) -> Self {
        let every = 0x0101_0101_0101_0101 * generation as u64;
        Marks(self.0 & !every)
    }
}

/// A set of slots: one bit for each.
#[derive(Clone, Copy)]
pub(super) struct Slots(u32);

impl Slots {
    /// The slots whose bytes have their top bit set.
    const fn of_bytes(bytes: u64) -> Self {
        // Each top bit moves to its own position in the top byte: no two of the products overlap.
        let bits = (bytes & TOP_BITS) >> 7;
        Slots((bits.wrapping_mul(0x0102_0408_1020_4080) >> 56) as u32 & EVERY_SLOT)
    }

    pub(super) const fn none() -> Self {
        Slots(0)
    }

    pub(super) const fn only(slot: usize) -> Self {
        Slots(1 << slot)
    }

    pub(super) const fn without(self, others: Slots) -> Self {
        Slots(self.0 & !others.0)
    }

    #[inline(always)]
    pub(super) const fn first(self) -> Option<usize> {
        if self.0 == 0 {
            None
        } else {
            Some(self.0.trailing_zeros() as usize)
        }
    }

    #[inline(always)]
    pub(super) const fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    pub(super) const fn contains(self, slot: usize) -> bool {
        self.0 >> slot & 1 == 1
    }
}

impl Iterator for Slots {
    type Item = usize;

    #[inline(always)]
    fn next(&mut self) -> Option<usize> {
        let slot = self.first()?;
        self.0 &= self.0 - 1;
        Some(slot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matching_finds_every_equal_tag_and_no_free_slot() {
        let step = if cfg!(miri) { 19 } else { 1 };
        for low in (0..128u64).step_by(step) {
            let tag = Tag::of(KeyHash(low));
            for other in (0..128u64).step_by(step) {
                for place in 0..SLOTS_MAX {
                    let next = (place + 1) % SLOTS_MAX;
                    let tags = Tags(0x7f << 56)
                        .with(place, tag)
                        .with(next, Tag::of(KeyHash(other)));
                    let found = tags.matching(tag);
                    assert!(found.contains(place));
                    assert!(found.into_iter().all(|slot| tags.occupied().contains(slot)));
                    assert!(other != low || found.contains(next));
                    assert!(other ^ low < 2 || !found.contains(next));
                }
            }
        }
    }

    #[test]
    fn overflow_count_is_sticky_at_its_end() {
        let mut tags = Tags(0);
        for _ in 0..300 {
            tags = tags.overflow_more();
        }
        for _ in 0..300 {
            tags = tags.overflow_less();
        }
        assert!(tags.overflows());
        assert!(!Tags(0).overflow_more().overflow_less().overflows());
    }

    #[test]
    fn marks_become_slots() {
        let marks = Marks(0).with(0, 1).with(3, 2).with(6, 1).with_whole(63);
        assert_eq!(marks.changed_in(1).collect::<Vec<_>>(), [0, 6]);
        assert_eq!(marks.changed_in(2).collect::<Vec<_>>(), [3]);
        let forgotten = marks.forget(1);
        assert!(!forgotten.holds(1) && forgotten.holds(2));
        assert_eq!(forgotten.changed_in(1).count(), 0);
        assert_eq!((forgotten.whole(), marks.whole()), (63, 63));
        assert_eq!(Tags(0).free(SLOTS_MAX).count(), SLOTS_MAX);
        let tags = Tags(0x7f << 56)
            .with(1, Tag::of(KeyHash(5)))
            .with(6, Tag::of(KeyHash(0x7f)));
        let all = forgotten.with_occupied(tags, 2);
        assert_eq!(all.changed_in(2).collect::<Vec<_>>(), [1, 6]);
        assert_eq!((all.changed_in(1).count(), all.whole()), (0, 63));
        assert!(all.holds(2) && !forgotten.with_occupied(tags, 1).holds(2));
        assert!(!Marks(0).with_occupied(Tags(0), 1).holds(1));
    }
}
