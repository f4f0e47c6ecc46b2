//! Loose ends: streams that nobody has used. They run too, and their records end in nothing.
//!
//! Every stream may turn out to be one, so what would be compiled for them is every prefix of every chain. Hence
//! their operators are boxed.

use std::any::Any;

use crate::operator::{BoxedChain, Nothing};
use crate::runtime::{Deployment, Pipe};

/// A stream's prefix whose type is hidden until a builder call takes it.
pub(in crate::datastream) trait LooseEnd: Any + Send {
    /// Builds the stream's chains in front of nothing.
    fn attach_loose(&self, plan: &mut Deployment<'_>);
}

impl<P: Pipe> LooseEnd for P {
    fn attach_loose(&self, plan: &mut Deployment<'_>) {
        self.attach_boxed(plan, &mut |_| BoxedChain::new(Nothing));
    }
}
