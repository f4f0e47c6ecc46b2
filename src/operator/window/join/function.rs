//! Join functions: what a window emits from the records that met in it.

use std::marker::PhantomData;

use crate::operator::window::time_window::TimeWindow;

use super::group::Group;

/// What a window join computes from records of types `L` and `R` with keys of type `K`: from every pair, or
/// from all records of a key at once.
pub trait JoinFunction<K: ?Sized, L: ?Sized, R: ?Sized>: Send + 'static {
    /// The results' type.
    type Out: ?Sized + 'static;

    /// Whether [`pair`](JoinFunction::pair) is called rather than
    /// [`group`](JoinFunction::group).
    const PAIRWISE: bool;

    /// Calls `emit` for every result of two records with the same key.
    #[inline]
    fn pair(&mut self, left: &L, right: &R, window: TimeWindow, emit: impl FnMut(&Self::Out)) {
        let _ = (left, right, window, emit);
    }

    /// Calls `emit` for every result of a key's records in a window, of which there is at least one.
    #[inline]
    fn group(
        &mut self,
        key: &K,
        window: TimeWindow,
        lefts: Group<'_, L>,
        rights: Group<'_, R>,
        emit: impl FnMut(&Self::Out),
    ) {
        let _ = (key, window, lefts, rights, emit);
    }
}

/// One result for every pair: Flink's `JoinFunction`.
#[derive(Clone, Debug)]
pub struct JoinPairs<F>(pub F);

impl<K, L, R, F, O> JoinFunction<K, L, R> for JoinPairs<F>
where
    K: ?Sized,
    L: ?Sized,
    R: ?Sized,
    F: FnMut(&L, &R, TimeWindow) -> O + Send + 'static,
    O: 'static,
{
    type Out = O;
    const PAIRWISE: bool = true;

    #[inline(always)]
    fn pair(&mut self, left: &L, right: &R, window: TimeWindow, mut emit: impl FnMut(&O)) {
        emit(&(self.0)(left, right, window));
    }
}

/// Any number of results from all records of a key in a window, one side of which may be empty: Flink's
/// `CoGroupFunction`.
pub struct CoGroup<F, O: ?Sized> {
    function: F,
    out: PhantomData<fn(&O)>,
}

impl<F, O: ?Sized> CoGroup<F, O> {
    /// Calls `function(key, window, lefts, rights, emit)`.
    pub fn new(function: F) -> Self {
        CoGroup {
            function,
            out: PhantomData,
        }
    }
}

impl<F: Clone, O: ?Sized> Clone for CoGroup<F, O> {
    fn clone(&self) -> Self {
        Self::new(self.function.clone())
    }
}

impl<F, O: ?Sized> std::fmt::Debug for CoGroup<F, O> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CoGroup").finish_non_exhaustive()
    }
}

impl<K, L, R, F, O> JoinFunction<K, L, R> for CoGroup<F, O>
where
    K: ?Sized,
    L: ?Sized,
    R: ?Sized,
    O: ?Sized + 'static,
    F: FnMut(&K, TimeWindow, Group<'_, L>, Group<'_, R>, &mut dyn FnMut(&O)) + Send + 'static,
{
    type Out = O;
    const PAIRWISE: bool = false;

    #[inline]
    fn group(
        &mut self,
        key: &K,
        window: TimeWindow,
        lefts: Group<'_, L>,
        rights: Group<'_, R>,
        mut emit: impl FnMut(&O),
    ) {
        (self.function)(key, window, lefts, rights, &mut emit);
    }
}
