//! `BoxedChain`: a chain whose type is hidden from the operators upstream.

use crate::record::KeyHash;
use crate::state::Lookahead;
use crate::time::Timestamp;

use super::record_run::push_unhashed;
use super::{Operator, Push, RecordRun, pass_on};

/// A chain called virtually, once per record.
///
/// Upstream operators are compiled separately for every type of chain that may follow them; boxed chains that
/// take the same records all have one type.
pub struct BoxedChain<V: ?Sized>(Box<dyn Push<V>>);

impl<V: ?Sized> std::fmt::Debug for BoxedChain<V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BoxedChain").finish_non_exhaustive()
    }
}

impl<V: ?Sized> BoxedChain<V> {
    /// Hides the type of `chain`.
    pub fn new(chain: impl Push<V> + 'static) -> Self {
        BoxedChain(Box::new(chain))
    }
}

impl<V: ?Sized> Operator for BoxedChain<V> {
    pass_on!(0: all);
}

impl<V: ?Sized> Push<V> for BoxedChain<V> {
    #[inline]
    fn push(&mut self, record: &V, at: Timestamp) {
        self.0.push(record, at);
    }

    #[inline]
    fn looks_ahead(&self) -> bool {
        self.0.looks_ahead()
    }

    #[inline]
    fn hash_ahead(&self, record: &V) -> KeyHash {
        self.0.hash_ahead(record)
    }

    #[inline]
    fn prefetch(&self, hash: KeyHash, ahead: Lookahead) {
        self.0.prefetch(hash, ahead);
    }

    #[inline]
    fn push_hashed(&mut self, record: &V, at: Timestamp, hash: KeyHash) {
        self.0.push_hashed(record, at, hash);
    }

    /// Without looking ahead, computing the hash is the chain's own business: one call less.
    #[inline]
    fn push_each(&mut self, run: &impl RecordRun<V>, wanted: usize) -> usize {
        push_unhashed(self, run, wanted)
    }
}
