//! Key selectors: how a record's key is extracted.

use std::borrow::Borrow;

use super::key::Key;

/// Extracts the key of a record. Implemented by the two kinds of closure that `key_by` and `key_by_ref` take.
pub trait KeySelector<V: ?Sized>: Clone + Send + 'static {
    /// The key's type; unsized (`str`) if the key is borrowed from the record.
    type Key: Key + ?Sized;
    /// The extracted key: an owned value, or a reference into the record.
    type Found<'a>: Borrow<Self::Key>
    where
        V: 'a;

    /// The key of `record`.
    fn key<'a>(&self, record: &'a V) -> Self::Found<'a>;
}

/// A selector that returns an owned key: `|bid| bid.auction`.
#[derive(Clone, Debug)]
pub struct OwnedSelector<F>(pub F);

impl<V, K, F> KeySelector<V> for OwnedSelector<F>
where
    V: ?Sized,
    K: Key,
    F: Fn(&V) -> K + Clone + Send + 'static,
{
    type Key = K;
    type Found<'a>
        = K
    where
        V: 'a;

    #[inline(always)]
    fn key(&self, record: &V) -> K {
        (self.0)(record)
    }
}

/// A selector that borrows the key from the record: `|word| word`.
#[derive(Clone, Debug)]
pub struct BorrowedSelector<F>(pub F);

impl<V, K, F> KeySelector<V> for BorrowedSelector<F>
where
    V: ?Sized,
    K: Key + ?Sized,
    F: for<'a> Fn(&'a V) -> &'a K + Clone + Send + 'static,
{
    type Key = K;
    type Found<'a>
        = &'a K
    where
        V: 'a;

    #[inline(always)]
    fn key<'a>(&self, record: &'a V) -> &'a K {
        (self.0)(record)
    }
}
