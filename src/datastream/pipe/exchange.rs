//! Exchanges: a region ends in rings and another begins, or neither.

use crate::graph::{NodeId, Partitioning};
use crate::operator::{BoxedChain, FarForm, Partitioner, Push};
use crate::record::{Far, Record, run_size_min};
use crate::runtime::{Deployment, InputGate, Pipe, Restoring, ResultPartition};

/// Chains above this size in bytes are boxed where the exchange before them vanished.
///
/// An exchange may vanish or not, so what stands before it is compiled for both, and each prefix of a job of many
/// exchanges for every one behind it at which its chain may end: forty operators took minutes. A chain of this
/// size holds the state of several operators, beside which a virtual call a record is little.
const FUSED_MAX: usize = 1024;

/// A prefix and a change of partitioning behind it. Records leave it in their far form.
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

    fn attach<D: Push<Self::Out> + 'static>(
        &self,
        plan: &mut Deployment<'_>,
        next: &mut dyn FnMut(u32) -> D,
    ) {
        if plan.is_fused(self.node) {
            let edge = plan.edge(self.node, self.partitioning);
            // The condition is the compiler's: only one of the two chains is written out.
            if const { size_of::<D>() <= FUSED_MAX } {
                self.before.attach(plan, &mut |subtask| {
                    FarForm::<P::Out, D>::new(next(subtask)).in_place_of(edge.clone())
                });
            } else {
                self.before.attach(plan, &mut |subtask| {
                    let next = BoxedChain::new(next(subtask));
                    FarForm::<P::Out, BoxedChain<Self::Out>>::new(next).in_place_of(edge.clone())
                });
            }
            return;
        }
        let mut ends = self.end_in_rings(plan, next);
        self.before.attach(plan, &mut |subtask| {
            ends[subtask as usize].take().expect(ONE_END)
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
            BoxedChain::new(ends[subtask as usize].take().expect(ONE_END))
        });
    }
}

const ONE_END: &str = "one result partition a subtask";

impl<P, R> Exchanged<P, R>
where
    P: Pipe,
    P::Out: Record,
    R: Partitioner<Far<P::Out>>,
{
    /// Adds the heads of the chains behind the exchange; gives the ends of those before it.
    fn end_in_rings<D: Push<Far<P::Out>> + 'static>(
        &self,
        plan: &mut Deployment<'_>,
        next: &mut dyn FnMut(u32) -> D,
    ) -> Vec<Option<ResultPartition<P::Out, R::Route>>> {
        let size_min = run_size_min::<Far<P::Out>>();
        let (producers, consumers) = plan.rings(self.node, self.partitioning, size_min);
        let channels = plan.channels(self.node, self.partitioning);
        let first_route = plan.route_context(0, plan.parallelism(self.node) as usize);
        for (subtask, consumers) in (0..).zip(consumers) {
            let restoring = channels.clone().map(|channels| Restoring {
                channels,
                route: Box::new(self.partitioner.route(&first_route)),
            });
            let gate = InputGate::<Far<P::Out>, D>::new(consumers, restoring, next(subtask));
            plan.add_head(self.node, subtask, Box::new(gate));
        }
        let ends = (0..).zip(producers).map(|(sender, producers)| {
            let route = self
                .partitioner
                .route(&plan.route_context(sender, producers.len()));
            Some(ResultPartition::<P::Out, _>::new(
                producers,
                route,
                channels.clone(),
            ))
        });
        ends.collect()
    }
}
