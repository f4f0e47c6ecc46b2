//! Change tracking since the last freeze: generations, the frozen one, and the bytes already handed out.
//!
//! Every slot carries the number of the generation that last changed it: 1 and 2 alternately, or 0 once that change was
//! handed out. A freeze only switches the table to the other number; from then on slots with the old one belong to the
//! frozen generation, and the first change of such a slot hands out its entry beforehand (copy on first touch). So the
//! hot path pays one comparison with a byte of the group's first cache line, which it has loaded anyway, and a table
//! that tracks nothing has number 0 everywhere and pays the same.
//!
//! If the next freeze is known to be of the whole table, nobody will ask which slots changed: all slots of a group are
//! then marked at once, when something in it changes while nothing is frozen, or when the drain passes it, so that a
//! group sees few first changes. Only in this case do slots count as changed that were not. A sample of the groups is
//! tracked as before: it tells whether most of the table has changed, so that the freeze after next should be of the
//! whole table, too.
//!
//! Segments note in their headers which groups have changed, so that a drain need not examine all of them. A header is
//! one more cache line for the first change of a group: so noting stops, and the drain examines every group, if a good
//! part of the table has changed, or if the next freeze will be of the whole table.
//!
//! Invariant: when nothing is frozen, a slot's number is 0 or the current one; a free slot's is 0.

use std::fmt;

use super::chunks::Chunks;
use super::group::{Marks, Slots, Tags};
use super::layout::GroupEntries;
use crate::seeded_bugs::seeded;

/// At most about one group in this many is noted.
const NOTED_SHARE: usize = 8;
/// The number of notes allowed in any table, however small.
const NOTES_MIN: usize = 4096;
/// About one group in this many is in the sample.
pub(super) const SAMPLED: u32 = 32;
/// For tables with fewer entries the amount handed out does not matter, and a sample tells nothing.
const SAMPLED_MIN: usize = 4096;

/// How a table encodes changes: a reader must be able to separate what is appended.
pub struct EncodeChange<K, V> {
    /// Appends some entries, as they were at the freeze.
    pub set: fn(GroupEntries<'_, K, V>, &mut Vec<u8>),
    /// Appends a key that was removed.
    pub removed: fn(&K, &mut Vec<u8>),
}

impl<K, V> Clone for EncodeChange<K, V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K, V> Copy for EncodeChange<K, V> {}

impl<K, V> fmt::Debug for EncodeChange<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EncodeChange").finish_non_exhaustive()
    }
}

/// Slices drained from a frozen generation. All its removals count as made before all its sets: a key that was removed
/// and inserted again is in both.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Drained {
    /// The removed keys, encoded one after the other.
    pub removed: Vec<u8>,
    /// The number of removed keys.
    pub removed_count: u64,
    /// The entries set.
    pub set: Chunks,
}

impl Drained {
    /// Whether nothing was drained.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.removed_count == 0 && self.set.count() == 0
    }

    /// Discards what was drained but keeps some of the memory.
    pub fn clear(&mut self) {
        self.removed.clear();
        self.removed_count = 0;
        self.set.clear();
    }
}

/// The extent of a freeze.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// Entries changed and keys removed since the previous freeze: a delta.
    Changes,
    /// Every entry: a base. Earlier removals are forgotten.
    Whole,
}

/// A frozen generation that is not yet drained.
#[derive(Clone, Copy)]
pub(super) struct Frozen {
    pub(super) extent: Extent,
    /// Whether every group must be examined, because summaries do not tell which ones owe something.
    pub(super) every_group: bool,
    /// Segments before this hash are drained.
    pub(super) position: u64,
    /// And the groups before this one in the segment at `position`.
    pub(super) group: usize,
}

