//! Two-input operators, fused behind both prefixes before them.
#![expect(
    unsafe_code,
    reason = "the two ports of an operator are put into one subtask"
)]

use std::sync::{Arc, Mutex, PoisonError};

use crate::graph::NodeId;
use crate::operator::{Outputs, Push, TwoInputFactory, ports};
use crate::runtime::{Deployment, Pipe};

use super::chained::with_outputs;

/// Two prefixes and one operator behind both.
#[derive(Debug)]
pub struct TwoInputs<A, B, F> {
    inner: Arc<Mutex<Inner<A, B, F>>>,
}

#[derive(Debug)]
struct Inner<A, B, F> {
    first: A,
    second: B,
    node: NodeId,
    factory: F,
}

impl<A, B, F> TwoInputs<A, B, F> {
    pub(in crate::datastream) fn new(first: A, second: B, node: NodeId, factory: F) -> Self {
        TwoInputs {
            inner: Arc::new(Mutex::new(Inner {
                first,
                second,
                node,
                factory,
            })),
        }
    }
}

impl<A, B, F> Pipe for TwoInputs<A, B, F>
where
    A: Pipe,
    B: Pipe,
    F: TwoInputFactory<A::Out, B::Out>,
{
    type Out = F::Out;

    fn attach<D: Push<F::Out> + 'static>(
        &self,
        plan: &mut Deployment<'_>,
        next: &mut dyn FnMut(u32) -> D,
    ) {
        let inner = Arc::clone(&self.inner);
        let node = inner.lock().unwrap_or_else(PoisonError::into_inner).node;
        with_outputs(plan, node, next, move |plan, outputs| {
            inner
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .attach_both(plan, outputs);
        });
    }
}

impl<A, B, F> Inner<A, B, F>
where
    A: Pipe,
    B: Pipe,
    F: TwoInputFactory<A::Out, B::Out>,
{
    fn attach_both<D: Push<F::Out> + 'static>(
        &self,
        plan: &mut Deployment<'_>,
        outputs: Vec<Option<Outputs<D>>>,
    ) {
        let site = plan.site(self.node);
        let (mut firsts, mut seconds) = (Vec::new(), Vec::new());
        for (subtask, outputs) in (0..).zip(outputs) {
            let outputs = outputs.expect("one chain a subtask");
            let operator = self.factory.create(&site.of_subtask(subtask), outputs);
            // SAFETY: both chains are built here and now for subtask `subtask` of the vertex that
            // holds `self.node`: the job graph fuses every edge into a two-input operator, so both
            // chains' heads are added to that one subtask, which moves to its worker as a whole.
            let (first, second) = unsafe { ports::<A::Out, B::Out, _>(operator) };
            firsts.push(Some(first));
            seconds.push(Some(second));
        }
        let port = "one port a subtask";
        self.first.attach(plan, &mut |subtask| {
            firsts[subtask as usize].take().expect(port)
        });
        self.second.attach(plan, &mut |subtask| {
            seconds[subtask as usize].take().expect(port)
        });
    }
}
