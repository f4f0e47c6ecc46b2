//! `FarForm`: an exchange that vanished. Records become what the far side would have read.

use std::marker::PhantomData;

use crate::record::{Far, Form, KeyHash, Record, Scratch};
use crate::time::Timestamp;

use super::{Lookahead, Operator, Push, pass_on};

/// Hands on the far form of every record: for plain data and text the record itself, for archived
/// records a view of an archive made here, because that is the type that the operators behind an
/// exchange are written for, whether or not it vanishes.
pub struct FarForm<T: ?Sized, D> {
    scratch: Scratch,
    next: D,
    record: PhantomData<fn(&T)>,
}

impl<T: ?Sized, D> std::fmt::Debug for FarForm<T, D> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FarForm").finish_non_exhaustive()
    }
}

impl<T: ?Sized, D> FarForm<T, D> {
    /// Converts in front of `next`.
    pub fn new(next: D) -> Self {
        FarForm {
            scratch: Scratch::new(),
            next,
            record: PhantomData,
        }
    }
}

impl<T: ?Sized, D: Operator> Operator for FarForm<T, D> {
    pass_on!(next: all);
}

impl<T, D> Push<T> for FarForm<T, D>
where
    T: Record + ?Sized,
    D: Push<Far<T>>,
{
    #[inline(always)]
    fn push(&mut self, record: &T, at: Timestamp) {
        self.next
            .push(<T::Form as Form<T>>::far(record, &mut self.scratch), at);
    }

    /// A record that would have to be encoded first is not worth it.
    #[inline(always)]
    fn looks_ahead(&self) -> bool {
        <T::Form as Form<T>>::IN_PLACE && self.next.looks_ahead()
    }

    #[inline(always)]
    fn hash_ahead(&self, record: &T) -> KeyHash {
        let far = <T::Form as Form<T>>::itself(record);
        far.map_or(KeyHash::default(), |far| self.next.hash_ahead(far))
    }

    #[inline(always)]
    fn prefetch(&self, hash: KeyHash, ahead: Lookahead) {
        self.next.prefetch(hash, ahead);
    }

    #[inline(always)]
    fn push_hashed(&mut self, record: &T, at: Timestamp, hash: KeyHash) {
        match <T::Form as Form<T>>::itself(record) {
            Some(far) => self.next.push_hashed(far, at, hash),
            None => self.push(record, at),
        }
    }
}
