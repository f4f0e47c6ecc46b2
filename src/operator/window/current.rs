//! `Current`: the slice that records go to, held apart from all others.
//!
//! Most records are in the slice of the record before, so that slice's range and its table stand beside
//! what else a record needs: to add it is one comparison and one upsert. The table has changed places with
//! an empty one, which stands for it in the pool meanwhile.
//!
//! Invariant: none of the slice's windows has fired. Whatever needs all tables settles first.

use crate::record::Key;
use crate::time::Timestamp;

use super::slice_table::{SliceTable, TableId, TablePool};
use super::slicing::Slice;

/// The timestamps of the current slice.
#[derive(Clone, Copy)]
pub(super) struct Range {
    first: i64,
    /// How many there are; 0 if there is no current slice.
    length: u64,
}

impl Range {
    /// Those of a slice.
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
    /// What the table is called in the pool.
    id: Option<TableId>,
}

impl<K: Key + ?Sized, A> Current<K, A> {
    /// No slice. `empty` will stand for the table of the current one.
    pub(super) fn none(empty: Box<SliceTable<K, A>>) -> Self {
        Current {
            range: Range::NONE,
            table: empty,
            id: None,
        }
    }

    /// Gives the table back: there is no current slice then.
    pub(super) fn settle(&mut self, pool: &mut TablePool<K, A>) {
        if let Some(id) = self.id.take() {
            std::mem::swap(pool.get_mut(id), &mut self.table);
            self.range = Range::NONE;
        }
    }

    /// The table that is called `id`, wherever it is.
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

    /// Takes the table of a slice, which is current from here on.
    pub(super) fn take(&mut self, slice: Slice, id: TableId, pool: &mut TablePool<K, A>) {
        debug_assert!(self.id.is_none(), "the slice before is settled");
        std::mem::swap(pool.get_mut(id), &mut self.table);
        self.id = Some(id);
        self.range = Range::of(slice);
    }
}
