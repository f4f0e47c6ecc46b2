//! Two-input operators, fused onto both prefixes upstream of them.
#![expect(
    unsafe_code,
    reason = "the two ports of an operator are put into one subtask"
)]

use std::sync::{Arc, Mutex, PoisonError};

use crate::graph::NodeId;
use crate::operator::{BoxedChain, Depth, First, Push, Second, TwoInputFactory, ports};
use crate::runtime::{Deployment, Pipe};

use super::per_subtask::{AllOutputs, PerSubtask, with_outputs};

/// Two prefixes followed by one operator that reads both.
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
    type Depth = <A::Depth as Depth>::With<B::Depth>;

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

    fn attach_boxed(
        &self,
        plan: &mut Deployment<'_>,
        next: &mut dyn FnMut(u32) -> BoxedChain<F::Out>,
    ) {
        let inner = Arc::clone(&self.inner);
        let node = inner.lock().unwrap_or_else(PoisonError::into_inner).node;
        with_outputs(plan, node, next, move |plan, outputs| {
            let inner = inner.lock().unwrap_or_else(PoisonError::into_inner);
            let (mut firsts, mut seconds) = inner.ports(plan, outputs);
            inner
                .first
                .attach_boxed(plan, &mut |subtask| BoxedChain::new(firsts.take(subtask)));
            inner
                .second
                .attach_boxed(plan, &mut |subtask| BoxedChain::new(seconds.take(subtask)));
        });
    }
}

/// The operator that a factory makes upstream of `D`.
type Made<A, B, F, D> = <F as TwoInputFactory<<A as Pipe>::Out, <B as Pipe>::Out>>::Operator<D>;

impl<A, B, F> Inner<A, B, F>
where
    A: Pipe,
    B: Pipe,
    F: TwoInputFactory<A::Out, B::Out>,
{
    fn attach_both<D: Push<F::Out> + 'static>(
        &self,
        plan: &mut Deployment<'_>,
        outputs: AllOutputs<D>,
    ) {
        let (mut firsts, mut seconds) = self.ports(plan, outputs);
        self.first.attach(plan, &mut |subtask| firsts.take(subtask));
        self.second
            .attach(plan, &mut |subtask| seconds.take(subtask));
    }

    /// Makes the ports of every subtask's operator. The caller must attach both prefixes to them.
    fn ports<D: Push<F::Out> + 'static>(
        &self,
        plan: &mut Deployment<'_>,
        mut outputs: AllOutputs<D>,
    ) -> (
        PerSubtask<First<Made<A, B, F, D>, B::Out>>,
        PerSubtask<Second<Made<A, B, F, D>, A::Out>>,
    ) {
        let mut site = plan.site(self.node);
        let mut seconds = Vec::new();
        let firsts = PerSubtask::new(site.parallelism, &mut |subtask| {
            site.subtask = subtask;
            let operator = self.factory.create(&site, outputs.take(subtask));
            // SAFETY: both chains are built by the caller, for subtask `subtask` of the vertex that
            // holds `self.node`: the job graph fuses every edge into a two-input operator, so both
            // chains' heads are added to that one subtask, which moves to its worker as a whole.
            let (first, second) = unsafe { ports::<A::Out, B::Out, _>(operator) };
            seconds.push(Some(second));
            first
        });
        (firsts, PerSubtask(seconds))
    }
}
