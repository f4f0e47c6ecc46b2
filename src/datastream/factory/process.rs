//! Factories of process functions, with one input and with two, and of unions.

use std::sync::Arc;

use crate::operator::{
    CoProcess, CoProcessFunction, KeyedCoProcess, KeyedCoProcessFunction, KeyedProcess,
    KeyedProcessFunction, Outputs, Process, ProcessFunction, Push, SideOutputFactory, Site,
    TwoInputFactory, Union,
};
use crate::record::KeySelector;

/// Makes [`Process`] operators.
#[derive(Clone, Debug)]
pub struct ProcessFactory<F>(pub(in crate::datastream) F);

impl<V, F> SideOutputFactory<V> for ProcessFactory<F>
where
    V: ?Sized + 'static,
    F: ProcessFunction<V> + Clone,
{
    type Out = F::Out;
    type Operator<D: Push<F::Out> + 'static> = Process<V, F, D>;

    fn create<D: Push<F::Out> + 'static>(
        &self,
        site: &Site,
        next: Outputs<D>,
    ) -> Self::Operator<D> {
        Process::new(Arc::clone(&site.name), self.0.clone(), next).uid(Arc::clone(&site.uid))
    }
}

/// Makes [`KeyedProcess`] operators.
#[derive(Clone, Debug)]
pub struct KeyedProcessFactory<S, F> {
    pub(in crate::datastream) selector: S,
    pub(in crate::datastream) function: F,
}

impl<V, S, F> SideOutputFactory<V> for KeyedProcessFactory<S, F>
where
    V: ?Sized + 'static,
    S: KeySelector<V>,
    F: KeyedProcessFunction<S::Key, V> + Clone,
{
    type Out = F::Out;
    type Operator<D: Push<F::Out> + 'static> = KeyedProcess<V, S, F, D>;

    fn create<D: Push<F::Out> + 'static>(
        &self,
        site: &Site,
        next: Outputs<D>,
    ) -> Self::Operator<D> {
        let name = Arc::clone(&site.name);
        KeyedProcess::new(name, self.selector.clone(), self.function.clone(), next)
            .uid(Arc::clone(&site.uid))
            .expected_keys(site.expected_keys)
    }
}

/// Makes [`CoProcess`] operators.
#[derive(Clone, Debug)]
pub struct CoProcessFactory<F>(pub(in crate::datastream) F);

impl<A, B, F> TwoInputFactory<A, B> for CoProcessFactory<F>
where
    A: ?Sized + 'static,
    B: ?Sized + 'static,
    F: CoProcessFunction<A, B> + Clone,
{
    type Out = F::Out;
    type Operator<D: Push<F::Out> + 'static> = CoProcess<A, B, F, D>;

    fn create<D: Push<F::Out> + 'static>(
        &self,
        site: &Site,
        next: Outputs<D>,
    ) -> Self::Operator<D> {
        CoProcess::new(Arc::clone(&site.name), self.0.clone(), next).uid(Arc::clone(&site.uid))
    }
}

/// Makes [`KeyedCoProcess`] operators.
#[derive(Clone, Debug)]
pub struct KeyedCoProcessFactory<S1, S2, F> {
    pub(in crate::datastream) first: S1,
    pub(in crate::datastream) second: S2,
    pub(in crate::datastream) function: F,
}

impl<A, B, S1, S2, F> TwoInputFactory<A, B> for KeyedCoProcessFactory<S1, S2, F>
where
    A: ?Sized + 'static,
    B: ?Sized + 'static,
    S1: KeySelector<A>,
    S2: KeySelector<B, Key = S1::Key>,
    F: KeyedCoProcessFunction<S1::Key, A, B> + Clone,
{
    type Out = F::Out;
    type Operator<D: Push<F::Out> + 'static> = KeyedCoProcess<A, B, S1, S2, F, D>;

    fn create<D: Push<F::Out> + 'static>(
        &self,
        site: &Site,
        next: Outputs<D>,
    ) -> Self::Operator<D> {
        let (first, second) = (self.first.clone(), self.second.clone());
        KeyedCoProcess::new(
            Arc::clone(&site.name),
            first,
            second,
            self.function.clone(),
            next,
        )
        .uid(Arc::clone(&site.uid))
        .expected_keys(site.expected_keys)
    }
}

/// Makes [`Union`]s of two streams.
#[derive(Clone, Copy, Debug)]
pub struct UnionFactory;

impl<V: ?Sized + 'static> TwoInputFactory<V, V> for UnionFactory {
    type Out = V;
    type Operator<D: Push<V> + 'static> = Union<Outputs<D>>;

    fn create<D: Push<V> + 'static>(&self, _site: &Site, next: Outputs<D>) -> Self::Operator<D> {
        Union::new(2, next)
    }
}
