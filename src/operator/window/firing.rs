//! `Firing`: fires the windows that a watermark ends, one after the other, in steps.
//!
//! A watermark may end many windows of a million keys each, and the worker has other subtasks to run. So
//! a firing is a value that remembers where it is, and proceeds within a budget:
//!
//! ```text
//! Seek ─► Build ─► Emit ─► Retire ─► Seek ─► … ─► Forward ─► Idle
//!   the next window that ends and has records, in time order; none: ─────┘
//! ```
//!
//! *Build* merges the nodes that the window needs and that are missing. *Emit* goes through the tables that
//! make up the window. A single one is emitted from where it lies. With several, the keys that may be in
//! two of them are merged in a table kept for that, which comes last; all others are emitted immediately (see
//! [`sketch`](super::sketch)). *Retire* drops the tables that no future window needs.
//!
//! Invariant: between steps no record is added, so tables do not change; the watermark is forwarded
//! downstream after the last result.

use std::collections::VecDeque;

use crate::operator::{Budget, Push};
use crate::record::{Key, KeyHash, StoredKey};
use crate::state::Bookmark;
use crate::time::Timestamp;

use super::function::WindowFunction;
use super::lateness::Lateness;
use super::sketch::Repeats;
use super::slice_table::SliceTable;
use super::slicing::Slicing;
use super::state::{Merge, Piece, Retired, WindowState};
use super::time_window::TimeWindow;

/// What a firing does next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stage {
    /// Nothing fires.
    Idle,
    /// Look for the next window.
    Seek,
    /// Build nodes.
    Build,
    /// Go through the tables of the window.
    Emit,
    /// Drop tables that are over.
    Retire,
    /// Forward the watermark.
    Forward,
}

/// How many entries are merged or dropped in one step.
const STEP: usize = 512;
/// How many merged or dropped entries cost as much budget as one result.
const ENTRIES_PER_RESULT: usize = 8;

/// How far a firing has got.
pub(super) struct Firing<K: Key + ?Sized, A> {
    pub(super) stage: Stage,
    /// The window being fired, or the first that may be next.
    pub(super) window: i64,
    /// Slices before this one serve no window that can still take records.
    horizon: i64,
    merges: VecDeque<Merge>,
    /// The tables that make up the window, and the current one among them.
    pieces: Vec<Piece>,
    piece: usize,
    /// Which keys must be merged; `None` for all.
    repeats: Option<Repeats>,
    spare_repeats: Repeats,
    united: Box<SliceTable<K, A>>,
    retired: Vec<Retired>,
    /// How far reading or emptying the current table has got.
    bookmark: Bookmark,
}

impl<K: Key + ?Sized, A: Clone> Firing<K, A> {
    /// Creates an idle firing; windows will be merged in `united`.
    pub(super) fn new(united: Box<SliceTable<K, A>>) -> Self {
        Firing {
            stage: Stage::Idle,
            window: 0,
            horizon: 0,
            merges: VecDeque::new(),
            pieces: Vec::new(),
            piece: 0,
            repeats: None,
            spare_repeats: Repeats::default(),
            united,
            retired: Vec::new(),
            bookmark: Bookmark::default(),
        }
    }

    /// Returns the bytes of the table in which windows are merged.
    pub(super) fn memory_bytes(&self) -> usize {
        self.united.memory_bytes()
    }

    /// Starts firing the windows from `window` on that end at or before `watermark`.
    pub(super) fn start(
        &mut self,
        slicing: &Slicing,
        lateness: Lateness,
        window: i64,
        watermark: Timestamp,
    ) {
        debug_assert!(self.stage == Stage::Idle);
        self.stage = Stage::Seek;
        self.window = window;
        self.horizon = slicing.first_slice(slicing.first_open(lateness.horizon(watermark)));
    }

    /// Advances to the next window that ends at or before the watermark, or to the end of the firing.
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
                let slices = slicing.slices_of(window);
                state.pieces(slices, ahead, &mut self.pieces, &mut self.merges);
                self.piece = 0;
                self.stage = Stage::Build;
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

    /// Returns the first slice that a later window needs.
    fn limit(&self, slicing: &Slicing) -> i64 {
        self.horizon
            .min(slicing.first_slice(self.window.saturating_add(1)))
    }

    /// Merges some entries into nodes. Returns how much budget that took.
    pub(super) fn build(
        &mut self,
        state: &mut WindowState<K, A>,
        merge: impl Fn(&mut A, &A),
    ) -> u32 {
        let Some(&Merge { from, into }) = self.merges.front() else {
            self.compare(state);
            self.stage = Stage::Emit;
            return 0;
        };
        let bookmark = &mut self.bookmark;
        let (merged, all) = state.pool.merge_some((from, into), bookmark, STEP, merge);
        if all {
            self.merges.pop_front();
        }
        cost(merged)
    }

    /// Determines which keys must be merged.
    fn compare(&mut self, state: &WindowState<K, A>) {
        for piece in &mut self.pieces {
            piece.keys = state.pool.get(piece.table).entries.len();
        }
        if let Some(repeats) = self.repeats.take() {
            self.spare_repeats = repeats;
        }
        if self.pieces.len() > 1 {
            let pieces = self.pieces.iter();
            let sketches = pieces.filter_map(|piece| state.pool.get(piece.table).sketch.as_ref());
            if self.spare_repeats.overlay(sketches) {
                self.repeats = Some(std::mem::take(&mut self.spare_repeats));
            }
        }
    }

