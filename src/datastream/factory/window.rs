//! Factories of windows.

use std::sync::Arc;

use crate::operator::{
    Aggregate, Lateness, OutputTag, Outputs, PartialAggregate, Push, SideOutputFactory, Site,
    SlicedAssigner, WindowFunction, WindowOperator, operator_factory,
};
use crate::record::KeySelector;

/// Makes [`WindowOperator`]s.
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
    A: SlicedAssigner,
    F: WindowFunction<V, S::Key> + Clone,
{
    type Out = F::Out;
    type Operator<D: Push<F::Out> + 'static> = WindowOperator<V, S, F, D, A::Time>;

    fn create<D: Push<F::Out> + 'static>(
        &self,
        site: &Site,
        next: Outputs<D>,
    ) -> Self::Operator<D> {
        let (selector, function) = (self.selector.clone(), self.function.clone());
        let operator = WindowOperator::new(
            Arc::clone(&site.name),
            &self.assigner,
            selector,
            function,
            next,
        )
        .expect("the graph has refused windows that cannot be")
        .allowed_lateness(self.lateness);
        match &self.late {
            Some(tag) => operator.late_to(tag.clone()),
            None => operator,
        }
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
    where { V: 'static, W: SlicedAssigner, G: Aggregate<V> }
    V => G::Accumulator; PartialAggregate<V, G; D>;
    |this, site, next| {
        let (name, aggregate) = (Arc::clone(&site.name), this.aggregate.clone());
        PartialAggregate::new(name, &this.assigner, aggregate, next)
            .expect("the graph has refused windows that cannot be")
    }
}
