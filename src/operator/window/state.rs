//! `WindowState`: the tables of all live slices, and merged tables over many of them.
//!
//! There is one table per slice that has records (window-major), so adding a record touches one
//! accumulator however many windows it is in, and a slice that is over is dropped as a whole.
//!
//! A window of few slices is merged from them whenever one fires. With a thousand slices (an hour, sliding
//! by a second) that would be a thousand merges per window, all but a few of which were already done for the
//! previous window. So for aggregates there are also *nodes*: node `n` of level `l` merges the slices
//! from `n · 2^l` up to `(n + 1) · 2^l`, and a window consists of at most two nodes of every level. A node is built
//! when the first window that needs it fires, from two nodes of the level below, and serves until its first
//! slice is over: every entry is merged upwards once per level.
//!
//! ```text
//! level 2   ├────── 0 ──────┼────── 1 ──────┤
//! level 1   ├── 0 ──┼── 1 ──┼── 2 ──┼── 3 ──┤      window of slices 1 to 6:
//! slices    ├ 0 ┼ 1 ┼ 2 ┼ 3 ┼ 4 ┼ 5 ┼ 6 ┼ 7 ┤      slice 1, nodes 1 and 2 of level 1, slice 6
//! ```
//!
//! Two-stack schemes need fewer merges if every key is in every slice, but keep a table of *all* keys
//! seen so far for every slice: with many keys, each in a few slices, that is far more memory than the
//! slices take. Nodes take at most `log2` times as much, and a late record updates them in place.
//!
//! Invariant: a node contains exactly what its slices contain. Each table in use is in exactly one list.

use std::collections::VecDeque;
use std::ops::Range;

use crate::checkpoint::SnapshotOutput;
use crate::operator::Barrier;
use crate::record::Key;

use super::current::Current;
use super::slice_snapshot::SliceSnapshot;
use super::slice_table::{TableId, TablePool, TableShape};

/// A window of at most this many slices with records is merged from them directly.
const DIRECT_MAX: usize = 8;

/// Tables by slice or node number, in ascending order.
#[derive(Default)]
struct Numbered(VecDeque<(i64, TableId)>);

impl Numbered {
    #[inline]
    fn get(&self, number: i64) -> Option<TableId> {
        // Usually there is no gap between the first one and the last one.
        let &(first, _) = self.0.front()?;
        match self.0.get(number.wrapping_sub(first) as usize) {
            Some(&(found, id)) if found == number => Some(id),
            _ => self.search(number).ok().map(|at| self.0[at].1),
        }
    }

    fn search(&self, number: i64) -> Result<usize, usize> {
        self.0.binary_search_by_key(&number, |&(number, _)| number)
    }

    fn insert(&mut self, number: i64, id: TableId) {
        match self.search(number) {
            Ok(_) => unreachable!("a slice has one table"),
            Err(at) => self.0.insert(at, (number, id)),
        }
    }

    fn remove(&mut self, number: i64) {
        if let Ok(at) = self.search(number) {
            self.0.remove(at);
        }
    }

    fn indices(&self, numbers: Range<i64>) -> Range<usize> {
        let before = |limit| self.0.partition_point(|&(number, _)| number < limit);
        before(numbers.start)..before(numbers.end)
    }

    fn pop_below(&mut self, limit: i64) -> Option<(i64, TableId)> {
        let &(number, _) = self.0.front()?;
        if number < limit {
            self.0.pop_front()
        } else {
            None
        }
    }
}

/// A table's position: in the list of slices (level 0) or of a level of nodes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Piece {
    pub(super) level: u32,
    number: i64,
    pub(super) table: TableId,
    /// A lower bound on the number of keys, once it is built.
    pub(super) keys: usize,
}

/// A table that is no longer needed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Retired {
    pub(super) level: u32,
    pub(super) table: TableId,
}

impl Piece {
    /// Returns the first slice of the piece.
    pub(super) fn first_slice(&self) -> i64 {
        self.number << self.level
    }
}

/// A table to be merged into another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Merge {
    pub(super) from: TableId,
    pub(super) into: TableId,
}

/// The whole keyed state of a window operator.
pub(super) struct WindowState<K: Key + ?Sized, A> {
    pub(super) pool: TablePool<K, A>,
    /// The expected number of keys in the first slice.
    pub(super) expected_keys: usize,
    slices: Numbered,
    /// The nodes of level 1, 2, 3 …
    levels: Vec<Numbered>,
    /// Present if checkpoints are enabled.
    pub(super) snapshot: Option<Box<SliceSnapshot>>,
}

