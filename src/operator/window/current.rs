//! `Current`: the slice that records currently go to, held apart from all others.
//!
//! Most records are in the same slice as the record before, so that slice's range and table are kept next to
//! whatever else a record needs: adding it takes one comparison and one upsert. The table has been swapped
//! with an empty one, which takes its place in the pool meanwhile.
//!
//! Invariant: none of the slice's windows has fired. Anything that needs all tables settles first.

use crate::record::Key;
use crate::time::Timestamp;

use super::slice_table::{SliceTable, TableId, TablePool};
use super::slicing::Slice;

/// The timestamps of the current slice.
#[derive(Clone, Copy)]
pub(super) struct Range {
    first: i64,
    /// How many timestamps there are; 0 if there is no current slice.
    length: u64,
}

impl Range {
    /// Returns the timestamps of a slice.
    #[inline]
    pub(super) fn of(slice: Slice) -> Self {
        if slice.first > slice.last {
            return Range::NONE;
        }
        Range {
            first: slice.first.0,
            length: slice.last.0.wrapping_sub(slice.first.0).cast_unsigned() + 1,
        }
    }

    const NONE: Range = Range {
        first: 0,
        length: 0,
    };

    #[inline(always)]
    pub(super) fn holds(self, at: Timestamp) -> bool {
        at.0.wrapping_sub(self.first).cast_unsigned() < self.length
    }
}

/// A slice and its table, if there is a current one.
pub(super) struct Current<K: Key + ?Sized, A> {
    pub(super) range: Range,
    pub(super) table: Box<SliceTable<K, A>>,
    /// The table's id in the pool.
    id: Option<TableId>,
}

impl<K: Key + ?Sized, A> Current<K, A> {
    /// Creates it without a slice. `empty` will take the place of the current slice's table.
    pub(super) fn none(empty: Box<SliceTable<K, A>>) -> Self {
        Current {
            range: Range::NONE,
            table: empty,
            id: None,
        }
    }

    /// Puts the table back: there is no current slice afterwards.
    pub(super) fn settle(&mut self, pool: &mut TablePool<K, A>) {
        if let Some(id) = self.id.take() {
            std::mem::swap(pool.get_mut(id), &mut self.table);
            self.range = Range::NONE;
        }
    }

    /// Returns the table with this `id`, wherever it is.
    pub(super) fn table_of<'a>(
        &'a mut self,
        id: TableId,
        pool: &'a mut TablePool<K, A>,
    ) -> &'a mut SliceTable<K, A> {
        if self.id == Some(id) {
            &mut self.table
        } else {
            pool.get_mut(id)
        }
    }

    /// Takes the table of a slice and makes that slice current.
    pub(super) fn take(&mut self, slice: Slice, id: TableId, pool: &mut TablePool<K, A>) {
        debug_assert!(self.id.is_none(), "the slice before is settled");
        std::mem::swap(pool.get_mut(id), &mut self.table);
        self.id = Some(id);
        self.range = Range::of(slice);
    }
}
