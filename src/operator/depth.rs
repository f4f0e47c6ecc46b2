//! Depth: how far an exchange is from its source, and whether chains are cut there.
//!
//! An exchange may or may not vanish, so everything upstream of it is compiled twice, and again for each later
//! exchange at which its chain may end: forty operators took minutes. Hence chains are fused through no more than the
//! first exchange at which records meet their state, where most records are. At later exchanges they are cut:
//! everything upstream is compiled once, in front of a virtual call.

use super::{BoxedChain, Push};

/// Whether a prefix contains an exchange at which records meet their state. A type rather than a number: the compiler
/// instantiates both branches of a condition, even a constant one.
pub trait Depth: 'static {
    /// The depth after another prefix has been joined to this one.
    type With<Other: Depth>: Depth;
    /// What an exchange after the prefix makes of a chain.
    type Cut<V: ?Sized + 'static, D: Push<V> + 'static>: Push<V> + 'static;

    /// Cuts a chain at an exchange after the prefix, or leaves it as it is.
    fn cut<V: ?Sized + 'static, D: Push<V> + 'static>(next: D) -> Self::Cut<V, D>;
}

/// There is none: chains continue through the next exchange.
#[derive(Debug)]
pub enum Shallow {}

/// There is at least one: chains are cut at the next exchange.
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
