//! Factories of windows.

use std::sync::Arc;

use crate::operator::{
    Aggregate, EventTime, FarForm, KeyedPartial, KeyedPartials, Lateness, OperatorFactory,
    OutputTag, Outputs, PartialAggregate, Push, SideOutputFactory, Site, SlicedAssigner,
    WindowAssigner, WindowFunction, WindowParts, operator_factory,
};
use crate::record::{Far, KeySelector, Record};

/// Makes the window operators for a [`WindowAssigner`].
#[derive(Debug)]
pub struct WindowFactory<V: ?Sized, S, A, F> {
    pub(in crate::datastream) assigner: A,
    pub(in crate::datastream) selector: S,
    pub(in crate::datastream) function: F,
    pub(in crate::datastream) lateness: Lateness,
    pub(in crate::datastream) late: Option<OutputTag<V>>,
}

impl<V, S, A, F> SideOutputFactory<V> for WindowFactory<V, S, A, F>
where
    V: ?Sized + 'static,
    S: KeySelector<V>,
    A: WindowAssigner<V>,
    F: WindowFunction<V, S::Key> + Clone,
{
    type Out = F::Out;
    type Operator<D: Push<F::Out> + 'static> = A::Operator<S, F, D>;

    fn create<D: Push<F::Out> + 'static>(
        &self,
        site: &Site,
        next: Outputs<D>,
    ) -> Self::Operator<D> {
        let parts = WindowParts {
            name: Arc::clone(&site.name),
            uid: Arc::clone(&site.uid),
            selector: self.selector.clone(),
            function: self.function.clone(),
            lateness: self.lateness,
            late: self.late.clone(),
            expected_keys: site.expected_keys,
        };
        let operator = self.assigner.operator(parts, next);
        operator.expect("the graph has refused windows that cannot be")
    }
}

/// Makes [`PartialAggregate`]s.
#[derive(Clone, Debug)]
pub struct PartialFactory<W, G> {
    pub(in crate::datastream) assigner: W,
    pub(in crate::datastream) aggregate: G,
}

operator_factory! {
    impl<V: ?Sized, W, G> PartialFactory<W, G>
    where { V: 'static, W: SlicedAssigner<Time = EventTime>, G: Aggregate<V> }
    V => G::Accumulator; PartialAggregate<V, G; D>;
    |this, site, next| {
        let (name, aggregate) = (Arc::clone(&site.name), this.aggregate.clone());
        PartialAggregate::new(name, &this.assigner, aggregate, next)
            .expect("the graph has refused windows that cannot be")
            .uid(Arc::clone(&site.uid))
    }
}

/// Makes [`KeyedPartials`]. They read records in the form that these have downstream of an exchange, since that is
/// the form their selector and aggregate are written for.
#[derive(Clone, Debug)]
pub struct KeyedPartialFactory<S, W, G> {
    pub(in crate::datastream) assigner: W,
    pub(in crate::datastream) selector: S,
    pub(in crate::datastream) aggregate: G,
    /// How many keys there will probably be behind the exchange, in front of which the operators stand.
    pub(in crate::datastream) expected_keys: usize,
}

impl<V, S, W, G> OperatorFactory<V> for KeyedPartialFactory<S, W, G>
where
    V: Record + ?Sized,
    S: KeySelector<Far<V>>,
    W: SlicedAssigner<Time = EventTime>,
    G: Aggregate<Far<V>>,
{
    type Out = KeyedPartial<S::Key, G::Accumulator>;
    type Operator<D: Push<Self::Out> + 'static> = FarForm<V, KeyedPartials<Far<V>, S, G, D>>;

    fn create<D: Push<Self::Out> + 'static>(&self, site: &Site, next: D) -> Self::Operator<D> {
        let (name, selector) = (Arc::clone(&site.name), self.selector.clone());
        let aggregate = self.aggregate.clone();
        let operator = KeyedPartials::new(name, &self.assigner, selector, aggregate, next);
        let operator = operator.expect("the graph has refused windows that cannot be");
        let operator = operator.uid(Arc::clone(&site.uid));
        FarForm::new(operator.expected_keys(self.expected_keys))
    }
}
