//! What changed since the last freeze: generations, the frozen one, and the bytes already handed out.
//!
//! Every slot carries the number of the generation that changed it last: 1 and 2 in turn, or 0 once
//! that was handed out. A freeze only moves the table on to the other number; from then on slots of
//! the old one belong to the frozen generation, and the first change that meets such a slot hands
//! out its entry before it goes on (copy on first touch). So the hot path pays one
//! comparison with a byte of the group's first cache line, which it has loaded anyway, and a table
//! that tracks nothing has number 0 everywhere and pays the same.
//!
//! Where the next freeze is known to set the whole table aside, nobody will ask which slots changed: all of a group
//! are marked at once then, when something in it changes and nothing is frozen, or when the drain passes, so that a
//! group meets few first changes. That is the one case in which slots count as changed that were not. A sample of the
//! groups goes on as before: it tells whether most of the table has changed, and the freeze after next is to be of all of it.
//!
//! Segments note in their headers which groups have changed, so that a drain need not look at all of them. A header is
//! one more cache line for the first change of a group: so notes end, and the drain will look at every group, where a good
//! part of the table has changed, and where the next freeze is to be of all of it.
//!
//! Invariant: when nothing is frozen, a slot's number is 0 or the current one; a free slot's is 0.

use std::fmt;

use super::chunks::Chunks;
use super::group::{Marks, Slots, Tags};
use super::layout::GroupEntries;
use crate::seeded_bugs::seeded;

/// One group of so many, if they have changed, is worth a note.
const NOTED_SHARE: usize = 8;
/// So many groups are in any table.
const NOTES_MIN: usize = 4096;
/// One group of about so many is in the sample.
pub(super) const SAMPLED: u32 = 32;
/// What tables with fewer entries hand out does not matter, and a sample of them tells nothing.
const SAMPLED_MIN: usize = 4096;

/// How a table writes changes down: what it appends a reader must be able to cut apart again.
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

/// What slices of a frozen generation came to. All its removals count as made before all its sets: a key
/// that was removed and inserted again is among both.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Drained {
    /// The removed keys, one after the other.
    pub removed: Vec<u8>,
    /// How many those are.
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

    /// Forgets what was drained and keeps some of the memory.
    pub fn clear(&mut self) {
        self.removed.clear();
        self.removed_count = 0;
        self.set.clear();
    }
}

/// What a freeze sets aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// Entries changed and keys removed since the freeze before: a delta.
    Changes,
    /// Every entry: a base. Removals up to here are forgotten.
    Whole,
}

/// A frozen generation that is not yet drained.
#[derive(Clone, Copy)]
pub(super) struct Frozen {
    pub(super) extent: Extent,
    /// Whether every group has to be looked at: summaries do not tell which ones owe something.
    pub(super) every_group: bool,
    /// Segments before this hash are drained.
    pub(super) position: u64,
    /// So are the groups before this one in the segment at `position`.
    pub(super) group: usize,
}

/// The change tracking of one table.
pub(super) struct Changes<K, V> {
    /// The current generation's number; 0 for ever when changes are not tracked.
    pub(super) generation: u8,
    /// How many freezes set the whole table aside, as far as [`Marks`] counts.
    wholes: u8,
    encode: Option<EncodeChange<K, V>>,
    pub(super) frozen: Option<Frozen>,
    /// The next freeze will be of the whole table: which slots change until then does not matter.
    whole_is_next: bool,
    /// How many more groups of the current generation are worth a note.
    notes_left: usize,
    /// How many entries of the sample have changed in the current generation.
    sampled: usize,
    /// How many entries there were at the last freeze.
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

    /// Whether, as far as the sample tells, more than half of so many entries have changed since the last freeze. Not where
    /// that was the filling of the table.
    pub(super) fn are_most(&self, len: usize) -> bool {
        let estimate = self.sampled.saturating_mul(SAMPLED as usize);
        len >= SAMPLED_MIN && estimate > len / 2 && len / 2 <= self.len_before
    }

    /// Sets the current generation aside, in a table of so many groups and entries.
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

    /// Appends removals of the frozen generation to `out`, until about `budget` are spent; what that came
    /// to. A base has no removals: they are forgotten.
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

    /// Moves the entries that are ready, in chunks, to the end of `out`: all of them once nothing is frozen.
    pub(super) fn fetch_ready(&mut self, out: &mut Drained) {
        self.ready.hand_on(self.frozen.is_none(), &mut out.set);
    }

    /// Says that the next freeze will be of the whole table.
    pub(super) fn expect_whole(&mut self) {
        self.whole_is_next = self.tracked();
    }

    /// The number of the generation before the current one.
    pub(super) fn frozen_generation(&self) -> u8 {
        3 - self.generation
    }

    /// What is owed of groups now.
    #[inline(always)]
    pub(super) fn owed(&self) -> Owed {
        Owed {
            extent: self.frozen.as_ref().map(|frozen| frozen.extent),
            generation: self.generation,
            wholes: self.wholes,
            marks_groups: self.whole_is_next,
        }
    }

    /// Whether a group counts as changed as a whole when something in it changes, unless it is in the sample.
    #[inline]
    pub(super) fn marks_groups(&self) -> bool {
        self.whole_is_next
    }

    /// An entry of the sample has changed for the first time in the current generation.
    #[inline]
    pub(super) fn count_sampled(&mut self) {
        self.sampled += 1;
    }

    /// Whether a group that changes is to be noted.
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

/// What a frozen generation owes of groups, and how one is marked of which it owes nothing more: a copy of what
/// [`Changes`] knows, for a drain to keep in registers.
#[derive(Clone, Copy)]
pub(super) struct Owed {
    /// `None` where nothing is frozen.
    extent: Option<Extent>,
    /// The current one.
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

    /// The marks of a group of which nothing is owed any more.
    #[inline(always)]
    pub(super) fn handed_out(self, marks: Marks) -> Marks {
        marks.forget(3 - self.generation).with_whole(self.wholes)
    }

    /// As [`handed_out`](Self::handed_out), where a drain passes: where which entries change need not be known, all of
    /// them are marked at once.
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

/// A piece with so many bytes takes no more removals.
const PIECE_SIZE: usize = 8 << 10;

/// Some keys written down.
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

/// The removals of a generation, in pieces: neither adding one nor draining a slice copies all of them.
#[derive(Default)]
struct Removals {
    pieces: Vec<Piece>,
    /// Pieces that were drained, to be filled again.
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
