//! `filter`: keeps the records that a predicate accepts.
//!
//! The predicate may have effects, so it is not asked ahead of time: where heads look ahead, the state of
//! refused records is fetched too. A filter that refuses most of them therefore looks ahead no more, but
//! for a batch now and then to see whether that has changed.

use crate::record::KeyHash;
use crate::time::Timestamp;

use super::{Lookahead, Operator, Push, operator_factory, pass_on};

/// One in so many records must pass for looking ahead to pay: a miss costs some four times a fetch.
const PASSES_MIN: u32 = 4;

/// Records that are counted at least before that is judged.
const JUDGED_MIN: u32 = 256;

/// For how many batches a judgement holds.
const BATCHES: u32 = 64;

/// Drops records that its predicate refuses.
#[derive(Clone, Debug)]
pub struct Filter<F, D> {
    predicate: F,
    /// Records that were looked at ahead of time, and those of them that have passed.
    seen: u32,
    passed: u32,
    /// Batches in which it is not looked ahead.
    blind: u32,
    next: D,
}

impl<F, D> Filter<F, D> {
    /// Filters by `predicate` in front of `next`.
    pub fn new(predicate: F, next: D) -> Self {
        Filter {
            predicate,
            seen: 0,
            passed: 0,
            blind: 0,
            next,
        }
    }
}

impl<F: Send, D: Operator> Operator for Filter<F, D> {
    pass_on!(next: open, begin, signal, ready, resume, deadline, close);

    fn flush(&mut self) {
        self.blind = self.blind.saturating_sub(1);
        if self.seen >= JUDGED_MIN {
            if self.passed < self.seen / PASSES_MIN {
                self.blind = BATCHES;
            }
            (self.seen, self.passed) = (0, 0);
        }
        self.next.flush();
    }
}

impl<V, F, D> Push<V> for Filter<F, D>
where
    V: ?Sized,
    F: FnMut(&V) -> bool + Send,
    D: Push<V>,
{
    #[inline(always)]
    fn push(&mut self, record: &V, at: Timestamp) {
        if (self.predicate)(record) {
            self.next.push(record, at);
        }
    }

    #[inline(always)]
    fn looks_ahead(&self) -> bool {
        self.blind == 0 && self.next.looks_ahead()
    }

    #[inline(always)]
    fn hash_ahead(&self, record: &V) -> KeyHash {
        self.next.hash_ahead(record)
    }

    #[inline(always)]
    fn prefetch(&self, hash: KeyHash, ahead: Lookahead) {
        self.next.prefetch(hash, ahead);
    }

    #[inline(always)]
    fn push_hashed(&mut self, record: &V, at: Timestamp, hash: KeyHash) {
        self.seen += 1;
        if (self.predicate)(record) {
            self.passed += 1;
            self.next.push_hashed(record, at, hash);
        }
    }
}

/// Makes [`Filter`]s.
#[derive(Clone, Debug)]
pub struct FilterFactory<F>(pub F);

operator_factory! {
    impl<V: ?Sized, F> FilterFactory<F>
    where { V: 'static, F: FnMut(&V) -> bool + Clone + Send + 'static }
    V => V; Filter<F; D>;
    |this, _site, next| Filter::new(this.0.clone(), next)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operator::{Budget, OpenContext, OperatorError, Signal};

    /// The front of a chain with keyed state.
    struct Keyed;

    impl Operator for Keyed {
        fn open(&mut self, _cx: &OpenContext) -> Result<(), OperatorError> {
            Ok(())
        }
        fn begin(&mut self, _now: Timestamp) {}
        fn signal(&mut self, _signal: Signal) {}
        fn ready(&self) -> bool {
            true
        }
        fn resume(&mut self, _budget: &mut Budget) {}
        fn flush(&mut self) {}
        fn deadline(&self) -> Option<Timestamp> {
            None
        }
        fn close(&mut self) -> Result<(), OperatorError> {
            Ok(())
        }
    }

    impl Push<u32> for Keyed {
        fn push(&mut self, _record: &u32, _at: Timestamp) {}

        fn looks_ahead(&self) -> bool {
            true
        }
    }

    #[test]
    fn filter_that_refuses_most_records_looks_ahead_in_few_batches() {
        let blind = |one_in: u32| {
            let mut filter = Filter::new(move |n: &u32| n.is_multiple_of(one_in), Keyed);
            let batch = |_: &u32| {
                let looks_ahead = filter.looks_ahead();
                for n in 0..300 {
                    match looks_ahead {
                        true => filter.push_hashed(&n, Timestamp::MIN, KeyHash::default()),
                        false => filter.push(&n, Timestamp::MIN),
                    }
                }
                filter.flush();
                !looks_ahead
            };
            (0..260).filter(batch).count() as u32
        };
        assert_eq!((blind(1), blind(3)), (0, 0));
        assert_eq!(blind(20), 4 * BATCHES);
    }
}