/// The change tracking of one table.
pub(super) struct Changes<K, V> {
    /// The current generation's number; always 0 if changes are not tracked.
    pub(super) generation: u8,
    /// How many freezes were of the whole table, as far as [`Marks`] counts.
    wholes: u8,
    encode: Option<EncodeChange<K, V>>,
    pub(super) frozen: Option<Frozen>,
    /// The next freeze will be of the whole table: it does not matter which slots change until then.
    whole_is_next: bool,
    /// How many more groups of the current generation may be noted.
    notes_left: usize,
    /// How many entries in the sample have changed in the current generation.
    sampled: usize,
    /// The number of entries at the last freeze.
    len_before: usize,
    /// Entries of the frozen generation that no drain has fetched yet.
    ready: Chunks,
    /// Removals of the frozen generation that no drain has fetched yet.
    owed_removals: Vec<Piece>,
    removals: Removals,
}

impl<K, V> Changes<K, V> {
    pub(super) fn new(encode: Option<EncodeChange<K, V>>) -> Self {
        Changes {
            generation: u8::from(encode.is_some()),
            wholes: 0,
            encode,
            frozen: None,
            whole_is_next: false,
            notes_left: NOTES_MIN,
            sampled: 0,
            len_before: 0,
            ready: Chunks::default(),
            owed_removals: Vec::new(),
            removals: Removals::default(),
        }
    }

    pub(super) fn tracked(&self) -> bool {
        self.encode.is_some()
    }

    /// Whether, according to the sample, more than half of `len` entries have changed since the last freeze. False if
    /// the table was largely filled since then.
    pub(super) fn are_most(&self, len: usize) -> bool {
        let estimate = self.sampled.saturating_mul(SAMPLED as usize);
        len >= SAMPLED_MIN && estimate > len / 2 && len / 2 <= self.len_before
    }

    /// Freezes the current generation of a table with this many groups and entries.
    pub(super) fn freeze(&mut self, extent: Extent, groups: usize, len: usize) {
        assert!(
            self.tracked(),
            "a table that does not track changes cannot be frozen"
        );
        assert!(
            self.frozen.is_none(),
            "the generation frozen before is not drained"
        );
        self.generation = self.frozen_generation();
        let is_whole = extent == Extent::Whole;
        let every_group =
            std::mem::take(&mut self.whole_is_next) || is_whole || self.notes_left == 0;
        self.notes_left = NOTES_MIN.max(groups / NOTED_SHARE);
        (self.sampled, self.len_before) = (0, len);
        if is_whole {
            self.wholes = Marks::next_whole(self.wholes);
        }
        std::mem::swap(&mut self.owed_removals, &mut self.removals.pieces);
        self.frozen = Some(Frozen {
            extent,
            every_group,
            position: 0,
            group: 0,
        });
    }

    /// Appends removals of the frozen generation to `out`, until about `budget` is spent; returns what was spent. A
    /// base has no removals: they are discarded.
    pub(super) fn fetch_removals(&mut self, budget: usize, out: &mut Drained) -> usize {
        let whole = |frozen: &Frozen| frozen.extent == Extent::Whole;
        let wanted = !self.frozen.as_ref().is_some_and(whole) && !seeded("removals-not-kept");
        let mut spent = 0;
        while spent < budget
            && let Some(mut piece) = self.owed_removals.pop()
        {
            if wanted {
                out.removed.append(&mut piece.bytes);
                out.removed_count += piece.count;
                spent += piece.count as usize;
            }
            spent += 1;
            self.removals.use_again(piece);
        }
        spent
    }

    /// Moves the entries that are ready to the end of `out`: full chunks, or all once nothing is frozen.
    pub(super) fn fetch_ready(&mut self, out: &mut Drained) {
        self.ready.hand_on(self.frozen.is_none(), &mut out.set);
    }

    /// Announces that the next freeze will be of the whole table.
    pub(super) fn expect_whole(&mut self) {
        self.whole_is_next = self.tracked();
    }

    /// The number of the generation before the current one.
    pub(super) fn frozen_generation(&self) -> u8 {
        3 - self.generation
    }

    /// What groups currently owe.
    #[inline(always)]
    pub(super) fn owed(&self) -> Owed {
        Owed {
            extent: self.frozen.as_ref().map(|frozen| frozen.extent),
            generation: self.generation,
            wholes: self.wholes,
            marks_groups: self.whole_is_next,
        }
    }

    /// Whether a change in a group marks the whole group, unless it is in the sample.
    #[inline]
    pub(super) fn marks_groups(&self) -> bool {
        self.whole_is_next
    }

