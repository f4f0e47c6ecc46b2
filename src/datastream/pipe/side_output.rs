//! Side outputs: streams that begin inside an operator of another chain.

use std::marker::PhantomData;
use std::sync::Arc;

use crate::graph::NodeId;
use crate::operator::{Push, Shallow};
use crate::runtime::{Deployment, Pipe};

/// The side output called `name` of the operator at `node`.
pub struct Side<T: ?Sized> {
    pub(in crate::datastream) node: NodeId,
    pub(in crate::datastream) name: Arc<str>,
    pub(in crate::datastream) record: PhantomData<fn() -> Box<T>>,
}

impl<T: ?Sized> std::fmt::Debug for Side<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Side")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl<T: ?Sized + 'static> Pipe for Side<T> {
    type Out = T;
    type Depth = Shallow;

    fn attach<D: Push<T> + 'static>(
        &self,
        plan: &mut Deployment<'_>,
        next: &mut dyn FnMut(u32) -> D,
    ) {
        let mut chains = Vec::<Box<dyn Push<T>>>::new();
        for subtask in 0..plan.parallelism(self.node) {
            chains.push(Box::new(next(subtask)));
        }
        plan.add_side(self.node, &self.name, chains);
    }
}
