//! Aggregate functions: mergeable accumulators of records.
//!
//! The interface is that of Flink's `AggregateFunction` (create, add, merge, result). `merge` is required, because
//! sliding windows are computed by merging slices. Pairs and triples of aggregates are aggregates, too, so one pass can
//! compute several results.

use std::marker::PhantomData;
use std::ops::AddAssign;

use crate::record::StateValue;

/// A function that reduces many records to one result through an accumulator.
///
/// `merge` must agree with `add`: adding records to two accumulators and merging them gives the same as adding all of
/// them to one.
pub trait Aggregate<V: ?Sized>: Clone + Send + 'static {
    /// The intermediate state, kept between records.
    type Accumulator: StateValue;
    /// The result.
    type Out: 'static;

    /// Returns an empty accumulator.
    fn create(&self) -> Self::Accumulator;

    /// Adds one record.
    fn add(&self, accumulator: &mut Self::Accumulator, record: &V);

    /// Merges another accumulator into this one.
    fn merge(&self, accumulator: &mut Self::Accumulator, other: &Self::Accumulator);

    /// Returns the result of an accumulator.
    fn result(&self, accumulator: &Self::Accumulator) -> Self::Out;
}

/// The number of records.
#[derive(Clone, Copy, Debug, Default)]
pub struct Count;

impl<V: ?Sized> Aggregate<V> for Count {
    type Accumulator = u64;
    type Out = u64;

    #[inline(always)]
    fn create(&self) -> u64 {
        0
    }

    #[inline(always)]
    fn add(&self, count: &mut u64, _record: &V) {
        *count += 1;
    }

    #[inline(always)]
    fn merge(&self, count: &mut u64, other: &u64) {
        *count += other;
    }

    #[inline(always)]
    fn result(&self, count: &u64) -> u64 {
        *count
    }
}

/// The sum of a number computed from each record.
#[derive(Clone, Debug)]
pub struct Sum<F, N>(F, PhantomData<fn() -> N>);

impl<F, N> Sum<F, N> {
    /// The sum of `number(record)`.
    pub fn of<V: ?Sized>(number: F) -> Self
    where
        F: Fn(&V) -> N,
    {
        Sum(number, PhantomData)
    }
}

impl<V, F, N> Aggregate<V> for Sum<F, N>
where
    V: ?Sized,
    F: Fn(&V) -> N + Clone + Send + 'static,
    N: StateValue + Copy + Default + AddAssign,
{
    type Accumulator = N;
    type Out = N;

    #[inline(always)]
    fn create(&self) -> N {
        N::default()
    }

    #[inline(always)]
    fn add(&self, sum: &mut N, record: &V) {
        *sum += (self.0)(record);
    }

    #[inline(always)]
    fn merge(&self, sum: &mut N, other: &N) {
        *sum += *other;
    }

    #[inline(always)]
    fn result(&self, sum: &N) -> N {
        *sum
    }
}

macro_rules! extremum {
    ($name:ident, $better:tt, $what:literal) => {
        #[doc = concat!("The ", $what, " of a number taken from each record; `None` of no record.")]
        /// Of floats, NaN counts only if there is nothing else.
        #[derive(Clone, Debug)]
        pub struct $name<F, N>(F, PhantomData<fn() -> N>);

        impl<F, N> $name<F, N> {
            #[doc = concat!("The ", $what, " of `number(record)`.")]
            pub fn of<V: ?Sized>(number: F) -> Self
            where
                F: Fn(&V) -> N,
            {
                $name(number, PhantomData)
            }
        }

        impl<V, F, N> Aggregate<V> for $name<F, N>
        where
            V: ?Sized,
            F: Fn(&V) -> N + Clone + Send + 'static,
            N: Copy + PartialOrd + 'static,
            Option<N>: StateValue,
        {
            type Accumulator = Option<N>;
            type Out = Option<N>;

            #[inline(always)]
            fn create(&self) -> Option<N> {
                None
            }

            #[inline(always)]
            fn add(&self, best: &mut Option<N>, record: &V) {
                let number = (self.0)(record);
                if best.is_none_or(|best| number $better best || yields(best, number)) {
                    *best = Some(number);
                }
            }

            #[inline(always)]
            fn merge(&self, best: &mut Option<N>, other: &Option<N>) {
                if let Some(number) = *other
                    && best.is_none_or(|best| number $better best || yields(best, number))
                {
                    *best = Some(number);
                }
            }

            #[inline(always)]
            fn result(&self, best: &Option<N>) -> Option<N> {
                *best
            }
        }
    };
}

/// Whether an extremum is none, being NaN, where `number` would be one: otherwise the order of records would decide.
#[inline(always)]
pub(crate) fn yields<N: PartialOrd>(best: N, number: N) -> bool {
    best.partial_cmp(&best).is_none() && number.partial_cmp(&number).is_some()
}

extremum!(Min, <, "smallest");
extremum!(Max, >, "largest");

/// The arithmetic mean of a number computed from each record; `None` if there are no records.
#[derive(Clone, Debug)]
pub struct Mean<F>(F);

impl<F> Mean<F> {
    /// The mean of `number(record)`.
    pub fn of<V: ?Sized>(number: F) -> Self
    where
        F: Fn(&V) -> f64,
    {
        Mean(number)
    }
}

impl<V, F> Aggregate<V> for Mean<F>
where
    V: ?Sized,
    F: Fn(&V) -> f64 + Clone + Send + 'static,
{
    type Accumulator = (f64, u64);
    type Out = Option<f64>;

    #[inline(always)]
    fn create(&self) -> (f64, u64) {
        (0.0, 0)
    }

    #[inline(always)]
    fn add(&self, (sum, count): &mut (f64, u64), record: &V) {
        *sum += (self.0)(record);
        *count += 1;
    }

    #[inline(always)]
    fn merge(&self, (sum, count): &mut (f64, u64), other: &(f64, u64)) {
        *sum += other.0;
        *count += other.1;
    }

    fn result(&self, &(sum, count): &(f64, u64)) -> Option<f64> {
        (count > 0).then(|| sum / count as f64)
    }
}

macro_rules! aggregate_tuple {
    ($($name:ident $index:tt),+) => {
        impl<V: ?Sized, $($name: Aggregate<V>),+> Aggregate<V> for ($($name,)+)
        where
            ($($name::Accumulator,)+): StateValue,
        {
            type Accumulator = ($($name::Accumulator,)+);
            type Out = ($($name::Out,)+);

            #[inline(always)]
            fn create(&self) -> Self::Accumulator {
                ($(self.$index.create(),)+)
            }

            #[inline(always)]
            fn add(&self, accumulator: &mut Self::Accumulator, record: &V) {
                $(self.$index.add(&mut accumulator.$index, record);)+
            }

            #[inline(always)]
            fn merge(&self, accumulator: &mut Self::Accumulator, other: &Self::Accumulator) {
                $(self.$index.merge(&mut accumulator.$index, &other.$index);)+
            }

            #[inline(always)]
            fn result(&self, accumulator: &Self::Accumulator) -> Self::Out {
                ($(self.$index.result(&accumulator.$index),)+)
            }
        }
    };
}

aggregate_tuple!(A 0, B 1);
aggregate_tuple!(A 0, B 1, C 2);
aggregate_tuple!(A 0, B 1, C 2, D 3);
