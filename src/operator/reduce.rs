//! Rolling reductions of a keyed stream: one result per record, the reduction of its key so far.
//!
//! Flink's `StreamGroupedReduceOperator`: the first element of a key is emitted unchanged, afterwards
//! the function of the current value and the new element; the timestamp is the input's.

use std::borrow::Borrow;
use std::sync::Arc;

use crate::checkpoint::SnapshotOutput;
use crate::record::{KeyHash, KeySelector, StateValue};
use crate::state::StateKind;
use crate::time::Timestamp;

use super::key_context::KeyContext;
use super::{Lookahead, OpenContext, Operator, OperatorError, Push, RecordRun, Signal, pass_on};

/// How a record is combined with the reduction of its key's earlier records.
pub trait RollingFunction<V>: Clone + Send + 'static {
    /// Turns `reduced` into the reduction with `record`.
    fn roll(&mut self, reduced: &mut V, record: &V);
}

/// A reduction by a function of two records.
#[derive(Clone, Debug)]
pub struct Reduce<F>(pub F);

impl<V, F> RollingFunction<V> for Reduce<F>
where
    F: FnMut(&V, &V) -> V + Clone + Send + 'static,
{
    #[inline(always)]
    fn roll(&mut self, reduced: &mut V, record: &V) {
        *reduced = (self.0)(reduced, record);
    }
}

/// Reduces the records of each key, emitting the reduction after each of them.
pub struct KeyedReduce<V, S: KeySelector<V>, F, D> {
    name: Arc<str>,
    state: KeyContext<V, S, V>,
    function: F,
    next: D,
}

impl<V, S: KeySelector<V>, F, D> std::fmt::Debug for KeyedReduce<V, S, F, D> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyedReduce")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl<V, S: KeySelector<V>, F, D> KeyedReduce<V, S, F, D> {
    /// Creates a reduction with `function` by the key that `selector` extracts, upstream of `next`.
    pub fn new(name: Arc<str>, selector: S, function: F, next: D) -> Self {
        KeyedReduce {
            name,
            state: KeyContext::new(selector, StateKind::Reducing, "reduced"),
            function,
            next,
        }
    }

    /// Binds the operator's state to a uid rather than to its name.
    #[must_use]
    pub fn uid(mut self, uid: Arc<str>) -> Self {
        self.state.bind(uid);
        self
    }

    /// Reserves room for `keys` keys, across all subtasks, when the operator opens.
    #[must_use]
    pub fn expected_keys(mut self, keys: usize) -> Self {
        self.state.expected_keys = keys;
        self
    }
}

impl<V: StateValue, S: KeySelector<V>, F: Send, D: Operator> Operator for KeyedReduce<V, S, F, D> {
    pass_on!(next: begin, ready, resume, deadline, close);

    fn open(&mut self, cx: &OpenContext) -> Result<(), OperatorError> {
        self.next.open(cx)?;
        self.state.open(&self.name, cx)
    }

    fn signal(&mut self, signal: Signal) {
        if let Signal::Barrier(barrier) = signal {
            self.state.freeze(barrier);
        }
        self.next.signal(signal);
    }

    fn snapshot(&mut self, out: &mut SnapshotOutput<'_>) -> bool {
        let written = self.state.drain(out);
        self.next.snapshot(out) && written
    }

    fn flush(&mut self) {
        self.state.publish();
        self.next.flush();
    }
}

impl<V, S, F, D> Push<V> for KeyedReduce<V, S, F, D>
where
    V: StateValue,
    S: KeySelector<V>,
    F: RollingFunction<V>,
    D: Push<V>,
{
    #[inline(always)]
    fn push(&mut self, record: &V, at: Timestamp) {
        self.push_hashed(record, at, self.hash_ahead(record));
    }

    #[inline(always)]
    fn push_hashed(&mut self, record: &V, at: Timestamp, hash: KeyHash) {
        let key = self.state.key(record);
        let reduced = (self.state).value(key.borrow(), hash, || record.clone());
        (self.next).push(roll(&mut self.function, reduced, record), at);
    }

    #[inline(always)]
    fn takes_runs(&self) -> bool {
        !self.looks_ahead()
    }

    #[inline(always)]
    fn push_run(&mut self, run: &impl RecordRun<V>, wanted: usize) -> usize {
        let function = &mut self.function;
        let each =
            |next: &mut D, _: &S::Key, (record, at): (&V, Timestamp), reduced: (&mut V, bool)| {
                next.push(roll(function, reduced, record), at);
            };
        (self.state).update_run(&mut self.next, (run, wanted), V::clone, each)
    }

    #[inline(always)]
    fn looks_ahead(&self) -> bool {
        self.state.looks_ahead()
    }

    #[inline(always)]
    fn hash_ahead(&self, record: &V) -> KeyHash {
        self.state.hash(self.state.key(record).borrow())
    }

    #[inline(always)]
    fn prefetch(&self, hash: KeyHash, ahead: Lookahead) {
        self.state.prefetch(hash, ahead);
    }
}

/// Combines a record with the reduction of its key, unless it was the first one.
#[inline(always)]
fn roll<'a, V>(
    function: &mut impl RollingFunction<V>,
    (reduced, is_first): (&'a mut V, bool),
    record: &V,
) -> &'a V {
    if !is_first {
        function.roll(reduced, record);
    }
    reduced
}

#[cfg(test)]
#[path = "reduce_test.rs"]
mod tests;
