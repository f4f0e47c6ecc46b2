//! One-input operators, fused onto the prefix upstream of them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::graph::NodeId;
use crate::operator::{BoxedChain, OperatorFactory, Push, SideOutputFactory};
use crate::runtime::{Deployment, Pipe};

use super::per_subtask::with_outputs;

/// A prefix followed by one operator.
#[derive(Debug)]
pub struct Chained<P, F> {
    pub(in crate::datastream) before: P,
    pub(in crate::datastream) node: NodeId,
    pub(in crate::datastream) factory: F,
}

impl<P: Pipe, F: OperatorFactory<P::Out>> Pipe for Chained<P, F> {
    type Out = F::Out;
    type Depth = P::Depth;

    fn attach<D: Push<F::Out> + 'static>(
        &self,
        plan: &mut Deployment<'_>,
        next: &mut dyn FnMut(u32) -> D,
    ) {
        let mut site = plan.site(self.node);
        self.before.attach(plan, &mut |subtask| {
            site.subtask = subtask;
            self.factory.create(&site, next(subtask))
        });
    }

    fn attach_boxed(
        &self,
        plan: &mut Deployment<'_>,
        next: &mut dyn FnMut(u32) -> BoxedChain<F::Out>,
    ) {
        let mut site = plan.site(self.node);
        self.before.attach_boxed(plan, &mut |subtask| {
            site.subtask = subtask;
            BoxedChain::new(self.factory.create(&site, next(subtask)))
        });
    }
}

/// A prefix followed by one operator with side outputs. Its chains are built once those of the side outputs are.
#[derive(Debug)]
pub struct SideChained<P, F> {
    node: NodeId,
    inner: Arc<Mutex<Chained<P, F>>>,
}

impl<P, F> SideChained<P, F> {
    pub(in crate::datastream) fn new(before: P, node: NodeId, factory: F) -> Self {
        SideChained {
            node,
            inner: Arc::new(Mutex::new(Chained {
                before,
                node,
                factory,
            })),
        }
    }
}

impl<P, F> Pipe for SideChained<P, F>
where
    P: Pipe,
    F: SideOutputFactory<P::Out>,
{
    type Out = F::Out;
    type Depth = P::Depth;

    fn attach<D: Push<F::Out> + 'static>(
        &self,
        plan: &mut Deployment<'_>,
        next: &mut dyn FnMut(u32) -> D,
    ) {
        let inner = Arc::clone(&self.inner);
        with_outputs(plan, self.node, next, move |plan, mut outputs| {
            let inner = locked(&inner);
            let mut site = plan.site(inner.node);
            inner.before.attach(plan, &mut |subtask| {
                site.subtask = subtask;
                inner.factory.create(&site, outputs.take(subtask))
            });
        });
    }

    fn attach_boxed(
        &self,
        plan: &mut Deployment<'_>,
        next: &mut dyn FnMut(u32) -> BoxedChain<F::Out>,
    ) {
        let inner = Arc::clone(&self.inner);
        with_outputs(plan, self.node, next, move |plan, mut outputs| {
            let inner = locked(&inner);
            let mut site = plan.site(inner.node);
            inner.before.attach_boxed(plan, &mut |subtask| {
                site.subtask = subtask;
                BoxedChain::new(inner.factory.create(&site, outputs.take(subtask)))
            });
        });
    }
}

fn locked<P, F>(inner: &Mutex<Chained<P, F>>) -> MutexGuard<'_, Chained<P, F>> {
    inner.lock().unwrap_or_else(PoisonError::into_inner)
}
