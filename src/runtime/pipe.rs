//! Pipes: the typed prefixes of a job, of which chains are made.
//!
//! An exchange may vanish or not, so what stands before it is compiled twice, and again for each exchange behind
//! that at which its chain may end: forty operators took minutes. Hence chains are fused through no more than the
//! first exchange on their way, where there are most records. At those behind it they are cut ([`Depth`]): what
//! stands before is compiled once, in front of a virtual call.

use crate::operator::{BoxedChain, Push};

use super::deployment::Deployment;

/// A typed, not yet running prefix of a job: attaching the operators after it gives chains.
///
/// What is generic over the chain is compiled for every chain of a job. Hence whoever implements this does so in
/// plain loops, and in functions that are generic over less.
pub trait Pipe: Send + 'static {
    /// The type of the records that leave the prefix.
    type Out: ?Sized + 'static;
    /// What there is in it already.
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
}

/// Whether there is an exchange in a prefix. A type and not a number: the compiler looks through both sides of a
/// condition for what they need, also where it is constant.
pub trait Depth: 'static {
    /// What a prefix has that joins another one.
    type With<Other: Depth>: Depth;
    /// What an exchange behind the prefix makes of a chain.
    type Cut<V: ?Sized + 'static, D: Push<V> + 'static>: Push<V> + 'static;

    /// Cuts a chain at an exchange behind the prefix, or leaves it as it is.
    fn cut<V: ?Sized + 'static, D: Push<V> + 'static>(next: D) -> Self::Cut<V, D>;
}

/// No exchange.
#[derive(Debug)]
pub enum Shallow {}

/// One at least.
#[derive(Debug)]
pub enum Deep {}

impl Depth for Shallow {
    type With<Other: Depth> = Other;
    type Cut<V: ?Sized + 'static, D: Push<V> + 'static> = D;

    fn cut<V: ?Sized + 'static, D: Push<V> + 'static>(next: D) -> D {
        next
    }
}

impl Depth for Deep {
    type With<Other: Depth> = Deep;
    type Cut<V: ?Sized + 'static, D: Push<V> + 'static> = BoxedChain<V>;

    fn cut<V: ?Sized + 'static, D: Push<V> + 'static>(next: D) -> BoxedChain<V> {
        BoxedChain::new(next)
    }
}
