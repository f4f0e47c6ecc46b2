//! `union`: the records of several inputs of one type in one stream, unordered between the inputs.

use std::collections::VecDeque;

use crate::record::KeyHash;
use crate::time::{Timestamp, Valve};

use super::inputs::Inputs;
use super::{
    Budget, Lookahead, MultiInput, Operator, Push, Signal, SourcePace, TwoInput, look_through,
    pass_on,
};

/// Forwards the records of several inputs; for watermarks, each input counts as one channel.
#[derive(Debug)]
pub struct Union<D> {
    inputs: Inputs<Valve>,
    /// Signals waiting for earlier work to finish.
    waiting: VecDeque<Signal>,
    next: D,
}

impl<D> Union<D> {
    /// Creates a union of `input_count` inputs upstream of `next`.
    ///
    /// # Panics
    /// If there is no input.
    pub fn new(input_count: usize, next: D) -> Self {
        Union {
            inputs: Inputs::new(input_count, Valve::new(input_count)),
            waiting: VecDeque::new(),
            next,
        }
    }
}

impl<D: Operator> Operator for Union<D> {
    pass_on!(next: open, begin, flush, deadline, snapshot, close);

    fn signal(&mut self, signal: Signal) {
        if self.waiting.is_empty() && (signal.overtakes() || self.next.ready()) {
            self.next.signal(signal);
        } else {
            self.waiting.push_back(signal);
        }
    }

    #[inline(always)]
    fn ready(&self) -> bool {
        self.waiting.is_empty() && self.next.ready()
    }

    fn takes_barrier(&self) -> bool {
        self.waiting.is_empty() && self.next.takes_barrier()
    }

    fn source_pace(&self) -> SourcePace {
        self.next.source_pace()
    }

    fn resume(&mut self, budget: &mut Budget) {
        self.next.resume(budget);
        while self.next.ready()
            && let Some(signal) = self.waiting.pop_front()
        {
            self.next.signal(signal);
        }
    }
}

impl<D: Operator> MultiInput for Union<D> {
    fn is_held(&self, input: usize) -> bool {
        self.inputs.is_held(input)
    }

    fn signal_from(&mut self, input: usize, signal: Signal) {
        let (next, waiting) = (&mut self.next, &mut self.waiting);
        self.inputs.on_signal(input, signal, |signal| {
            if waiting.is_empty() && (signal.overtakes() || next.ready()) {
                next.signal(signal);
            } else {
                waiting.push_back(signal);
            }
        });
    }
}

impl<V: ?Sized, D: Push<V>> Push<V> for Union<D> {
    #[inline(always)]
    fn push(&mut self, record: &V, at: Timestamp) {
        self.next.push(record, at);
    }

    look_through!(next: V);

    #[inline(always)]
    fn push_hashed(&mut self, record: &V, at: Timestamp, hash: KeyHash) {
        self.next.push_hashed(record, at, hash);
    }
}

impl<V: ?Sized, D: Push<V>> TwoInput<V, V> for Union<D> {
    #[inline(always)]
    fn push_first(&mut self, record: &V, at: Timestamp) {
        self.next.push(record, at);
    }

    #[inline(always)]
    fn push_second(&mut self, record: &V, at: Timestamp) {
        self.next.push(record, at);
    }

    #[inline(always)]
    fn hash_first(&self, record: &V) -> KeyHash {
        self.next.hash_ahead(record)
    }

    #[inline(always)]
    fn hash_second(&self, record: &V) -> KeyHash {
        self.next.hash_ahead(record)
    }

    #[inline(always)]
    fn prefetch(&self, hash: KeyHash, ahead: Lookahead) {
        self.next.prefetch(hash, ahead);
    }

    #[inline(always)]
    fn looks_ahead(&self) -> bool {
        self.next.looks_ahead()
    }
}