    /// Counts an entry of the sample that has changed for the first time in the current generation.
    #[inline]
    pub(super) fn count_sampled(&mut self) {
        self.sampled += 1;
    }

    /// Whether a group that changes is to be noted; uses up one note if so.
    #[inline]
    pub(super) fn take_note(&mut self) -> bool {
        let wanted = !self.whole_is_next && self.notes_left > 0;
        self.notes_left -= usize::from(wanted);
        wanted
    }

    #[inline]
    pub(super) fn hand_out(&mut self, entries: GroupEntries<'_, K, V>) {
        if let Some(encode) = self.encode {
            let count = entries.len();
            self.ready.add(count, |bytes| (encode.set)(entries, bytes));
        }
    }

    #[inline]
    pub(super) fn log_removal(&mut self, key: &K) {
        if let Some(encode) = self.encode {
            self.removals.add(|bytes| (encode.removed)(key, bytes));
        }
    }

    pub(super) fn memory_bytes(&self) -> usize {
        let owed = self.owed_removals.iter().map(Piece::memory_bytes);
        self.ready.memory_bytes() + owed.sum::<usize>() + self.removals.memory_bytes()
    }
}

/// What groups owe to a frozen generation, and how to mark a group that owes nothing more: a copy of fields of
/// [`Changes`], which a drain can keep in registers.
#[derive(Clone, Copy)]
pub(super) struct Owed {
    /// `None` if nothing is frozen.
    extent: Option<Extent>,
    /// The current generation.
    generation: u8,
    wholes: u8,
    marks_groups: bool,
}

impl Owed {
    /// The slots of a group that are still owed.
    #[inline(always)]
    pub(super) fn of(self, tags: Tags, marks: Marks) -> Slots {
        match self.extent {
            None => Slots::none(),
            Some(Extent::Changes) => marks.changed_in(3 - self.generation),
            Some(Extent::Whole) if marks.whole() == self.wholes => Slots::none(),
            Some(Extent::Whole) => tags.occupied().without(marks.changed_in(self.generation)),
        }
    }

    /// The marks of a group after everything owed was handed out.
    #[inline(always)]
    pub(super) fn handed_out(self, marks: Marks) -> Marks {
        marks.forget(3 - self.generation).with_whole(self.wholes)
    }

    /// As [`handed_out`](Self::handed_out), for a group that a drain passes: if it does not matter which entries
    /// change, all of them are marked at once.
    #[inline(always)]
    pub(super) fn passed(self, tags: Tags, marks: Marks, is_sampled: bool) -> Marks {
        if self.marks_groups && !is_sampled {
            return marks
                .with_whole(self.wholes)
                .with_occupied(tags, self.generation);
        }
        self.handed_out(marks)
    }
}

/// A piece of at least this many bytes takes no more removals.
const PIECE_SIZE: usize = 8 << 10;

/// Some encoded keys.
#[derive(Default)]
struct Piece {
    bytes: Vec<u8>,
    count: u64,
}

impl Piece {
    fn memory_bytes(&self) -> usize {
        size_of::<Self>() + self.bytes.capacity()
    }
}

/// The removals of a generation, in pieces, so that neither adding one nor draining a slice copies all of them.
#[derive(Default)]
struct Removals {
    pieces: Vec<Piece>,
    /// Drained pieces, to be reused.
    spare: Vec<Piece>,
}

impl Removals {
    fn add(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let has_room = |piece: &Piece| piece.bytes.len() < PIECE_SIZE;
        if !self.pieces.last().is_some_and(has_room) {
            self.pieces.push(self.spare.pop().unwrap_or_default());
        }
        if let Some(piece) = self.pieces.last_mut() {
            write(&mut piece.bytes);
            piece.count += 1;
        }
    }

    fn use_again(&mut self, mut piece: Piece) {
        piece.bytes.clear();
        piece.count = 0;
        self.spare.push(piece);
    }

    fn memory_bytes(&self) -> usize {
        let pieces = self.pieces.iter().chain(&self.spare);
        pieces.map(Piece::memory_bytes).sum()
    }
}
