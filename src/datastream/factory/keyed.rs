//! Factories of rolling functions, running aggregates, and timestamps.

use std::sync::Arc;

use crate::operator::{
    KeyedAggregate, KeyedReduce, RollingFunction, TimestampsAndWatermarks, operator_factory,
};
use crate::record::{KeySelector, StateValue};
use crate::state::Aggregate;
use crate::time::{Timestamp, WatermarkGenerator, WatermarkStrategy};

/// Makes [`KeyedReduce`]s.
#[derive(Clone, Debug)]
pub struct ReduceFactory<S, F> {
    pub(in crate::datastream) selector: S,
    pub(in crate::datastream) function: F,
}

operator_factory! {
    impl<V, S, F> ReduceFactory<S, F>
    where { V: StateValue, S: KeySelector<V>, F: RollingFunction<V> }
    V => V; KeyedReduce<V, S, F; D>;
    |this, site, next| KeyedReduce::new(
        Arc::clone(&site.name), this.selector.clone(), this.function.clone(), next,
    )
    .uid(Arc::clone(&site.uid))
    .expected_keys(site.expected_keys)
}

/// Makes [`KeyedAggregate`]s.
#[derive(Clone, Debug)]
pub struct AggregateFactory<S, A, R> {
    pub(in crate::datastream) selector: S,
    pub(in crate::datastream) aggregate: A,
    pub(in crate::datastream) emit: R,
}

operator_factory! {
    impl<V: ?Sized, S, A, R, O> AggregateFactory<S, A, R>
    where {
        V: 'static, S: KeySelector<V>, A: Aggregate<V>, O: 'static,
        R: FnMut(&S::Key, A::Out) -> O + Clone + Send + 'static
    }
    V => O; KeyedAggregate<V, S, A, R; D>;
    |this, site, next| KeyedAggregate::new(
        Arc::clone(&site.name), this.selector.clone(), this.aggregate.clone(), this.emit.clone(), next,
    )
    .uid(Arc::clone(&site.uid))
    .expected_keys(site.expected_keys)
}

/// Makes [`TimestampsAndWatermarks`].
#[derive(Clone, Debug)]
pub struct TimestampsFactory<F, W> {
    pub(in crate::datastream) function: F,
    pub(in crate::datastream) strategy: W,
}

operator_factory! {
    impl<V: ?Sized, F, W> TimestampsFactory<F, W>
    where {
        V: 'static, F: Fn(&V) -> Timestamp + Clone + Send + 'static,
        W: WatermarkStrategy + 'static, W::Generator: WatermarkGenerator<V> + Send + 'static
    }
    V => V; TimestampsAndWatermarks<V, F, W; D>;
    |this, _site, next| {
        TimestampsAndWatermarks::new(this.function.clone(), this.strategy.clone(), next)
    }
}
