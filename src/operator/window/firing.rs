//! `Firing`: the windows that a watermark ends, one after the other, in steps.
//!
//! A watermark may end many windows of a million keys each, and the worker has other subtasks to run. So
//! a firing is a value that remembers where it is, and goes on within a budget:
//!
//! ```text
//! Seek ─► Merge ─► Emit ─► Retire ─► Seek ─► … ─► Forward ─► Idle
//!   the next window that ends and has records, in order of time; none: ─┘
//! ```
//!
//! *Merge* unites the window's tables in one: the first of them if it serves no later window, else an empty
//! one. *Emit* drains that table. *Retire* drops the tables that no window to come needs.
//!
//! Invariant: between steps no record is added, so tables stay as they are; the watermark goes on
//! downstream after the last result.

use std::collections::VecDeque;

use crate::record::Key;
use crate::state::Cursor;
use crate::time::Timestamp;

use super::lateness::Lateness;
use super::slice_table::{HashedKey, TableId};
use super::slicing::Slicing;
use super::state::{Merge, WindowState};

/// What a firing does next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stage {
    /// Nothing fires.
    Idle,
    /// Look for the next window.
    Seek,
    /// Unite the tables of the window.
    Merge,
    /// Emit the results of the window.
    Emit,
    /// Drop tables that are over.
    Retire,
    /// Pass the watermark on.
    Forward,
}

/// Entries that are taken out of the united table at once, to be emitted one by one.
const CHUNK: usize = 64;
/// So many merged or dropped entries cost as much budget as one result.
const ENTRIES_PER_RESULT: usize = 8;

/// Where a firing stands.
pub(super) struct Firing<K: Key + ?Sized, A> {
    pub(super) stage: Stage,
    /// The window that fires, or the first that may be next.
    pub(super) window: i64,
    /// Slices before this one serve no window that may still take records.
    horizon: i64,
    merges: VecDeque<Merge>,
    /// How far the first merge has come.
    position: Option<usize>,
    /// The table with the window's results.
    united: Option<TableId>,
    cursor: Cursor,
    /// Results taken out of that table.
    chunk: Vec<(HashedKey<K>, A)>,
    retired: Vec<TableId>,
    retire_cursor: Cursor,
}

impl<K: Key + ?Sized, A: Clone> Firing<K, A> {
    pub(super) fn new() -> Self {
        Firing {
            stage: Stage::Idle,
            window: 0,
            horizon: 0,
            merges: VecDeque::new(),
            position: None,
            united: None,
            cursor: Cursor::default(),
            chunk: Vec::new(),
            retired: Vec::new(),
            retire_cursor: Cursor::default(),
        }
    }

    /// Starts to fire the windows that end between two watermarks.
    pub(super) fn start(
        &mut self,
        slicing: &Slicing,
        lateness: Lateness,
        before: Timestamp,
        watermark: Timestamp,
    ) {
        debug_assert!(self.stage == Stage::Idle && before < watermark);
        self.stage = Stage::Seek;
        self.window = slicing.first_open(before);
        self.horizon = slicing.first_slice(slicing.first_open(lateness.horizon(watermark)));
    }

    /// Goes to the next window that ends at the watermark or before, or to the end of the firing.
    pub(super) fn seek(
        &mut self,
        state: &mut WindowState<K, A>,
        slicing: &Slicing,
        watermark: Timestamp,
        ahead: bool,
    ) {
        let first = slicing.first_slice(self.window);
        let next = state
            .first_slice_from(first)
            .map(|slice| slicing.windows_of(slice).0);
        let next = next.map(|window| window.max(self.window));
        match next.filter(|&window| slicing.window(window).max_timestamp() <= watermark) {
            Some(window) => {
                self.window = window;
                self.unite(state, slicing, ahead);
                self.stage = Stage::Merge;
            }
            None => {
                state.retire_below(self.horizon, &mut self.retired);
                self.stage = if self.retired.is_empty() {
                    Stage::Forward
                } else {
                    Stage::Retire
                };
            }
        }
    }

    /// The first slice that a later window needs.
    fn limit(&self, slicing: &Slicing) -> i64 {
        self.horizon
            .min(slicing.first_slice(self.window.saturating_add(1)))
    }

    /// Plans the merges that unite the tables of the window.
    fn unite(&mut self, state: &mut WindowState<K, A>, slicing: &Slicing, ahead: bool) {
        let range = slicing.slices_of(self.window);
        let pieces = state.pieces(range, ahead, &mut self.merges);
        let (into, rest) = match pieces.split_first() {
            Some((&first, rest)) if first.first_slice() < self.limit(slicing) => {
                state.detach(first);
                (first.table, rest)
            }
            _ => {
                let keys = pieces.iter().map(|piece| piece.keys).max();
                (state.pool.take(keys.unwrap_or(0)), &pieces[..])
            }
        };
        for piece in rest {
            self.merges.push_back(Merge {
                from: piece.table,
                into,
            });
        }
        self.united = Some(into);
    }

    /// Merges some entries. Returns how much budget that took.
    pub(super) fn merge(
        &mut self,
        state: &mut WindowState<K, A>,
        merge: impl Fn(&mut A, &A),
    ) -> u32 {
        let Some(&Merge { from, into }) = self.merges.front() else {
            self.stage = Stage::Emit;
            return 0;
        };
        let merged = state.pool.merge_some(from, into, &mut self.position, merge);
        if self.position.is_none() {
            self.merges.pop_front();
        }
        cost(merged)
    }

    /// The next key of the window and what it has accumulated; `None` when all are taken, and then the
    /// stage is over.
    #[inline]
    pub(super) fn next_result(
        &mut self,
        state: &mut WindowState<K, A>,
        slicing: &Slicing,
    ) -> Option<(HashedKey<K>, A)> {
        if self.chunk.is_empty() {
            self.fill_chunk(state, slicing);
        }
        self.chunk.pop()
    }

    fn fill_chunk(&mut self, state: &mut WindowState<K, A>, slicing: &Slicing) {
        let Some(id) = self.united else {
            return;
        };
        let table = state.pool.get_mut(id);
        let chunk = &mut self.chunk;
        let mut drained = false;
        while chunk.is_empty() && !drained {
            drained = table.drain_some(&mut self.cursor, CHUNK, |key, value| {
                chunk.push((key, value))
            });
        }
        if drained && chunk.is_empty() {
            self.united = None;
            state.pool.release(id);
            state.retire_below(self.limit(slicing), &mut self.retired);
            self.window = self.window.saturating_add(1);
            self.stage = Stage::Retire;
        }
    }

    /// Drops some entries of tables that are over. Returns how much budget that took.
    pub(super) fn retire(&mut self, state: &mut WindowState<K, A>) -> u32 {
        let Some(&id) = self.retired.last() else {
            self.stage = Stage::Seek;
            return 0;
        };
        let entries = state.pool.get(id).len();
        if state
            .pool
            .discard_some(id, &mut self.retire_cursor, CHUNK * ENTRIES_PER_RESULT)
        {
            self.retired.pop();
        }
        cost(entries.min(CHUNK * ENTRIES_PER_RESULT))
    }
}

fn cost(entries: usize) -> u32 {
    (entries / ENTRIES_PER_RESULT).max(1) as u32
}
