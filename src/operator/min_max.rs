//! Rolling functions of one field: sum, minimum, maximum, and the record that has the extremum.
//!
//! Flink's `SumAggregator` and `ComparableAggregator`: `sum`, `min` and `max` change one field, while
//! the other fields stay those of the *first* record of the key; `min_by` and `max_by` keep a whole
//! record, the first among equals.
//!
//! Of floats, NaN is an extremum only until there is another.
//!
//! A field is named by a lens `|trade| &mut trade.volume`. Reading through it requires cloning the record;
//! for plain data the compiler removes the copy. For records that own memory, use
//! [`Reduce`](super::Reduce).

use std::ops::AddAssign;

use crate::state::yields;

use super::reduce::RollingFunction;

/// The rolling sum of a field.
#[derive(Clone, Debug)]
pub struct SumOf<F>(F);

impl<F> SumOf<F> {
    /// Creates the sum of `field(record)`.
    pub fn of<V, N>(field: F) -> Self
    where
        F: Fn(&mut V) -> &mut N,
    {
        SumOf(field)
    }
}

impl<V, N, F> RollingFunction<V> for SumOf<F>
where
    V: Clone,
    N: Copy + AddAssign + 'static,
    F: Fn(&mut V) -> &mut N + Clone + Send + 'static,
{
    #[inline(always)]
    fn roll(&mut self, reduced: &mut V, record: &V) {
        *(self.0)(reduced) += *(self.0)(&mut record.clone());
    }
}

macro_rules! extremum {
    ($field:ident, $by:ident, $better:tt, $what:literal) => {
        #[doc = concat!("The rolling ", $what, " of a field.")]
        #[derive(Clone, Debug)]
        pub struct $field<F>(F);

        impl<F> $field<F> {
            #[doc = concat!("The ", $what, " of `field(record)`.")]
            pub fn of<V, N>(field: F) -> Self
            where
                F: Fn(&mut V) -> &mut N,
            {
                $field(field)
            }
        }

        impl<V, N, F> RollingFunction<V> for $field<F>
        where
            V: Clone,
            N: Copy + PartialOrd + 'static,
            F: Fn(&mut V) -> &mut N + Clone + Send + 'static,
        {
            #[inline(always)]
            fn roll(&mut self, reduced: &mut V, record: &V) {
                let number = *(self.0)(&mut record.clone());
                let best = (self.0)(reduced);
                if number $better *best || yields(*best, number) {
                    *best = number;
                }
            }
        }

        #[doc = concat!("The record with the ", $what, " of a number taken from it; of equals the first.")]
        #[derive(Clone, Debug)]
        pub struct $by<F>(F);

        impl<F> $by<F> {
            #[doc = concat!("The record with the ", $what, " of `number(record)`.")]
            pub fn of<V, N>(number: F) -> Self
            where
                F: Fn(&V) -> N,
            {
                $by(number)
            }
        }

        impl<V, N, F> RollingFunction<V> for $by<F>
        where
            V: Clone,
            N: PartialOrd,
            F: Fn(&V) -> N + Clone + Send + 'static,
        {
            #[inline(always)]
            fn roll(&mut self, reduced: &mut V, record: &V) {
                let (number, best) = ((self.0)(record), (self.0)(reduced));
                if number $better best || yields(best, number) {
                    reduced.clone_from(record);
                }
            }
        }
    };
}

extremum!(MinOf, MinBy, <, "smallest");
extremum!(MaxOf, MaxBy, >, "largest");
