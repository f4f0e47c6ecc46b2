//! Aggregating state: one accumulator per key.

use super::backend::Place;
use super::{Aggregate, KeyedScope};

/// A handle to one accumulator per key, with its aggregate function.
pub struct AggregatingState<V: ?Sized, A: Aggregate<V>> {
    place: Place<A::Accumulator>,
    aggregate: A,
}

impl<V: ?Sized, A: Aggregate<V>> Clone for AggregatingState<V, A> {
    fn clone(&self) -> Self {
        Self::at(self.place, self.aggregate.clone())
    }
}

impl<V: ?Sized, A: Aggregate<V>> std::fmt::Debug for AggregatingState<V, A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("AggregatingState")
            .field(&self.place)
            .finish()
    }
}

impl<V: ?Sized, A: Aggregate<V>> AggregatingState<V, A> {
    /// An unregistered handle, for a field that `open` fills in; using it panics.
    #[must_use]
    pub fn unregistered(aggregate: A) -> Self {
        Self::at(Place::NOWHERE, aggregate)
    }

    pub(super) fn at(place: Place<A::Accumulator>, aggregate: A) -> Self {
        AggregatingState { place, aggregate }
    }

    /// The result for the current key, if anything was added.
    #[inline]
    pub fn get<C: KeyedScope>(&self, cx: &C) -> Option<A::Out> {
        let accumulator = cx.scope().get(self.place)?;
        Some(self.aggregate.result(accumulator))
    }

    /// Adds `record` to the current key's accumulator.
    #[inline]
    pub fn add<C: KeyedScope>(&self, cx: &mut C, record: &V) {
        let first = || self.aggregate.create();
        let (accumulator, _) = cx.scope_mut().entry(self.place, first);
        self.aggregate.add(accumulator, record);
    }

    /// Clears the accumulator of the current key.
    #[inline]
    pub fn clear<C: KeyedScope>(&self, cx: &mut C) {
        cx.scope_mut().remove(self.place);
    }
}
