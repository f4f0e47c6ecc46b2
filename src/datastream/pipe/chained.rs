//! One-input operators, fused behind the prefix before them.

use std::sync::{Arc, Mutex, PoisonError};

use crate::graph::NodeId;
use crate::operator::{BoxedChain, OperatorFactory, Outputs, Push, SideOutputFactory};
use crate::runtime::{Deployment, Pipe};

/// A prefix and one operator behind it.
#[derive(Debug)]
pub struct Chained<P, F> {
    pub(in crate::datastream) before: P,
    pub(in crate::datastream) node: NodeId,
    pub(in crate::datastream) factory: F,
}

impl<P: Pipe, F: OperatorFactory<P::Out>> Pipe for Chained<P, F> {
    type Out = F::Out;

    fn attach<D: Push<F::Out> + 'static>(
        &self,
        plan: &mut Deployment<'_>,
        next: &mut dyn FnMut(u32) -> D,
    ) {
        let site = plan.site(self.node);
        self.before.attach(plan, &mut |subtask| {
            self.factory
                .create(&site.of_subtask(subtask), next(subtask))
        });
    }

    fn attach_boxed(
        &self,
        plan: &mut Deployment<'_>,
        next: &mut dyn FnMut(u32) -> BoxedChain<F::Out>,
    ) {
        let site = plan.site(self.node);
        self.before.attach_boxed(plan, &mut |subtask| {
            let site = site.of_subtask(subtask);
            BoxedChain::new(self.factory.create(&site, next(subtask)))
        });
    }
}

/// A prefix and one operator that has side outputs. Its chains wait for those of the side outputs.
#[derive(Debug)]
pub struct SideChained<P, F> {
    inner: Arc<Mutex<Chained<P, F>>>,
}

impl<P, F> SideChained<P, F> {
    pub(in crate::datastream) fn new(before: P, node: NodeId, factory: F) -> Self {
        SideChained {
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

    fn attach<D: Push<F::Out> + 'static>(
        &self,
        plan: &mut Deployment<'_>,
        next: &mut dyn FnMut(u32) -> D,
    ) {
        let inner = Arc::clone(&self.inner);
        let node = inner.lock().unwrap_or_else(PoisonError::into_inner).node;
        with_outputs(plan, node, next, move |plan, mut outputs| {
            let inner = inner.lock().unwrap_or_else(PoisonError::into_inner);
            let site = plan.site(node);
            inner.before.attach(plan, &mut |subtask| {
                let outputs = outputs[subtask as usize].take();
                let outputs = outputs.expect("one chain a subtask");
                inner.factory.create(&site.of_subtask(subtask), outputs)
            });
        });
    }

    fn attach_boxed(
        &self,
        plan: &mut Deployment<'_>,
        next: &mut dyn FnMut(u32) -> BoxedChain<F::Out>,
    ) {
        let inner = Arc::clone(&self.inner);
        let node = inner.lock().unwrap_or_else(PoisonError::into_inner).node;
        with_outputs(plan, node, next, move |plan, mut outputs| {
            let inner = inner.lock().unwrap_or_else(PoisonError::into_inner);
            let site = plan.site(node);
            inner.before.attach_boxed(plan, &mut |subtask| {
                let outputs = outputs[subtask as usize].take();
                let outputs = outputs.expect("one chain a subtask");
                BoxedChain::new(inner.factory.create(&site.of_subtask(subtask), outputs))
            });
        });
    }
}

/// Takes every subtask's main output from `next`, and calls `build` with them and the side outputs of
/// `node` as soon as those have their chains.
pub(super) fn with_outputs<D: 'static>(
    plan: &mut Deployment<'_>,
    node: NodeId,
    next: &mut dyn FnMut(u32) -> D,
    build: impl FnOnce(&mut Deployment<'_>, Vec<Option<Outputs<D>>>) + 'static,
) {
    let mains: Vec<D> = (0..plan.parallelism(node)).map(next).collect();
    plan.after_sides(node, move |plan| {
        let both = |(subtask, main)| {
            Some(Outputs {
                main,
                sides: plan.take_sides(node, subtask),
            })
        };
        let outputs = (0..).zip(mains).map(both).collect();
        build(plan, outputs);
    });
}
