//! Depth: how far from its source an exchange is, and whether chains are cut there.
//!
//! An exchange may vanish or not, so what stands before it is compiled twice, and again for each exchange behind
//! that at which its chain may end: forty operators took minutes. Hence chains are fused through no more than the
//! first exchange by which records meet their state, where there are most of them. At those behind it they are cut:
//! what stands before is compiled once, in front of a virtual call.

use super::{BoxedChain, Push};

/// Whether there is an exchange in a prefix at which records meet their state. A type and not a number: the compiler
/// looks through both sides of a condition for what they need, also where it is constant.
pub trait Depth: 'static {
    /// What a prefix has that joins another one.
    type With<Other: Depth>: Depth;
    /// What an exchange behind the prefix makes of a chain.
    type Cut<V: ?Sized + 'static, D: Push<V> + 'static>: Push<V> + 'static;

    /// Cuts a chain at an exchange behind the prefix, or leaves it as it is.
    fn cut<V: ?Sized + 'static, D: Push<V> + 'static>(next: D) -> Self::Cut<V, D>;
}

/// There is none: chains go on through the next exchange.
#[derive(Debug)]
pub enum Shallow {}

/// There is one at least: chains are cut at the next exchange.
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
