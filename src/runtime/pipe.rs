//! Pipes: the typed prefixes of a job, of which chains are made.

use crate::operator::{BoxedChain, Depth, Push};

use super::deployment::Deployment;

/// A typed, not yet running prefix of a job: attaching the operators after it gives chains.
///
/// What is generic over the chain is compiled for every chain of a job. Hence whoever implements this does so in
/// plain loops, and in functions that are generic over less.
pub trait Pipe: Send + 'static {
    /// The type of the records that leave the prefix.
    type Out: ?Sized + 'static;
    /// Whether chains are cut at an exchange behind it.
    type Depth: Depth;

    /// Builds the prefix's chains in front of `next(0)`, `next(1)` …, one for each subtask.
    fn attach<D: Push<Self::Out> + 'static>(
        &self,
        plan: &mut Deployment<'_>,
        next: &mut dyn FnMut(u32) -> D,
    );

    /// As [`attach`](Pipe::attach), but every operator is boxed, so that it is compiled for this once, and not once
    /// for each prefix that it is in: for chains that are seldom wanted.
    fn attach_boxed(
        &self,
        plan: &mut Deployment<'_>,
        next: &mut dyn FnMut(u32) -> BoxedChain<Self::Out>,
    ) {
        self.attach(plan, next);
    }
}

/// The end of a stream: what starts the building of its chains.
pub trait Terminal: Send {
    /// Builds the chains that end here.
    fn attach(&self, plan: &mut Deployment<'_>);

    /// The job has ended for good.
    fn job_ended(&self);
}
