//! Exchanges: one region ends in rings and the next begins, unless the exchange is fused away.

use crate::graph::{NodeId, Partitioning};
use crate::operator::{BoxedChain, Depth, FarForm, Partitioner, Push};
use crate::record::{Far, Record, run_size_min};
use crate::runtime::{Deployment, InputGate, Pipe, Restoring, ResultPartition, SenderParts};

/// A prefix followed by a change of partitioning. Records leave it in their far form.
#[derive(Debug)]
pub struct Exchanged<P, R> {
    pub(in crate::datastream) before: P,
    pub(in crate::datastream) node: NodeId,
    pub(in crate::datastream) partitioning: Partitioning,
    pub(in crate::datastream) partitioner: R,
}

impl<P, R> Pipe for Exchanged<P, R>
where
    P: Pipe,
    P::Out: Record,
    R: Partitioner<Far<P::Out>>,
{
    type Out = Far<P::Out>;
    type Depth = R::Behind<P::Depth>;

    fn attach<D: Push<Self::Out> + 'static>(
        &self,
        plan: &mut Deployment<'_>,
        next: &mut dyn FnMut(u32) -> D,
    ) {
        if plan.is_fused(self.node) {
            let edge = plan.edge(self.node, self.partitioning);
            self.before.attach(plan, &mut |subtask| {
                let far = FarForm::<P::Out, D>::new(next(subtask));
                P::Depth::cut::<P::Out, _>(far.in_place_of(edge.clone()))
            });
            return;
        }
        let mut ends = self.end_in_rings(plan, next);
        self.before.attach(plan, &mut |subtask| {
            P::Depth::cut::<P::Out, _>(self.end(&mut ends, subtask))
        });
    }

    fn attach_boxed(
        &self,
        plan: &mut Deployment<'_>,
        next: &mut dyn FnMut(u32) -> BoxedChain<Self::Out>,
    ) {
        if plan.is_fused(self.node) {
            let edge = plan.edge(self.node, self.partitioning);
            self.before.attach_boxed(plan, &mut |subtask| {
                let far = FarForm::<P::Out, _>::new(next(subtask));
                BoxedChain::new(far.in_place_of(edge.clone()))
            });
            return;
        }
        let mut ends = self.end_in_rings(plan, next);
        self.before.attach_boxed(plan, &mut |subtask| {
            BoxedChain::new(self.end(&mut ends, subtask))
        });
    }
}

impl<P, R> Exchanged<P, R>
where
    P: Pipe,
    P::Out: Record,
    R: Partitioner<Far<P::Out>>,
{
    /// Adds the heads of the downstream chains; returns the parts that the ends of the upstream chains are made of.
    fn end_in_rings<D: Push<Far<P::Out>> + 'static>(
        &self,
        plan: &mut Deployment<'_>,
        next: &mut dyn FnMut(u32) -> D,
    ) -> Vec<SenderParts> {
        let size_min = run_size_min::<Far<P::Out>>();
        let first_route = plan.route_context(0, plan.parallelism(self.node) as usize);
        plan.open_exchange(self.node, self.partitioning, size_min, &mut |parts| {
            let restoring = parts.channels.map(|channels| Restoring {
                channels,
                route: Box::new(self.partitioner.route(&first_route)),
            });
            let next = next(parts.subtask);
            Box::new(InputGate::<Far<P::Out>, D>::new(
                parts.consumers,
                restoring,
                parts.is_in_cycle,
                next,
            ))
        })
    }

    /// The end of the chain of one subtask.
    fn end(&self, ends: &mut [SenderParts], subtask: u32) -> ResultPartition<P::Out, R::Route> {
        let end = &mut ends[subtask as usize];
        let route = self.partitioner.route(&end.route);
        let producers = std::mem::take(&mut end.producers);
        ResultPartition::new(producers, route, end.channels.take())
    }
}
