//! `JoinState`: the records of all live slices, with a log for each of the two inputs.

use std::collections::VecDeque;
use std::ops::Range;

use crate::operator::window::slicing::Slice;
use crate::record::Wire;
use crate::state::{ChunkPool, RecordLog, Run};
use crate::time::Timestamp;

use super::index::Index;

/// Identifies a slice in the state.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct SliceId(u32);

impl SliceId {
    /// The id of no slice.
    pub(super) const NONE: SliceId = SliceId(u32::MAX);
}

/// The records of one input in one slice.
pub(super) struct Side<V: ?Sized> {
    pub(super) log: RecordLog<V>,
    /// Its records by key, or as many of them as were needed so far: see `groups`.
    pub(super) index: Option<Index>,
    /// How many of its records existed at the last barrier.
    pub(super) saved: usize,
    /// Those that it froze and that have not been written yet.
    pub(super) frozen: Range<usize>,
}

/// The log of a slice that is over, and what remains to be written of it.
pub(super) struct Held<V: ?Sized> {
    pub(super) number: i64,
    pub(super) frozen: Range<usize>,
    pub(super) log: RecordLog<V>,
}

/// The records of one input, by slice.
///
/// The log of the previous record's slice is kept at hand, leaving its place empty meanwhile: so a record
/// of the same slice is appended without a search.
pub(super) struct Sides<V: ?Sized> {
    sides: Vec<Side<V>>,
    current: (Slice, SliceId),
    log: RecordLog<V>,
    pub(super) held: Vec<Held<V>>,
    /// The slices that are over and that existed at the last barrier.
    pub(super) dropped: Vec<i64>,
}

impl<V: ?Sized> Sides<V> {
    fn new() -> Self {
        Sides {
            sides: Vec::new(),
            current: (Slice::NONE, SliceId::NONE),
            log: RecordLog::default(),
            held: Vec::new(),
            dropped: Vec::new(),
        }
    }

    #[inline(always)]
    pub(super) fn get(&self, id: SliceId) -> &Side<V> {
        debug_assert!(self.current.1 != id, "a log that is at hand");
        &self.sides[id.0 as usize]
    }

    #[inline(always)]
    pub(super) fn get_mut(&mut self, id: SliceId) -> &mut Side<V> {
        debug_assert!(self.current.1 != id, "a log that is at hand");
        &mut self.sides[id.0 as usize]
    }

    fn add(&mut self) {
        self.sides.push(Side {
            log: RecordLog::default(),
            index: None,
            saved: 0,
            frozen: 0..0,
        });
    }

    /// Returns whether a record at `at` belongs to the log at hand.
    #[inline(always)]
    pub(super) fn is_at_hand(&self, at: Timestamp) -> bool {
        self.current.0.holds(at)
    }

    /// Puts the log at hand back in its place.
    pub(super) fn settle(&mut self) {
        let (_, id) = std::mem::replace(&mut self.current, (Slice::NONE, SliceId::NONE));
        if id != SliceId::NONE {
            std::mem::swap(&mut self.log, &mut self.sides[id.0 as usize].log);
        }
    }

    /// Drops a slice, except for what a checkpoint still has to write of it.
    fn retire(&mut self, number: i64, id: SliceId, spare: &mut ChunkPool) {
        let side = self.get_mut(id);
        side.index = None;
        let (saved, frozen) = (std::mem::take(&mut side.saved), side.frozen.clone());
        if frozen.is_empty() {
            side.log.clear(spare);
        } else {
            side.frozen = 0..0;
            let log = std::mem::take(&mut side.log);
            self.held.push(Held {
                number,
                frozen,
                log,
            });
        }
        if saved > 0 {
            self.dropped.push(number);
        }
    }

    /// Makes the log of a slice the one at hand.
    pub(super) fn take(&mut self, slice: Slice, id: SliceId) {
        self.settle();
        self.current = (slice, id);
        std::mem::swap(&mut self.log, &mut self.sides[id.0 as usize].log);
    }
}

impl<V: Wire + ?Sized> Sides<V> {
    /// Adds a record to the log at hand.
    #[inline(always)]
    pub(super) fn push(&mut self, record: &V, spare: &mut ChunkPool) {
        self.log.push(record, spare);
    }

    /// Adds records to the log at hand while they belong there. Returns the first that does not, or `None` if there
    /// are no more.
    #[inline(always)]
    pub(super) fn extend<'a>(
        &mut self,
        records: &mut impl Iterator<Item = (&'a V, Timestamp)>,
        spare: &mut ChunkPool,
    ) -> Option<(&'a V, Timestamp)>
    where
        V: 'a,
    {
        let slice = self.current.0;
        let mut other = None;
        self.log.extend(spare, || match records.next() {
            Some((record, at)) if slice.holds(at) => Some(record),
            last => {
                other = last;
                None
            }
        });
        other
    }

    /// Adds a record to a slice; returns how many records it had before.
    pub(super) fn push_to(&mut self, id: SliceId, record: &V, spare: &mut ChunkPool) -> usize {
        self.settle();
        let log = &mut self.get_mut(id).log;
        log.push(record, spare);
        log.len() - 1
    }
}

/// The whole keyed state of a window join.
pub(super) struct JoinState<L: ?Sized, R: ?Sized> {
    pub(super) left: Sides<L>,
    pub(super) right: Sides<R>,
    pub(super) spare: ChunkPool,
    /// Slices by number, in ascending order.
    pub(super) slices: VecDeque<(i64, SliceId)>,
    free: Vec<SliceId>,
}

impl<L: ?Sized, R: ?Sized> JoinState<L, R> {
    pub(super) fn new() -> Self {
        JoinState {
            left: Sides::new(),
            right: Sides::new(),
            spare: ChunkPool::new(),
            slices: VecDeque::new(),
            free: Vec::new(),
        }
    }

