//! Running aggregation of a keyed stream: one result per record, the aggregate of its key so far.

use std::borrow::Borrow;
use std::sync::Arc;

use crate::checkpoint::SnapshotOutput;
use crate::record::{KeyHash, KeySelector};
use crate::state::{Aggregate, StateKind};
use crate::time::Timestamp;

use super::key_context::KeyContext;
use super::{Lookahead, OpenContext, Operator, OperatorError, Push, Signal, on_stack, pass_on};

/// Adds each record to the accumulator of its key and emits what a function makes of the key and the
/// result, with the record's timestamp.
pub struct KeyedAggregate<V: ?Sized, S: KeySelector<V>, A: Aggregate<V>, R, D> {
    name: Arc<str>,
    state: KeyContext<V, S, A::Accumulator>,
    aggregate: A,
    emit: R,
    next: D,
}

impl<V: ?Sized, S: KeySelector<V>, A: Aggregate<V>, R, D> std::fmt::Debug
    for KeyedAggregate<V, S, A, R, D>
{
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyedAggregate")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl<V: ?Sized, S: KeySelector<V>, A: Aggregate<V>, R, D> KeyedAggregate<V, S, A, R, D> {
    /// Aggregates by the key that `selector` finds and emits `emit(key, result)`, in front of `next`.
    pub fn new(name: Arc<str>, selector: S, aggregate: A, emit: R, next: D) -> Self {
        KeyedAggregate {
            name,
            state: KeyContext::new(selector, StateKind::Aggregating, "accumulator"),
            aggregate,
            emit,
            next,
        }
    }

    /// Binds the operator's state to a uid rather than to its name.
    #[must_use]
    pub fn uid(mut self, uid: Arc<str>) -> Self {
        self.state.bind(uid);
        self
    }

    /// Makes room for so many keys, of all subtasks together, when the operator opens.
    #[must_use]
    pub fn expected_keys(mut self, keys: usize) -> Self {
        self.state.expected_keys = keys;
        self
    }
}

impl<V, S, A, R, D> Operator for KeyedAggregate<V, S, A, R, D>
where
    V: ?Sized,
    S: KeySelector<V>,
    A: Aggregate<V>,
    R: Send,
    D: Operator,
{
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

impl<V, S, A, R, O, D> Push<V> for KeyedAggregate<V, S, A, R, D>
where
    V: ?Sized,
    S: KeySelector<V>,
    A: Aggregate<V>,
    R: FnMut(&S::Key, A::Out) -> O + Send,
    D: Push<O>,
{
    #[inline(always)]
    fn push(&mut self, record: &V, at: Timestamp) {
        self.push_hashed(record, at, self.hash_ahead(record));
    }

    #[inline(always)]
    fn push_hashed(&mut self, record: &V, at: Timestamp, hash: KeyHash) {
        let key = self.state.key(record);
        let (state, aggregate) = (&mut self.state, &self.aggregate);
        let result = add(state, aggregate, (key.borrow(), hash), record);
        self.next.push(&(self.emit)(key.borrow(), result), at);
    }

    /// What stands behind leaves the operator for the length of the loop: the table is reached by calls now and
    /// then, and whatever they might reach too cannot stay in registers.
    #[inline(always)]
    fn push_all<'a>(&mut self, records: &mut impl Iterator<Item = (&'a V, Timestamp)>)
    where
        V: 'a,
    {
        let (state, aggregate, emit) = (&mut self.state, &self.aggregate, &mut self.emit);
        on_stack(&mut self.next, |next| {
            while next.ready()
                && let Some((record, at)) = records.next()
            {
                let key = state.key(record);
                let (key, hash) = (key.borrow(), state.hash(key.borrow()));
                let result = add(state, aggregate, (key, hash), record);
                next.push(&emit(key, result), at);
            }
        });
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

/// Adds a record to the accumulator of its key, which has this hash; the result so far.
#[inline(always)]
fn add<V: ?Sized, S: KeySelector<V>, A: Aggregate<V>>(
    state: &mut KeyContext<V, S, A::Accumulator>,
    aggregate: &A,
    (key, hash): (&S::Key, KeyHash),
    record: &V,
) -> A::Out {
    let (accumulator, _) = state.value(key, hash, || aggregate.create());
    aggregate.add(accumulator, record);
    aggregate.result(accumulator)
}
