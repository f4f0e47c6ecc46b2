//! Loose ends: streams that nothing consumes. They run too, and their records are discarded.
//!
//! Any stream might turn out to be one, so this is compiled for every prefix of every chain. Hence their operators are
//! boxed.

use std::any::Any;

use crate::operator::{BoxedChain, Nothing};
use crate::runtime::{Deployment, Pipe};

/// A stream's prefix with its type erased until a builder call takes it.
pub(in crate::datastream) trait LooseEnd: Any + Send {
    /// Builds the stream's chains, ending in nothing.
    fn attach_loose(&self, plan: &mut Deployment<'_>);
}

impl<P: Pipe> LooseEnd for P {
    fn attach_loose(&self, plan: &mut Deployment<'_>) {
        self.attach_boxed(plan, &mut |_| BoxedChain::new(Nothing));
    }
}
