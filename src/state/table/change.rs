//! What changed since the last freeze: stamps, the frozen generation, and the bytes already handed
//! out.
//!
//! Every group carries a *stamp* beside its change marks. A freeze only raises the table's stamp:
//! from then on a group with an older stamp belongs to the frozen generation, and the first change
//! that meets such a group hands out its frozen entries before it goes on (copy on first touch). So
//! the hot path pays one comparison with a word of the group's first cache line, which it has
//! loaded anyway.
//!
//! ```text
//! stamp      s - 512          s - 256               s
//!            frozen, pending  handed out, untouched  changed or at least touched since
//! ```
//!
//! Invariant: when nothing is frozen, marks under an older stamp are empty.

use super::group::{Slots, Tags};

/// One change, as a table hands it to the function that writes it down.
#[derive(Debug, Clone, Copy)]
pub enum Change<'a, K, V> {
    /// The entry has this value at the time of the freeze.
    Set(&'a K, &'a V),
    /// An entry with this key was removed since the freeze before. It may have been inserted again:
    /// then a [`Change::Set`] follows, later in the same generation.
    Removed(&'a K),
}

/// Appends a change to the bytes of a generation, in a form that a reader can cut apart again.
pub type EncodeChange<K, V> = fn(Change<'_, K, V>, &mut Vec<u8>);

/// What a freeze sets aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// Entries changed and keys removed since the freeze before: a delta.
    Changes,
    /// Every entry: a base. Removals up to here are forgotten.
    Whole,
}

const STAMP_STEP: u64 = 512;
const HANDED_OUT: u64 = 256;
const MARKS: u64 = 0x7f;

/// A frozen generation that is not yet drained.
pub(super) struct Frozen {
    pub(super) extent: Extent,
    /// Segments before this hash are drained.
    pub(super) position: u64,
    /// So are the groups before this one in the segment at `position`.
    pub(super) group: usize,
}

/// The change tracking of one table.
pub(super) struct Changes<K, V> {
    /// The current stamp, its low byte free for marks; 0 for ever when changes are not tracked.
    pub(super) stamp: u64,
    encode: Option<EncodeChange<K, V>>,
    pub(super) frozen: Option<Frozen>,
    /// Bytes of the frozen generation that no drain has fetched yet.
    ready: Vec<u8>,
    /// Removals of the current generation.
    removed: Vec<u8>,
}

impl<K, V> Changes<K, V> {
    pub(super) fn new(encode: Option<EncodeChange<K, V>>) -> Self {
        let stamp = if encode.is_some() { STAMP_STEP } else { 0 };
        Changes {
            stamp,
            encode,
            frozen: None,
            ready: Vec::new(),
            removed: Vec::new(),
        }
    }

    pub(super) fn tracked(&self) -> bool {
        self.encode.is_some()
    }

    pub(super) fn freeze(&mut self, extent: Extent) {
        assert!(
            self.tracked(),
            "a table that does not track changes cannot be frozen"
        );
        assert!(
            self.frozen.is_none(),
            "the generation frozen before is not drained"
        );
        self.stamp += STAMP_STEP;
        if extent == Extent::Whole {
            self.removed.clear();
        }
        std::mem::swap(&mut self.ready, &mut self.removed);
        self.frozen = Some(Frozen {
            extent,
            position: 0,
            group: 0,
        });
    }

    /// Appends what is ready to `out` and forgets it.
    pub(super) fn fetch(&mut self, out: &mut Vec<u8>) {
        out.append(&mut self.ready);
    }

    /// Which of the two summaries of a segment speaks of the current generation.
    #[inline(always)]
    pub(super) fn parity(&self) -> usize {
        (self.stamp / STAMP_STEP % 2) as usize
    }

    /// Which one speaks of the frozen generation.
    pub(super) fn frozen_parity(&self) -> usize {
        self.parity() ^ 1
    }

    /// The slots of a group that the frozen generation still owes.
    pub(super) fn pending(&self, tags: Tags, marks: u64) -> Slots {
        match &self.frozen {
            Some(frozen) if (marks | 0xff) < self.stamp - HANDED_OUT => match frozen.extent {
                Extent::Whole => tags.occupied(),
                Extent::Changes => Slots::of_marks(marks & MARKS),
            },
            _ => Slots::of_marks(0),
        }
    }

    /// The marks of a group whose frozen entries are handed out and that was not touched since.
    pub(super) fn handed_out(&self) -> u64 {
        self.stamp.saturating_sub(HANDED_OUT)
    }

    /// Whether these marks are of the current generation.
    #[inline(always)]
    pub(super) fn is_current(&self, marks: u64) -> bool {
        (marks ^ self.stamp) >> 8 == 0
    }

    pub(super) fn hand_out(&mut self, key: &K, value: &V) {
        if let Some(encode) = self.encode {
            encode(Change::Set(key, value), &mut self.ready);
        }
    }

    #[inline]
    pub(super) fn log_removal(&mut self, key: &K) {
        if let Some(encode) = self.encode {
            encode(Change::Removed(key), &mut self.removed);
        }
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.ready.capacity() + self.removed.capacity()
    }
}