    /// Returns the slice with this number, created if missing.
    pub(super) fn slice(&mut self, number: i64) -> SliceId {
        let place = self.slices.partition_point(|&(other, _)| other < number);
        match self.slices.get(place) {
            Some(&(found, id)) if found == number => id,
            _ => {
                let id = self.free.pop().unwrap_or_else(|| {
                    self.left.add();
                    self.right.add();
                    SliceId(self.left.sides.len() as u32 - 1)
                });
                self.slices.insert(place, (number, id));
                id
            }
        }
    }

    /// Puts both logs at hand back in their places; call this before windows are examined.
    pub(super) fn settle(&mut self) {
        self.left.settle();
        self.right.settle();
    }

    /// Returns the first slice with records from `number` on.
    pub(super) fn first_slice_from(&self, number: i64) -> Option<i64> {
        let place = self.slices.partition_point(|&(other, _)| other < number);
        self.slices.get(place).map(|&(number, _)| number)
    }

    /// Returns the slices with records in a range, in ascending order.
    pub(super) fn slices_in(&self, numbers: Range<i64>) -> impl Iterator<Item = SliceId> + '_ {
        let before = |limit| self.slices.partition_point(|&(number, _)| number < limit);
        let range = before(numbers.start)..before(numbers.end);
        self.slices.range(range).map(|&(_, id)| id)
    }

    /// Drops the slices before `limit`.
    pub(super) fn retire_below(&mut self, limit: i64) {
        while let Some(&(number, id)) = self.slices.front()
            && number < limit
        {
            self.slices.pop_front();
            self.left.retire(number, id, &mut self.spare);
            self.right.retire(number, id, &mut self.spare);
            self.free.push(id);
        }
    }

    /// Returns how many slices there are.
    pub(super) fn slice_count(&self) -> usize {
        self.slices.len()
    }

    /// Returns the number of stored records and the bytes that they take.
    pub(super) fn size(&self) -> (usize, usize) {
        let at_hand = self.left.log.len() + self.right.log.len();
        let mut size = (at_hand, self.spare.memory_bytes());
        for &(_, SliceId(id)) in &self.slices {
            let (left, right) = (
                &self.left.sides[id as usize],
                &self.right.sides[id as usize],
            );
            size.0 += left.log.len() + right.log.len();
            let indexes = [&left.index, &right.index].into_iter().flatten();
            size.1 += indexes.map(Index::memory_bytes).sum::<usize>();
        }
        size
    }
}

/// A slice's share of one side of a window: its records have the places from `start` on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    pub(super) slice: SliceId,
    pub(super) start: usize,
}

/// One side of a window: the records of its slices, in time order, with one place each.
#[derive(Default)]
pub(super) struct Parts {
    parts: Vec<Part>,
    len: usize,
}

impl Parts {
    /// Gathers those of the slices in a range.
    pub(super) fn gather<V: ?Sized>(
        &mut self,
        sides: &Sides<V>,
        slices: impl Iterator<Item = SliceId>,
    ) {
        self.parts.clear();
        self.len = 0;
        for slice in slices {
            let records = sides.get(slice).log.len();
            if records > 0 {
                let start = self.len;
                self.parts.push(Part { slice, start });
                self.len += records;
            }
        }
    }

    /// Returns how many records there are.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Returns its parts.
    pub(super) fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// Returns the records themselves.
    #[inline(always)]
    pub(super) fn of<'a, V: ?Sized>(&'a self, sides: &'a Sides<V>) -> Records<'a, V> {
        let only = match &*self.parts {
            [only] => Some(&sides.get(only.slice).log),
            _ => None,
        };
        Records {
            sides,
            parts: &self.parts,
            only,
        }
    }
}

/// The records of one side of a window, by place.
pub(super) struct Records<'a, V: ?Sized> {
    sides: &'a Sides<V>,
    parts: &'a [Part],
    /// The only log, if there is just one.
    only: Option<&'a RecordLog<V>>,
}

impl<V: ?Sized> Clone for Records<'_, V> {
    #[inline(always)]
    fn clone(&self) -> Self {
        *self
    }
}

impl<V: ?Sized> Copy for Records<'_, V> {}

impl<'a, V: Wire + ?Sized> Records<'a, V> {
    #[inline(always)]
    pub(super) fn get(self, place: usize) -> &'a V {
        match self.only {
            Some(log) => log.get(place),
            None => self.search(place),
        }
    }

    /// Prefetches the cache line of a record that is read later, if it is easily found.
    #[inline(always)]
    pub(super) fn prefetch(self, place: usize) {
        if let Some(log) = self.only {
            log.prefetch(place);
        }
    }

    #[cold]
    #[inline(never)]
    fn search(self, place: usize) -> &'a V {
        let part = self.part_of(place);
        self.sides.get(part.slice).log.get(place - part.start)
    }

    fn part_of(self, place: usize) -> Part {
        let after = self.parts.partition_point(|part| part.start <= place);
        self.parts[after - 1]
    }

    /// Returns the records from a place on that are contiguous in memory. There must be one at that place.
    #[inline]
    pub(super) fn run_from(self, place: usize) -> Run<'a, V> {
        let part = self.part_of(place);
        (self.sides.get(part.slice).log).run_from(place - part.start)
    }
}
