//! Two-input operators, fused behind both prefixes before them.
#![expect(
    unsafe_code,
    reason = "the two ports of an operator are put into one subtask"
)]

use std::sync::{Arc, Mutex, PoisonError};

use crate::graph::NodeId;
use crate::operator::{BoxedChain, First, Outputs, Push, Second, TwoInputFactory, ports};
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
            inner.first.attach_boxed(plan, &mut |subtask| {
                BoxedChain::new(firsts[subtask as usize].take().expect(ONE_PORT))
            });
            inner.second.attach_boxed(plan, &mut |subtask| {
                BoxedChain::new(seconds[subtask as usize].take().expect(ONE_PORT))
            });
        });
    }
}

const ONE_PORT: &str = "one port a subtask";

/// One of the two ports of an operator, for each subtask.
type Ports<T> = Vec<Option<T>>;

/// The operator that a factory makes in front of `D`.
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
        outputs: Vec<Option<Outputs<D>>>,
    ) {
        let (mut firsts, mut seconds) = self.ports(plan, outputs);
        self.first.attach(plan, &mut |subtask| {
            firsts[subtask as usize].take().expect(ONE_PORT)
        });
        self.second.attach(plan, &mut |subtask| {
            seconds[subtask as usize].take().expect(ONE_PORT)
        });
    }

    /// The ports of every subtask's operator. Whoever calls this attaches both prefixes to them.
    fn ports<D: Push<F::Out> + 'static>(
        &self,
        plan: &mut Deployment<'_>,
        outputs: Vec<Option<Outputs<D>>>,
    ) -> (
        Ports<First<Made<A, B, F, D>, B::Out>>,
        Ports<Second<Made<A, B, F, D>, A::Out>>,
    ) {
        let site = plan.site(self.node);
        let (mut firsts, mut seconds) = (Vec::new(), Vec::new());
        for (subtask, outputs) in (0..).zip(outputs) {
            let outputs = outputs.expect("one chain a subtask");
            let operator = self.factory.create(&site.of_subtask(subtask), outputs);
            // SAFETY: both chains are built by the caller, for subtask `subtask` of the vertex that
            // holds `self.node`: the job graph fuses every edge into a two-input operator, so both
            // chains' heads are added to that one subtask, which moves to its worker as a whole.
            let (first, second) = unsafe { ports::<A::Out, B::Out, _>(operator) };
            firsts.push(Some(first));
            seconds.push(Some(second));
        }
        (firsts, seconds)
    }
}
