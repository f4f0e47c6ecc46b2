//! `Firing`: fires the windows that a watermark ends, or that a late record fires again, in steps.
//!
//! ```text
//! watermark     Seek ─► Chain ─► Match … ─► Retire ─► Seek … ─► Forward ─► Idle      pairs
//!               Seek ─► Index ─► Groups … ─► Retire ─► Seek … ─► Forward ─► Idle     groups
//! late record   Again ─► Index ─► Cross … ─► Again … ─► Idle
//! ```
//! *Chain* puts the left side of the window into an index, *Match* looks up the records of the right side in
//! it and emits the pairs. *Index* makes sure that each slice of the window has an index of its own, and
//! *Cross* and *Groups* collect the records of a key from those.
//!
//! Invariant: between steps no record is added, so places do not change: one that arrives anyway waits
//! (see `staged`). The watermark is forwarded downstream after the last result.

use crate::operator::window::lateness::Lateness;
use crate::operator::window::slicing::Slicing;
use crate::operator::{Budget, Operator, Push, Signal};
use crate::record::{KeySelector, Wire};
use crate::time::Timestamp;

use super::function::JoinFunction;
use super::groups::Gathering;
use super::index::PLACES_MAX;
use super::operator::WindowJoin;
use super::pairs::Matching;
use super::state::{Parts, SliceId};

/// What a firing does next.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Stage {
    /// Nothing fires.
    #[default]
    Idle,
    /// Look for the next window that has ended.
    Seek,
    /// Index the left side of the window.
    Chain,
    /// Find and emit pairs.
    Match,
    /// Index each slice of the window.
    Index,
    /// Emit the results of one key after the other.
    Groups,
    /// Look for the next window that the late record fires.
    Again,
    /// Emit the results of the late record's key.
    Cross,
    /// Drop slices that are over.
    Retire,
    /// Forward the watermark.
    Forward,
}

/// A late record that fires windows again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Late {
    pub(super) from_left: bool,
    pub(super) slice: SliceId,
    /// Its place in the log of its slice.
    pub(super) place: usize,
}

impl Late {
    pub(super) fn of_left(slice: SliceId, place: usize) -> Self {
        let from_left = true;
        Late {
            from_left,
            slice,
            place,
        }
    }

    pub(super) fn of_right(slice: SliceId, place: usize) -> Self {
        let from_left = false;
        Late {
            from_left,
            slice,
            place,
        }
    }
}

/// How far a firing has got.
#[derive(Default)]
pub(super) struct Firing {
    pub(super) stage: Stage,
    /// The window being fired, or the first that may be next.
    pub(super) window: i64,
    /// Slices before this one serve no window that can still take records.
    horizon: i64,
    /// The window's records.
    pub(super) left: Parts,
    pub(super) right: Parts,
    /// The late record that fires windows again, and the first of those, which is handled last.
    pub(super) late: Option<(Late, i64)>,
    pub(super) matching: Matching,
    pub(super) gathering: Gathering,
}

impl Firing {
    /// Starts firing the windows that end between two watermarks.
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

    /// Starts firing windows again for a late record, from the last one backwards.
    pub(super) fn start_again(&mut self, late: Late, (first, last): (i64, i64)) {
        debug_assert!(self.stage == Stage::Idle);
        self.stage = Stage::Again;
        self.late = Some((late, first));
        self.window = last;
    }
}

impl<L, R, S1, S2, F, D> WindowJoin<L, R, S1, S2, F, D>
where
    L: Wire + ?Sized,
    R: Wire + ?Sized,
    S1: KeySelector<L>,
    S2: KeySelector<R, Key = S1::Key>,
    F: JoinFunction<S1::Key, L, R>,
    D: Push<F::Out>,
{
    /// Continues while there is budget and room downstream.
    pub(super) fn advance(&mut self, budget: &mut Budget) {
        while self.busy && budget.left() > 0 && self.next.ready() {
            match self.firing.stage {
                Stage::Idle if !self.staged.is_empty() => {
                    budget.take();
                    self.push_staged();
                }
                Stage::Idle => match self.waiting.pop_front() {
                    Some(signal) => self.accept(signal),
                    None => self.busy = false,
                },
                Stage::Seek => {
                    budget.take();
                    self.seek();
                }
                Stage::Chain => self.chain(budget),
                Stage::Match => self.match_some(budget),
                Stage::Index => self.index(budget),
                Stage::Groups => self.fire_groups(budget),
                Stage::Again => {
                    budget.take();
                    self.seek_again();
                }
                Stage::Cross => self.cross(budget),
                Stage::Retire => {
                    budget.take();
                    self.retire();
                }
                Stage::Forward => {
                    self.firing.stage = Stage::Idle;
                    self.next.signal(Signal::Watermark(self.watermark));
                }
            }
        }
    }

    /// Advances to the next window that ends at or before the watermark, or to the end of the firing.
    fn seek(&mut self) {
        let (firing, slicing) = (&mut self.firing, &self.slicing);
        let first = slicing.first_slice(firing.window);
        let next = (self.state.first_slice_from(first))
            .map(|slice| slicing.windows_of(slice).0.max(firing.window))
            .filter(|&window| slicing.window(window).max_timestamp() <= self.watermark);
        let Some(window) = next else {
            self.state.retire_below(firing.horizon);
            firing.stage = Stage::Forward;
            return;
        };
        firing.window = window;
        self.gather_parts();
        let firing = &mut self.firing;
        firing.stage = if !F::PAIRWISE {
            firing.gathering.begin(&firing.left, &firing.right);
            Stage::Index
        } else if firing.left.len() == 0 || firing.right.len() == 0 {
            Stage::Retire
        } else {
            firing.matching.begin(&firing.left);
            Stage::Chain
        };
    }

    /// Advances to the next window that the late record fires again, or to the end of the firing.
    fn seek_again(&mut self) {
        let first = self.firing.late.map_or(i64::MAX, |(_, first)| first);
        let ended = |join: &Self| {
            let window = join.slicing.window(join.firing.window);
            window.max_timestamp() <= join.watermark
        };
        while self.firing.window >= first && !ended(self) {
            self.firing.window -= 1;
        }
        if self.firing.window < first || self.is_late(self.firing.window) {
            self.firing.late = None;
            self.firing.stage = Stage::Idle;
            return;
        }
        self.gather_parts();
        let firing = &mut self.firing;
        firing.gathering.begin(&firing.left, &firing.right);
        firing.stage = Stage::Index;
    }

    /// Gathers the window's records.
    fn gather_parts(&mut self) {
        let (firing, state) = (&mut self.firing, &self.state);
        let range = self.slicing.slices_of(firing.window);
        let slices = || state.slices_in(range.clone());
        firing.left.gather(&state.left, slices());
        firing.right.gather(&state.right, slices());
        if firing.left.len().max(firing.right.len()) > PLACES_MAX {
            self.raise_too_large();
        }
    }

    /// Drops the slices that no later window needs.
    fn retire(&mut self) {
        let firing = &mut self.firing;
        firing.window = firing.window.saturating_add(1);
        let limit = self.slicing.first_slice(firing.window);
        self.state.retire_below(limit.min(firing.horizon));
        firing.stage = Stage::Seek;
    }
}
