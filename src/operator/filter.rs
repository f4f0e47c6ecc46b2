//! `filter`: keeps the records that a predicate accepts.

use crate::record::KeyHash;
use crate::time::Timestamp;

use super::{Operator, Push, look_through, operator_factory, pass_on};

/// Drops records that its predicate refuses.
#[derive(Clone, Debug)]
pub struct Filter<F, D> {
    predicate: F,
    next: D,
}

impl<F, D> Filter<F, D> {
    /// Filters by `predicate` in front of `next`.
    pub fn new(predicate: F, next: D) -> Self {
        Filter { predicate, next }
    }
}

impl<F: Send, D: Operator> Operator for Filter<F, D> {
    pass_on!(next: all);
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

    // The predicate may have effects, so it is not asked: a refused record's state is fetched too.
    look_through!(next: V);

    #[inline(always)]
    fn push_hashed(&mut self, record: &V, at: Timestamp, hash: KeyHash) {
        if (self.predicate)(record) {
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
