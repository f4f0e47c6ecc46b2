//! `filter`: keeps the records that a predicate accepts.
//!
//! The predicate may have side effects, so it is not called ahead of time: where heads look ahead, the state of
//! rejected records is prefetched too. A filter that rejects most of them therefore stops looking ahead, except
//! for a batch now and then to see whether that has changed.

use crate::record::KeyHash;
use crate::time::Timestamp;

use super::{Lookahead, Operator, Push, RecordRun, operator_factory, pass_on};

/// One in this many records must pass for looking ahead to pay: a miss costs about four times a prefetch.
const PASSES_MIN: u32 = 4;

/// How many records are counted at least before judging that.
const JUDGED_MIN: u32 = 256;

/// How many batches a judgement holds for.
const BATCHES: u32 = 64;

/// Drops the records that its predicate rejects.
#[derive(Clone, Debug)]
pub struct Filter<F, D> {
    predicate: F,
    /// Records that were looked at ahead of time, and how many of them have passed.
    seen: u32,
    passed: u32,
    /// How many more batches do not look ahead.
    blind: u32,
    next: D,
}

impl<F, D> Filter<F, D> {
    /// Creates a filter by `predicate` upstream of `next`.
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
    pass_on!(next: open, begin, signal, ready, resume, deadline, event_time, snapshot, close);

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

    /// A rejected record leaves the rest of the chain unchanged, so readiness is checked only
    /// after one has passed.
    #[inline(always)]
    fn push_each(&mut self, run: &impl RecordRun<V>, wanted: usize) -> usize {
        let mut records = run.part(0..wanted);
        let Filter {
            predicate, next, ..
        } = self;
        while next.ready() {
            let passed = loop {
                match records.next() {
                    Some((record, at)) if predicate(record) => break (record, at),
                    Some(_) => {}
                    None => return wanted,
                }
            };
            next.push(passed.0, passed.1);
        }
        wanted - records.len()
    }

    #[inline(always)]
    fn looks_ahead(&self) -> bool {
        self.blind == 0 && self.next.looks_ahead()
    }

    /// Nothing while not looking ahead: most records are rejected.
    #[inline(always)]
    fn hash_ahead(&self, record: &V) -> KeyHash {
        if self.blind > 0 {
            return KeyHash::default();
        }
        self.next.hash_ahead(record)
    }

    #[inline(always)]
    fn prefetch(&self, hash: KeyHash, ahead: Lookahead) {
        self.next.prefetch(hash, ahead);
    }

    #[inline(always)]
    fn push_hashed(&mut self, record: &V, at: Timestamp, hash: KeyHash) {
        let looks_ahead = self.blind == 0;
        self.seen += u32::from(looks_ahead);
        if (self.predicate)(record) {
            if looks_ahead {
                self.passed += 1;
                self.next.push_hashed(record, at, hash);
            } else {
                push_unseen(&mut self.next, record, at);
            }
        }
    }
}

/// Pushes one of the few records that pass: it was not looked at ahead of time, so it is staged ahead of keyed
/// operators. Not inlined again at the call site.
#[inline(never)]
fn push_unseen<V: ?Sized>(next: &mut impl Push<V>, record: &V, at: Timestamp) {
    next.push(record, at);
}

/// Creates [`Filter`]s.
#[derive(Clone, Debug)]
pub struct FilterFactory<F>(pub F);

operator_factory! {
    impl<V: ?Sized, F> FilterFactory<F>
    where { V: 'static, F: FnMut(&V) -> bool + Clone + Send + 'static }
    V => V; Filter<F; D>;
    |this, _site, next| Filter::new(this.0.clone(), next)
}

#[cfg(test)]
#[path = "filter_test.rs"]
mod tests;
