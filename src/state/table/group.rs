//! The two words at the head of a group of seven slots: tags and change marks, as pure arithmetic.
//!
//! ```text
//! tags   byte 0..7   0 = free slot, 0x80 | low seven bits of the key hash = occupied slot
//!        byte 7      how many entries whose home is here or before had to pass on (sticky at 255)
//! marks  byte 0      bit s: slot s was changed under this stamp
//!        byte 1..8   the stamp: under which generation of changes the group was last changed
//! ```
//!
//! Seven tags are compared in one 64-bit word without SIMD instructions. On x86-64 an SSE2 compare is no
//! shorter for eight bytes (it has to cross to the vector registers and back), and this form runs
//! everywhere, Miri included. The compare may also report an *occupied* slot whose tag differs in the
//! lowest bit; the key comparison that follows sorts it out. It never reports a free slot.

use crate::record::KeyHash;

/// Slots of a group: with the overflow count their tags fill one word.
pub(super) const SLOTS: usize = 7;

const OCCUPIED: u64 = 0x0080_8080_8080_8080;
const EVERY_BYTE: u64 = 0x0101_0101_0101_0101;
const OVERFLOW_ONE: u64 = 1 << 56;

/// The tag of an occupied slot: never 0, and bits that choose neither segment nor group.
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
    pub(super) const fn matching(self, tag: Tag) -> Slots {
        let differences = self.0 ^ (EVERY_BYTE * tag.0 as u64);
        Slots(differences.wrapping_sub(EVERY_BYTE) & !differences & OCCUPIED)
    }

    #[inline(always)]
    pub(super) const fn occupied(self) -> Slots {
        Slots(self.0 & OCCUPIED)
    }

    #[inline(always)]
    pub(super) const fn free(self) -> Slots {
        Slots(!self.0 & OCCUPIED)
    }

    /// Whether a search for a key of this group, or of one before it, may have to go on.
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

    /// One more entry passed on. At 255 the count no longer knows and stays until the segment is rebuilt.
    pub(super) const fn overflow_more(self) -> Self {
        if self.0 >> 56 == 0xff {
            self
        } else {
            Tags(self.0 + OVERFLOW_ONE)
        }
    }

    /// One entry that had passed on is gone.
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

/// A set of slots: the top bit of a byte for each.
#[derive(Clone, Copy)]
pub(super) struct Slots(u64);

impl Slots {
    /// The slots whose bits are set in a change mark.
    pub(super) const fn of_marks(marks: u64) -> Self {
        let mut slots = 0;
        let mut slot = 0;
        while slot < SLOTS {
            slots |= (marks >> slot & 1) << (8 * slot + 7);
            slot += 1;
        }
        Slots(slots)
    }

    #[inline(always)]
    pub(super) const fn first(self) -> Option<usize> {
        if self.0 == 0 {
            None
        } else {
            Some(self.0.trailing_zeros() as usize >> 3)
        }
    }

    pub(super) const fn contains(self, slot: usize) -> bool {
        self.0 >> (8 * slot + 7) & 1 == 1
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
        for low in 0..128u64 {
            let tag = Tag::of(KeyHash(low));
            for other in 0..128u64 {
                for place in 0..SLOTS {
                    let next = (place + 1) % SLOTS;
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
        assert_eq!(Slots::of_marks(0b100_1001).collect::<Vec<_>>(), [0, 3, 6]);
        assert_eq!(Tags(0).free().count(), SLOTS);
    }
}