impl<K: Key + ?Sized, A> WindowState<K, A> {
    /// Creates an empty state. Tables have sketches if windows have several slices.
    pub(super) fn new(shape: TableShape, sketched: bool) -> Self {
        WindowState {
            pool: TablePool::new(shape, sketched),
            expected_keys: 0,
            slices: Numbered::default(),
            levels: Vec::new(),
            snapshot: None,
        }
    }

    /// Adopts slices restored from a checkpoint.
    pub(super) fn adopt(&mut self, slices: Vec<(i64, TableId)>) {
        self.slices.0.extend(slices);
    }

    /// Returns all accumulators of slices.
    pub(super) fn accumulators(&self) -> impl Iterator<Item = &A> {
        let tables = self.slices.0.iter().map(|&(_, id)| self.pool.get(id));
        tables.flat_map(|table| table.entries.iter().map(|(_, accumulator)| accumulator))
    }

    /// Freezes all slices for a checkpoint.
    pub(super) fn freeze(&mut self, barrier: Barrier, current: &mut Current<K, A>) {
        if let Some(snapshot) = &mut self.snapshot {
            let slices = self.slices.0.iter().copied();
            snapshot.freeze(barrier, slices, current, &mut self.pool);
        }
    }

    /// Writes part of what was frozen; returns whether it is done.
    pub(super) fn drain(
        &mut self,
        out: &mut SnapshotOutput<'_>,
        current: &mut Current<K, A>,
    ) -> bool {
        let snapshot = self.snapshot.as_mut();
        snapshot.is_none_or(|snapshot| snapshot.drain(out, current, &mut self.pool))
    }

    /// Returns the table of a slice, created if missing, and whether it existed.
    pub(super) fn slice(&mut self, number: i64) -> (TableId, bool) {
        if let Some(id) = self.slices.get(number) {
            return (id, true);
        }
        let before = self.slices.0.back().copied();
        let keys = before.map_or(self.expected_keys, |(_, id)| {
            self.pool.get(id).entries.len()
        });
        let id = self.pool.take(0, keys);
        self.slices.insert(number, id);
        (id, false)
    }

    /// Returns the first slice with records from `number` on.
    pub(super) fn first_slice_from(&self, number: i64) -> Option<i64> {
        let at = self.slices.indices(number..number).start;
        self.slices.0.get(at).map(|&(number, _)| number)
    }

    /// Returns the first slice with records.
    pub(super) fn front(&self) -> Option<i64> {
        self.slices.0.front().map(|&(number, _)| number)
    }

    /// The levels of nodes.
    pub(super) fn levels(&self) -> std::ops::RangeInclusive<usize> {
        1..=self.levels.len()
    }

    /// Returns the table of the node over a slice at a level, if it is built.
    pub(super) fn node_over(&self, slice: i64, level: usize) -> Option<TableId> {
        self.levels[level - 1].get(slice >> level)
    }

    fn list(&mut self, level: u32) -> &mut Numbered {
        match level {
            0 => &mut self.slices,
            _ => &mut self.levels[level as usize - 1],
        }
    }

    /// Removes a table from its list: the caller owns it now, and releases it to the pool.
    pub(super) fn detach(&mut self, piece: Piece) {
        if let (0, Some(snapshot)) = (piece.level, &mut self.snapshot) {
            snapshot.retire(piece.number);
        }
        self.list(piece.level).remove(piece.number);
    }

    /// Moves the tables of slices before `limit`, and of nodes that begin before it, to `retired`.
    pub(super) fn retire_below(&mut self, limit: i64, retired: &mut Vec<Retired>) {
        while let Some((number, table)) = self.slices.pop_below(limit) {
            if let Some(snapshot) = &mut self.snapshot {
                snapshot.retire(number);
            }
            retired.push(Retired { level: 0, table });
        }
        for (nodes, level) in self.levels.iter_mut().zip(1u32..) {
            // The first node that begins at or after the limit, hence rounded up.
            let first = (limit >> level) + i64::from((limit >> level) << level < limit);
            while let Some((_, table)) = nodes.pop_below(first) {
                retired.push(Retired { level, table });
            }
        }
    }

    /// Puts the tables that together contain what the slices of a range contain into `pieces`, in time order.
    /// With `ahead`, nodes stand in for many slices; the merges that build missing ones are
    /// appended to `merges`.
    pub(super) fn pieces(
        &mut self,
        range: Range<i64>,
        ahead: bool,
        pieces: &mut Vec<Piece>,
        merges: &mut VecDeque<Merge>,
    ) {
        pieces.clear();
        let present = self.slices.indices(range.clone());
        if !ahead || present.len() <= DIRECT_MAX {
            let slices = self.slices.0.range(present);
            pieces.extend(slices.map(|&(number, table)| self.piece(0, number, table)));
            return;
        }
        for (level, number) in nodes_of(range) {
            pieces.extend(self.build(level, number, merges));
        }
    }

