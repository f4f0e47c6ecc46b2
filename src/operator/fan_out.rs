//! `FanOut`: a stream that is used more than once. Its branches are behind `dyn`, as are side outputs and
//! [boxed chains](super::BoxedChain).

use crate::checkpoint::SnapshotOutput;
use crate::time::Timestamp;

use super::{
    Budget, OpenContext, Operator, OperatorError, Push, Signal, SourcePace, earlier, first_error,
};

/// Passes every record to each of several boxed chains, in order.
pub struct FanOut<V: ?Sized> {
    branches: Vec<Box<dyn Push<V>>>,
}

impl<V: ?Sized> std::fmt::Debug for FanOut<V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FanOut")
            .field("branches", &self.branches.len())
            .finish()
    }
}

impl<V: ?Sized> FanOut<V> {
    /// Creates a fan-out to `branches`.
    #[must_use]
    pub fn new(branches: Vec<Box<dyn Push<V>>>) -> Self {
        FanOut { branches }
    }
}

impl<V: ?Sized> Operator for FanOut<V> {
    fn open(&mut self, cx: &OpenContext) -> Result<(), OperatorError> {
        self.branches
            .iter_mut()
            .rev()
            .try_for_each(|branch| branch.open(cx))
    }

    fn begin(&mut self, now: Timestamp) {
        self.branches
            .iter_mut()
            .for_each(|branch| branch.begin(now));
    }

    fn signal(&mut self, signal: Signal) {
        self.branches
            .iter_mut()
            .for_each(|branch| branch.signal(signal));
    }

    fn ready(&self) -> bool {
        self.branches.iter().all(|branch| branch.ready())
    }

    fn takes_barrier(&self) -> bool {
        self.branches.iter().all(|branch| branch.takes_barrier())
    }

    fn source_pace(&self) -> SourcePace {
        self.branches
            .iter()
            .map(|branch| branch.source_pace())
            .collect()
    }

    fn resume(&mut self, budget: &mut Budget) {
        self.branches
            .iter_mut()
            .for_each(|branch| branch.resume(budget));
    }

    fn flush(&mut self) {
        self.branches.iter_mut().for_each(|branch| branch.flush());
    }

    fn deadline(&self) -> Option<Timestamp> {
        self.branches
            .iter()
            .fold(None, |soonest, branch| earlier(soonest, branch.deadline()))
    }

    fn snapshot(&mut self, out: &mut SnapshotOutput<'_>) -> bool {
        let written = |all: bool, branch: &mut Box<dyn Push<V>>| branch.snapshot(out) && all;
        self.branches.iter_mut().fold(true, written)
    }

    fn close(&mut self) -> Result<(), OperatorError> {
        // Every branch is closed, whatever the others return.
        first_error(self.branches.iter_mut().rev().map(|branch| branch.close()))
    }
}

impl<V: ?Sized> Push<V> for FanOut<V> {
    #[inline]
    fn push(&mut self, record: &V, at: Timestamp) {
        for branch in &mut self.branches {
            branch.push(record, at);
        }
    }
}
