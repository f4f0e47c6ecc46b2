//! Loose ends: streams that nobody has used. They run too, and their records end in nothing.
//!
//! Every stream may turn out to be one, so what would be compiled for them is every prefix of every chain. Hence
//! their operators are boxed.

use std::sync::{Mutex, PoisonError};

use crate::operator::{BoxedChain, Nothing};
use crate::runtime::{Deployment, Pipe};

/// Holds a stream's prefix until a builder call takes it.
#[derive(Debug)]
pub(in crate::datastream) struct Slot<P>(Mutex<Option<P>>);

impl<P> Slot<P> {
    pub(in crate::datastream) fn new(pipe: P) -> Self {
        Slot(Mutex::new(Some(pipe)))
    }

    /// Takes the prefix: the stream has been used.
    pub(in crate::datastream) fn take(&self) -> P {
        let pipe = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        pipe.expect("builder calls consume their stream")
    }
}

/// A stream that may be used or not.
pub(in crate::datastream) trait LooseEnd: Send + Sync {
    /// Whether no builder call has used the stream.
    fn is_loose(&self) -> bool;

    /// Builds the stream's chains in front of nothing, if it is loose.
    fn attach(&self, plan: &mut Deployment<'_>);
}

impl<P: Pipe> LooseEnd for Slot<P> {
    fn is_loose(&self) -> bool {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_some()
    }

    fn attach(&self, plan: &mut Deployment<'_>) {
        if let Some(pipe) = &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            pipe.attach_boxed(plan, &mut |_| BoxedChain::new(Nothing));
        }
    }
}