    fn piece(&self, level: u32, number: i64, table: TableId) -> Piece {
        Piece {
            level,
            number,
            table,
            keys: self.pool.get(table).entries.len(),
        }
    }

    /// Returns the table for a node: an existing one, one to be built by `merges`, or that of the only child with
    /// records.
    fn build(&mut self, level: u32, number: i64, merges: &mut VecDeque<Merge>) -> Option<Piece> {
        while self.levels.len() < level as usize {
            self.levels.push(Numbered::default());
        }
        let table = self.list(level).get(number);
        if level == 0 || table.is_some() {
            return table.map(|table| self.piece(level, number, table));
        }
        let range = number << level..(number + 1) << level;
        if self.slices.indices(range).is_empty() {
            return None;
        }
        let earlier = self.build(level - 1, number * 2, merges);
        let later = self.build(level - 1, number * 2 + 1, merges);
        let (Some(earlier), Some(later)) = (earlier, later) else {
            return earlier.or(later);
        };
        let keys = earlier.keys.max(later.keys);
        let table = self.pool.take(level, keys);
        self.list(level).insert(number, table);
        for Piece { table: from, .. } in [earlier, later] {
            merges.push_back(Merge { from, into: table });
        }
        Some(Piece {
            level,
            number,
            table,
            keys,
        })
    }

    /// Calls `visit` with the tables that together contain what the slices of a range contain, building nothing.
    pub(super) fn visit(&self, range: Range<i64>, mut visit: impl FnMut(TableId)) {
        if self.levels.iter().all(|nodes| nodes.0.is_empty()) {
            let slices = self.slices.0.range(self.slices.indices(range));
            return slices.for_each(|&(_, table)| visit(table));
        }
        nodes_of(range).for_each(|(level, number)| self.visit_node(level, number, &mut visit));
    }

    fn visit_node(&self, level: u32, number: i64, visit: &mut impl FnMut(TableId)) {
        let nodes = match level {
            0 => Some(&self.slices),
            _ => self.levels.get(level as usize - 1),
        };
        if let Some(table) = nodes.and_then(|nodes| nodes.get(number)) {
            visit(table);
        } else if level > 0
            && !self
                .slices
                .indices(number << level..(number + 1) << level)
                .is_empty()
        {
            self.visit_node(level - 1, number * 2, visit);
            self.visit_node(level - 1, number * 2 + 1, visit);
        }
    }
}

/// Returns the smallest set of nodes that make up a range of slices, in order: level and number.
fn nodes_of(range: Range<i64>) -> impl Iterator<Item = (u32, i64)> {
    let mut start = range.start;
    std::iter::from_fn(move || {
        let left = u64::try_from(range.end - start)
            .ok()
            .filter(|&left| left > 0)?;
        let level = left.ilog2().min(start.trailing_zeros());
        let node = (level, start >> level);
        start += 1 << level;
        Some(node)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn nodes_cover_a_range_once(start in -5000..5000_i64, count in 0..5000_i64) {
            let mut at = start;
            let mut nodes = 0;
            for (level, number) in nodes_of(start..start + count) {
                prop_assert_eq!(number << level, at);
                at += 1 << level;
                nodes += 1;
            }
            prop_assert_eq!(at, start + count);
            prop_assert!(nodes <= 2 * (count + 1).ilog2().max(1));
        }
    }

    #[test]
    fn nodes_go_with_their_first_slice() {
        let mut state = WindowState::<u64, u64>::new(TableShape::default(), true);
        for number in -8..8 {
            state.slice(number);
        }
        let (mut pieces, mut merges) = (Vec::new(), VecDeque::new());
        state.pieces(-8..8, true, &mut pieces, &mut merges);
        assert_eq!(pieces.len(), 2, "an octet before zero and one after");
        assert_eq!(merges.len(), 2 * (4 + 2 + 1) * 2);
        let mut retired = Vec::new();
        state.retire_below(-7, &mut retired);
        assert_eq!(
            retired.len(),
            1 + 3,
            "slice -8 and the three nodes that begin with it"
        );
        let nodes_over = |slice| {
            let is_built = |level: &usize| state.node_over(slice, *level).is_some();
            state.levels().filter(is_built).count()
        };
        assert_eq!(nodes_over(-7), 0);
        assert_eq!(nodes_over(-5), 1, "slices -6 and -5");
        assert_eq!(nodes_over(0), 3);
        let mut seen = 0;
        state.visit(-7..8, |_| seen += 1);
        assert_eq!(seen, 4, "slice -7, the pair, the quartet, the octet");
        state.retire_below(8, &mut retired);
        assert_eq!(retired.len(), 16 + 14);
    }
}
