//! Window functions: what is kept per key and slice, and what a window emits from it.

use std::marker::PhantomData;

use crate::operator::Aggregate;
use crate::record::StateValue;

use super::elements::Elements;
use super::time_window::TimeWindow;

/// What a window operator computes from records of type `V` with keys of type `K`.
///
/// One accumulator is kept per key and slice; a window's accumulators are merged when it fires.
pub trait WindowFunction<V: ?Sized, K: ?Sized>: Send + 'static {
    /// What is kept per key and slice.
    type Accumulator: StateValue;
    /// The results' type.
    type Out: ?Sized + 'static;

    /// Whether accumulators stay about the same size however many of them are merged, so that it pays to
    /// pre-merge many slices for future windows.
    const MERGES_AHEAD: bool;

    /// Returns an accumulator of no records.
    fn create(&self) -> Self::Accumulator;

    /// Adds one record.
    fn add(&mut self, accumulator: &mut Self::Accumulator, record: &V);

    /// Adds the accumulator of a later slice.
    fn merge(&self, accumulator: &mut Self::Accumulator, later: &Self::Accumulator);

    /// Observes an accumulator restored from a checkpoint, before the first record.
    fn restored(&mut self, accumulator: &Self::Accumulator) {
        let _ = accumulator;
    }

    /// Calls `emit` for every result of `window` for `key`.
    fn fire(
        &mut self,
        key: &K,
        window: TimeWindow,
        accumulator: &Self::Accumulator,
        emit: impl FnMut(&Self::Out),
    );
}

/// Emits one result per key and window, from an [`Aggregate`] and a function that shapes its result.
#[derive(Clone, Debug)]
pub struct AggregateWindow<A, F> {
    aggregate: A,
    result: F,
}

impl<A, F> AggregateWindow<A, F> {
    /// Emits `result(key, window, aggregated)`.
    pub fn new(aggregate: A, result: F) -> Self {
        AggregateWindow { aggregate, result }
    }
}

impl<V, K, A, F, O> WindowFunction<V, K> for AggregateWindow<A, F>
where
    V: ?Sized,
    K: ?Sized,
    A: Aggregate<V>,
    F: FnMut(&K, TimeWindow, A::Out) -> O + Send + 'static,
    O: 'static,
{
    type Accumulator = A::Accumulator;
    type Out = O;
    const MERGES_AHEAD: bool = true;

    #[inline(always)]
    fn create(&self) -> A::Accumulator {
        self.aggregate.create()
    }

    #[inline(always)]
    fn add(&mut self, accumulator: &mut A::Accumulator, record: &V) {
        self.aggregate.add(accumulator, record);
    }

    #[inline(always)]
    fn merge(&self, accumulator: &mut A::Accumulator, later: &A::Accumulator) {
        self.aggregate.merge(accumulator, later);
    }

    #[inline(always)]
    fn fire(
        &mut self,
        key: &K,
        window: TimeWindow,
        accumulator: &A::Accumulator,
        mut emit: impl FnMut(&O),
    ) {
        emit(&(self.result)(
            key,
            window,
            self.aggregate.result(accumulator),
        ));
    }
}

/// Keeps every record and passes all records of a window to a function: Flink's `ProcessWindowFunction`.
///
/// Prefer [`AggregateWindow`] where possible: this keeps a copy of each record until its last window is
/// over, and copies it once per window that contains it.
pub struct ProcessWindow<E, O: ?Sized, C, F> {
    to_element: C,
    function: F,
    /// How many records have arrived so far: the next element's sequence number.
    arrived: u64,
    types: PhantomData<fn(E, &O)>,
}

impl<E, O: ?Sized, C: Clone, F: Clone> Clone for ProcessWindow<E, O, C, F> {
    fn clone(&self) -> Self {
        ProcessWindow {
            to_element: self.to_element.clone(),
            function: self.function.clone(),
            arrived: self.arrived,
            types: PhantomData,
        }
    }
}

impl<E, O: ?Sized, C, F> std::fmt::Debug for ProcessWindow<E, O, C, F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProcessWindow").finish_non_exhaustive()
    }
}

impl<E: Clone, O: ?Sized, F> ProcessWindow<E, O, fn(&E) -> E, F> {
    /// Calls `function(key, window, elements, emit)` with the window's records in arrival order.
    pub fn new(function: F) -> Self {
        Self::collecting(E::clone, function)
    }
}

impl<E, O: ?Sized, C, F> ProcessWindow<E, O, C, F> {
    /// Like [`ProcessWindow::new`], with `to_element(record)` in place of each record: for unsized records,
    /// or to keep only part of them.
    pub fn collecting(to_element: C, function: F) -> Self {
        ProcessWindow {
            to_element,
            function,
            arrived: 0,
            types: PhantomData,
        }
    }
}

impl<V, K, E, O, C, F> WindowFunction<V, K> for ProcessWindow<E, O, C, F>
where
    V: ?Sized,
    K: ?Sized,
    E: StateValue,
    O: ?Sized + 'static,
    C: Fn(&V) -> E + Send + 'static,
    F: FnMut(&K, TimeWindow, &Elements<E>, &mut dyn FnMut(&O)) + Send + 'static,
{
    type Accumulator = Elements<E>;
    type Out = O;
    const MERGES_AHEAD: bool = false;

    #[inline(always)]
    fn create(&self) -> Elements<E> {
        Elements::default()
    }

    #[inline(always)]
    fn add(&mut self, elements: &mut Elements<E>, record: &V) {
        elements.push(self.arrived, (self.to_element)(record));
        self.arrived += 1;
    }

    fn merge(&self, elements: &mut Elements<E>, later: &Elements<E>) {
        elements.merge(later);
    }

    fn restored(&mut self, elements: &Elements<E>) {
        self.arrived = self.arrived.max(elements.next_arrival());
    }

    #[inline]
    fn fire(
        &mut self,
        key: &K,
        window: TimeWindow,
        elements: &Elements<E>,
        mut emit: impl FnMut(&O),
    ) {
        (self.function)(key, window, elements, &mut emit);
    }
}
