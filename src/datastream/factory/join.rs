//! Factories of joins.

use std::sync::Arc;

use crate::operator::{
    EventTime, JoinFunction, Lateness, OutputTag, Outputs, Push, Site, SlicedAssigner,
    TwoInputFactory, UnboundedJoin, WindowJoin,
};
use crate::record::{KeySelector, Wire};

/// Makes [`WindowJoin`]s.
#[derive(Debug)]
pub struct WindowJoinFactory<L: ?Sized, R: ?Sized, S1, S2, W, F> {
    pub(in crate::datastream) assigner: W,
    pub(in crate::datastream) selectors: (S1, S2),
    pub(in crate::datastream) function: F,
    pub(in crate::datastream) lateness: Lateness,
    pub(in crate::datastream) late_left: Option<OutputTag<L>>,
    pub(in crate::datastream) late_right: Option<OutputTag<R>>,
}

impl<L, R, S1, S2, W, F> TwoInputFactory<L, R> for WindowJoinFactory<L, R, S1, S2, W, F>
where
    L: Wire + ?Sized,
    R: Wire + ?Sized,
    S1: KeySelector<L>,
    S2: KeySelector<R, Key = S1::Key>,
    W: SlicedAssigner<Time = EventTime>,
    F: JoinFunction<S1::Key, L, R> + Clone,
{
    type Out = F::Out;
    type Operator<D: Push<F::Out> + 'static> = WindowJoin<L, R, S1, S2, F, D>;

    fn create<D: Push<F::Out> + 'static>(
        &self,
        site: &Site,
        next: Outputs<D>,
    ) -> Self::Operator<D> {
        let mut operator = WindowJoin::new(
            Arc::clone(&site.name),
            &self.assigner,
            self.selectors.clone(),
            self.function.clone(),
            next,
        )
        .expect("the graph has refused windows that cannot be")
        .uid(Arc::clone(&site.uid))
        .allowed_lateness(self.lateness);
        if let Some(tag) = &self.late_left {
            operator = operator.late_left_to(tag.clone());
        }
        if let Some(tag) = &self.late_right {
            operator = operator.late_right_to(tag.clone());
        }
        operator
    }
}

/// Makes [`UnboundedJoin`]s.
#[derive(Debug)]
pub struct UnboundedJoinFactory<S1, S2, F> {
    pub(in crate::datastream) selectors: (S1, S2),
    pub(in crate::datastream) function: F,
}

impl<L, R, S1, S2, F, O> TwoInputFactory<L, R> for UnboundedJoinFactory<S1, S2, F>
where
    L: Wire + ?Sized,
    R: Wire + ?Sized,
    S1: KeySelector<L>,
    S2: KeySelector<R, Key = S1::Key>,
    F: FnMut(&L, &R) -> O + Clone + Send + 'static,
    O: 'static,
{
    type Out = O;
    type Operator<D: Push<O> + 'static> = UnboundedJoin<L, R, S1, S2, F, D>;

    fn create<D: Push<O> + 'static>(&self, site: &Site, next: Outputs<D>) -> Self::Operator<D> {
        let name = Arc::clone(&site.name);
        UnboundedJoin::new(name, self.selectors.clone(), self.function.clone(), next)
            .uid(Arc::clone(&site.uid))
            .expected_keys(site.expected_keys)
    }
}
