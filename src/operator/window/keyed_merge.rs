//! What crosses the exchange of two-phase keyed windows: keys with accumulators, and how they are read
//! and merged downstream.

use std::borrow::Borrow;
use std::marker::PhantomData;

use crate::operator::Aggregate;
use crate::record::{Far, Key, KeySelector, OwnedForm, Record, StoredKey};

type Stored<K> = <K as Key>::Stored;

/// The output of [`KeyedPartials`](super::KeyedPartials), for keys of type `K` and accumulators of type `A`.
pub type KeyedPartial<K, A> = (Stored<K>, A);

/// Extracts the key from the output of [`KeyedPartials`](super::KeyedPartials), in its form downstream of an exchange.
pub struct PartialKey<K: ?Sized, A>(PhantomData<fn(&K, A)>);

impl<K: ?Sized, A> PartialKey<K, A> {
    /// Creates the selector.
    #[must_use]
    pub const fn new() -> Self {
        PartialKey(PhantomData)
    }
}

impl<K: ?Sized, A> Default for PartialKey<K, A> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: ?Sized, A> Clone for PartialKey<K, A> {
    fn clone(&self) -> Self {
        Self::new()
    }
}

impl<K: ?Sized, A> std::fmt::Debug for PartialKey<K, A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PartialKey")
    }
}

/// A key in its owned form, usable as the key itself.
#[derive(Debug)]
pub struct FoundKey<K: Key + ?Sized>(Stored<K>);

impl<K: Key + ?Sized> Borrow<K> for FoundKey<K> {
    #[inline(always)]
    fn borrow(&self) -> &K {
        self.0.key()
    }
}

impl<K, A> KeySelector<Far<KeyedPartial<K, A>>> for PartialKey<K, A>
where
    K: Key + ?Sized,
    A: 'static,
    KeyedPartial<K, A>: Record,
    <KeyedPartial<K, A> as Record>::Form: OwnedForm<KeyedPartial<K, A>>,
{
    type Key = K;
    type Found<'a>
        = FoundKey<K>
    where
        Far<KeyedPartial<K, A>>: 'a;

    #[inline]
    fn key(&self, partial: &Far<KeyedPartial<K, A>>) -> FoundKey<K> {
        FoundKey(<KeyedPartial<K, A> as Record>::Form::owned(partial).0)
    }
}

/// Aggregates the output of [`KeyedPartials`](super::KeyedPartials) with the aggregate `A`.
pub struct MergeKeyedPartials<V: ?Sized, K: ?Sized, A> {
    aggregate: A,
    types: PhantomData<fn(&V, &K)>,
}

impl<V: ?Sized, K: ?Sized, A> MergeKeyedPartials<V, K, A> {
    /// Creates an aggregate that merges accumulators of `aggregate`.
    pub fn new(aggregate: A) -> Self {
        MergeKeyedPartials {
            aggregate,
            types: PhantomData,
        }
    }
}

impl<V: ?Sized, K: ?Sized, A: Clone> Clone for MergeKeyedPartials<V, K, A> {
    fn clone(&self) -> Self {
        MergeKeyedPartials::new(self.aggregate.clone())
    }
}

impl<V: ?Sized, K: ?Sized, A: std::fmt::Debug> std::fmt::Debug for MergeKeyedPartials<V, K, A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("MergeKeyedPartials")
            .field(&self.aggregate)
            .finish()
    }
}

impl<V, K, A> Aggregate<Far<KeyedPartial<K, A::Accumulator>>> for MergeKeyedPartials<V, K, A>
where
    V: ?Sized + 'static,
    K: Key + ?Sized,
    A: Aggregate<V>,
    KeyedPartial<K, A::Accumulator>: Record,
    <KeyedPartial<K, A::Accumulator> as Record>::Form: OwnedForm<KeyedPartial<K, A::Accumulator>>,
{
    type Accumulator = A::Accumulator;
    type Out = A::Out;

    fn create(&self) -> A::Accumulator {
        self.aggregate.create()
    }

    fn add(
        &self,
        accumulator: &mut A::Accumulator,
        partial: &Far<KeyedPartial<K, A::Accumulator>>,
    ) {
        let (_, partial) = <KeyedPartial<K, A::Accumulator> as Record>::Form::owned(partial);
        self.aggregate.merge(accumulator, &partial);
    }

    fn merge(&self, accumulator: &mut A::Accumulator, other: &A::Accumulator) {
        self.aggregate.merge(accumulator, other);
    }

    fn result(&self, accumulator: &A::Accumulator) -> A::Out {
        self.aggregate.result(accumulator)
    }
}