    /// Continues through the tables of the window, and then through the table of merged keys.
    pub(super) fn emit<V, F, D>(
        &mut self,
        state: &mut WindowState<K, A>,
        slicing: &Slicing,
        function: &mut F,
        emission: &mut Emission<'_, D>,
    ) where
        V: ?Sized,
        F: WindowFunction<V, K, Accumulator = A>,
        D: Push<F::Out>,
    {
        let (hasher, limit) = (state.pool.shape.hasher, self.limit(slicing));
        let (united, bookmark) = (&mut self.united, &mut self.bookmark);
        let piece = self.pieces.get(self.piece).copied();
        let is_over = piece.is_none_or(|piece| piece.first_slice() < limit);
        let mut merged = 0;
        let done = match (piece, &self.repeats) {
            (Some(piece), Some(repeats)) if self.pieces.len() > 1 => {
                let table = &mut state.pool.get_mut(piece.table).entries;
                table.walk(bookmark, is_over, |key, accumulator| {
                    let hash = hasher.hash(key.key());
                    if repeats.is_single(hash) {
                        return emission.fire(function, key.key(), accumulator);
                    }
                    unite(united, hash, key, accumulator, &*function);
                    merged += 1;
                    merged < STEP
                })
            }
            (Some(piece), None) if self.pieces.len() > 1 => {
                let table = &mut state.pool.get_mut(piece.table).entries;
                let merge = |united: &mut A, later: &A| function.merge(united, later);
                table.walk(bookmark, is_over, |key, accumulator| {
                    united.merge(hasher.hash(key.key()), key, accumulator, merge);
                    merged += 1;
                    merged < STEP
                })
            }
            _ => {
                let table = piece.map(|piece| &mut **state.pool.get_mut(piece.table));
                let table = &mut table.unwrap_or(united).entries;
                table.walk(bookmark, is_over, |key, accumulator| {
                    emission.fire(function, key.key(), accumulator)
                })
            }
        };
        emission.budget.spend(cost(merged));
        if done {
            self.end_table(state, slicing, piece.filter(|_| is_over));
        }
    }

    /// Advances to the next table of the window, or to the next window; with `over`, the table is empty.
    fn end_table(&mut self, state: &mut WindowState<K, A>, slicing: &Slicing, over: Option<Piece>) {
        if let Some(piece) = over {
            state.detach(piece);
            state.pool.release(piece.level, piece.table, piece.keys);
        }
        self.piece += 1;
        // The table of merged keys comes after the pieces.
        if self.piece > self.pieces.len() || self.pieces.len() == 1 {
            state.retire_below(self.limit(slicing), &mut self.retired);
            self.window = self.window.saturating_add(1);
            self.stage = Stage::Retire;
        }
    }

    /// Drops some entries of tables that are over. Returns how much budget that took.
    pub(super) fn retire(&mut self, state: &mut WindowState<K, A>) -> u32 {
        let Some(&Retired { level, table }) = self.retired.last() else {
            self.stage = Stage::Seek;
            return 0;
        };
        let entries = state.pool.get(table).entries.len();
        if state.pool.discard_some(table, &mut self.bookmark, STEP) {
            self.retired.pop();
            state.pool.release(level, table, entries);
        }
        cost(entries.min(STEP))
    }
}

/// Merges what one of a window's tables has for a key with what others have.
#[inline(never)]
fn unite<V, K, F>(
    united: &mut SliceTable<K, F::Accumulator>,
    hash: KeyHash,
    key: &K::Stored,
    accumulator: &F::Accumulator,
    function: &F,
) where
    V: ?Sized,
    K: Key + ?Sized,
    F: WindowFunction<V, K>,
{
    let merge = |united: &mut _, later: &_| function.merge(united, later);
    united.merge(hash, key, accumulator, merge);
}

/// Where the results of a window go, and how many may go there now.
///
/// Results are not sent to side outputs, so those, which the compiler cannot inline, are asked for room
/// before a firing continues and not after every result.
pub(super) struct Emission<'a, D> {
    pub(super) next: &'a mut D,
    pub(super) budget: Budget,
    pub(super) window: TimeWindow,
}

impl<D> Emission<'_, D> {
    /// Emits the results of one key. Returns whether those of another one may follow.
    #[inline]
    fn fire<V, K, F>(&mut self, function: &mut F, key: &K, accumulator: &F::Accumulator) -> bool
    where
        V: ?Sized,
        K: ?Sized,
        F: WindowFunction<V, K>,
        D: Push<F::Out>,
    {
        let (at, next) = (self.window.max_timestamp(), &mut *self.next);
        function.fire(key, self.window, accumulator, |result| {
            next.push(result, at)
        });
        self.budget.take();
        self.budget.left() > 0 && self.next.ready()
    }
}

fn cost(entries: usize) -> u32 {
    (entries / ENTRIES_PER_RESULT).max(1) as u32
}
