//! `Staged`: records that arrive during a firing.
//!
//! A late record fires its windows again, perhaps in several steps, and an upstream operator that emits
//! several records for one pushes the next ones without checking whether the join is ready. They wait here, in
//! arrival order, and are processed when the firing is over, before any signal behind them.

use std::collections::VecDeque;

use crate::operator::Push;
use crate::record::{KeySelector, Wire};
use crate::state::{ChunkPool, RecordLog};
use crate::time::Timestamp;

use super::firing::Stage;
use super::function::JoinFunction;
use super::operator::WindowJoin;

/// Waiting records of one input.
struct Line<V: ?Sized> {
    log: RecordLog<V>,
    /// How many of them have been processed.
    taken: usize,
}

impl<V: ?Sized> Line<V> {
    fn new() -> Self {
        Line {
            log: RecordLog::default(),
            taken: 0,
        }
    }

    fn clear(&mut self, spare: &mut ChunkPool) {
        self.log.clear(spare);
        self.taken = 0;
    }
}

/// Records that wait for the end of a firing.
pub(super) struct Staged<L: ?Sized, R: ?Sized> {
    left: Line<L>,
    right: Line<R>,
    /// Both inputs, in arrival order: whether a record belongs to the left one, and its time.
    order: VecDeque<(bool, Timestamp)>,
}

impl<L: ?Sized, R: ?Sized> Staged<L, R> {
    pub(super) fn new() -> Self {
        Staged {
            left: Line::new(),
            right: Line::new(),
            order: VecDeque::new(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.order.is_empty()
    }
}

impl<L: Wire + ?Sized, R: Wire + ?Sized> Staged<L, R> {
    pub(super) fn push_left(&mut self, record: &L, at: Timestamp, spare: &mut ChunkPool) {
        self.left.log.push(record, spare);
        self.order.push_back((true, at));
    }

    pub(super) fn push_right(&mut self, record: &R, at: Timestamp, spare: &mut ChunkPool) {
        self.right.log.push(record, spare);
        self.order.push_back((false, at));
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
    /// Returns whether a record that arrives now has to wait for others, or for the end of a firing.
    pub(super) fn has_to_wait(&self) -> bool {
        self.firing.stage != Stage::Idle || !self.staged.is_empty()
    }

    /// Processes the record that has waited longest.
    pub(super) fn push_staged(&mut self) {
        let Some((is_left, at)) = self.staged.order.pop_front() else {
            return;
        };
        if is_left {
            let log = std::mem::take(&mut self.staged.left.log);
            self.take_left(log.get(self.staged.left.taken), at);
            self.staged.left.log = log;
            self.staged.left.taken += 1;
        } else {
            let log = std::mem::take(&mut self.staged.right.log);
            self.take_right(log.get(self.staged.right.taken), at);
            self.staged.right.log = log;
            self.staged.right.taken += 1;
        }
        if self.staged.is_empty() {
            self.staged.left.clear(&mut self.state.spare);
            self.staged.right.clear(&mut self.state.spare);
        } else {
            // No log is at hand: records that arrive now are queued.
            self.state.settle();
        }
        self.busy = true;
    }
}
