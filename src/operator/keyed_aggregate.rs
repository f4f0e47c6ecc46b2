//! Running aggregation of a keyed stream: one result per record, the aggregate of its key so far.

use std::borrow::Borrow;
use std::sync::Arc;

use crate::checkpoint::SnapshotOutput;
use crate::record::{KeyHash, KeySelector};
use crate::state::{Aggregate, StateKind};
use crate::time::Timestamp;

use super::key_context::KeyContext;
use super::{Lookahead, OpenContext, Operator, OperatorError, Push, RecordRun, Signal, pass_on};

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
    /// Creates an aggregation by the key that `selector` extracts; emits `emit(key, result)` to `next`.
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

    /// Reserves room for `keys` keys, across all subtasks, when the operator opens.
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
        let (key, aggregate) = (self.state.key(record), &self.aggregate);
        let (accumulator, _) = (self.state).value(key.borrow(), hash, || aggregate.create());
        aggregate.add(accumulator, record);
        let result = aggregate.result(accumulator);
        self.next.push(&(self.emit)(key.borrow(), result), at);
    }

    #[inline(always)]
    fn takes_runs(&self) -> bool {
        !self.looks_ahead()
    }

    /// Each result goes on at once. If 64 of them went on together, in a loop that the compiler can vectorise, no state
    /// would be fetched meanwhile: running sums took a thirtieth to a sixth longer.
    #[inline(always)]
    fn push_run(&mut self, run: &impl RecordRun<V>, wanted: usize) -> usize {
        let (aggregate, emit) = (&self.aggregate, &mut self.emit);
        let create = |_: &V| aggregate.create();
        (self.state).update_run(
            &mut self.next,
            (run, wanted),
            create,
            |next, key, (record, at), (accumulator, _)| {
                aggregate.add(accumulator, record);
                next.push(&emit(key, aggregate.result(accumulator)), at);
            },
        )
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operator::recorder::{Recorder, Records, open_context};
    use crate::record::OwnedSelector;
    use crate::state::Sum;

    type Pair = (u64, u64);

    fn sums(log: &Recorder<(u64, String)>) -> impl Push<Pair> + use<> {
        let sum = Sum::of(|pair: &Pair| pair.1);
        // A result that owns memory.
        let emit = |key: &u64, sum: u64| (*key, sum.to_string());
        let key = OwnedSelector(|pair: &Pair| pair.0);
        let mut sums = KeyedAggregate::new("sums".into(), key, sum, emit, log.clone());
        sums.open(&open_context()).expect("nothing is restored");
        sums
    }

    #[test]
    fn a_run_gives_what_its_records_give_one_by_one_as_far_as_there_is_room() {
        for count in [1, 31, 63, 64, 65, 200, 1000] {
            let records: Vec<(Pair, i64)> =
                (0..count).map(|n| ((n * n % 97, n), n as i64)).collect();
            let (one_by_one, run) = (Recorder::new(), Recorder::new());
            let mut operator = sums(&one_by_one);
            for (record, at) in &records {
                operator.push(record, Timestamp(*at));
            }
            let expected = one_by_one.take_records();
            let (mut operator, mut found, mut left) = (sums(&run), Vec::new(), &records[..]);
            while !left.is_empty() {
                run.set_room(150);
                let taken = operator.push_run(&Records(left), left.len());
                assert!(taken > 0);
                left = &left[taken..];
                found.extend(run.take_records());
                assert_eq!(found.len(), records.len() - left.len());
            }
            assert_eq!(found, expected);
            run.set_room(0);
            assert_eq!(operator.push_run(&Records(&records), records.len()), 0);
        }
    }
}
