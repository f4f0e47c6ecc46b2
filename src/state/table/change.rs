//! What changed since the last freeze: generations, the frozen one, and the bytes already handed out.
//!
//! Every slot carries the number of the generation that changed it last: 1 and 2 in turn, or 0 once
//! that was handed out. A freeze only moves the table on to the other number; from then on slots of
//! the old one belong to the frozen generation, and the first change that meets such a group hands
//! out its frozen entries before it goes on (copy on first touch). So the hot path pays one
//! comparison with a byte of the group's first cache line, which it has loaded anyway, and a table
//! that tracks nothing has number 0 everywhere and pays the same.
//!
//! Invariant: when nothing is frozen, a slot's number is 0 or the current one.

use super::group::{Marks, Slots, Tags};

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
    /// The current generation's number; 0 for ever when changes are not tracked.
    pub(super) generation: u8,
    /// How many freezes set the whole table aside, as far as [`Marks`] counts.
    wholes: u8,
    encode: Option<EncodeChange<K, V>>,
    pub(super) frozen: Option<Frozen>,
    /// Bytes of the frozen generation that no drain has fetched yet.
    ready: Vec<u8>,
    /// Removals of the current generation.
    removed: Vec<u8>,
}

impl<K, V> Changes<K, V> {
    pub(super) fn new(encode: Option<EncodeChange<K, V>>) -> Self {
        Changes {
            generation: u8::from(encode.is_some()),
            wholes: 0,
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
        self.generation = self.frozen_generation();
        if extent == Extent::Whole {
            self.wholes = Marks::next_whole(self.wholes);
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

    /// The number of the generation before the current one.
    pub(super) fn frozen_generation(&self) -> u8 {
        3 - self.generation
    }

    /// The slots of a group that the frozen generation still owes.
    pub(super) fn pending(&self, tags: Tags, marks: Marks) -> Slots {
        match &self.frozen {
            None => Slots::none(),
            Some(frozen) if frozen.extent == Extent::Changes => {
                marks.changed_in(self.frozen_generation())
            }
            Some(_) if marks.whole() == self.wholes => Slots::none(),
            Some(_) => tags.occupied().without(marks.changed_in(self.generation)),
        }
    }

    /// The marks of a group of which nothing is owed any more.
    pub(super) fn handed_out(&self, marks: Marks) -> Marks {
        marks
            .forget(self.frozen_generation())
            .with_whole(self.wholes)
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
