//! Pipes: the typed prefixes of a job, from which chains are built.

use crate::operator::{BoxedChain, Depth, Push};

use super::deployment::Deployment;

/// A typed prefix of a job that does not run yet: attaching the operators downstream of it yields chains.
///
/// Code that is generic over the chain is compiled for every chain of a job. Hence implementations use
/// plain loops, and functions that are generic over less.
pub trait Pipe: Send + 'static {
    /// The type of the records that leave the prefix.
    type Out: ?Sized + 'static;
    /// Whether chains are cut at an exchange downstream of it.
    type Depth: Depth;

    /// Builds the prefix's chains upstream of `next(0)`, `next(1)` …, one for each subtask.
    fn attach<D: Push<Self::Out> + 'static>(
        &self,
        plan: &mut Deployment<'_>,
        next: &mut dyn FnMut(u32) -> D,
    );

    /// Like [`attach`](Pipe::attach), but every operator is boxed, so that it is compiled for this once rather than
    /// once for each prefix that it is in: for chains that are seldom needed.
    fn attach_boxed(
        &self,
        plan: &mut Deployment<'_>,
        next: &mut dyn FnMut(u32) -> BoxedChain<Self::Out>,
    ) {
        self.attach(plan, next);
    }
}

/// The end of a stream, from which its chains are built.
pub(crate) trait Terminal: Send {
    /// Builds the chains that end here.
    fn attach(&self, plan: &mut Deployment<'_>);

    /// The job has ended for good.
    fn job_ended(&self);
}
