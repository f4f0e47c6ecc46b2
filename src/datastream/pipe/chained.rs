//! One-input operators, fused behind the prefix before them.

use std::sync::{Arc, Mutex, PoisonError};

use crate::graph::NodeId;
use crate::operator::{OperatorFactory, Outputs, Push, SideOutputFactory, Site};
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
            self.factory.create(
                &Site {
                    subtask,
                    ..site.clone()
                },
                next(subtask),
            )
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
        let mut mains: Vec<Option<D>> = (0..plan.parallelism(node))
            .map(|subtask| Some(next(subtask)))
            .collect();
        plan.after_sides(node, move |plan| {
            let mut take = outputs(plan, node, &mut mains);
            let inner = inner.lock().unwrap_or_else(PoisonError::into_inner);
            let site = plan.site(node);
            inner.before.attach(plan, &mut |subtask| {
                let outputs = take[subtask as usize].take().expect("one chain a subtask");
                inner.factory.create(
                    &Site {
                        subtask,
                        ..site.clone()
                    },
                    outputs,
                )
            });
        });
    }
}

/// Every subtask's main output together with its side outputs.
pub(super) fn outputs<D>(
    plan: &mut Deployment<'_>,
    node: NodeId,
    mains: &mut [Option<D>],
) -> Vec<Option<Outputs<D>>> {
    let both = |(subtask, main): (u32, &mut Option<D>)| {
        let main = main.take().expect("one chain a subtask");
        Some(Outputs {
            main,
            sides: plan.take_sides(node, subtask),
        })
    };
    (0..).zip(mains).map(both).collect()
}
