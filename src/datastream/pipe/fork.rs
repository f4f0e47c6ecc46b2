//! Forks: a stream that is used more than once.

use std::sync::{Arc, Mutex, PoisonError};

use crate::graph::NodeId;
use crate::operator::{FanOut, Push, Shallow};
use crate::runtime::{Deployment, ForkId, Pipe};

/// One branch of a forked stream. The prefix is built once the chains of all branches have been added.
#[derive(Debug)]
pub struct Forked<P> {
    shared: Arc<Mutex<P>>,
    node: NodeId,
    branches: usize,
}

/// Makes `count` branches of the prefix that ends at `node`.
pub(in crate::datastream) fn fork<P>(
    before: P,
    node: NodeId,
    count: usize,
) -> impl Iterator<Item = Forked<P>> {
    let shared = Arc::new(Mutex::new(before));
    (0..count).map(move |_| Forked {
        shared: Arc::clone(&shared),
        node,
        branches: count,
    })
}

impl<P: Pipe> Pipe for Forked<P> {
    type Out = P::Out;
    type Depth = Shallow;

    fn attach<D: Push<P::Out> + 'static>(
        &self,
        plan: &mut Deployment<'_>,
        next: &mut dyn FnMut(u32) -> D,
    ) {
        let mut chains = Vec::<Box<dyn Push<P::Out>>>::new();
        for subtask in 0..plan.parallelism(self.node) {
            chains.push(Box::new(next(subtask)));
        }
        let Some(branches) = plan.add_branch(ForkId::of(&self.shared), self.branches, chains)
        else {
            return;
        };
        let mut branches = branches.into_iter();
        let before = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        before.attach(plan, &mut |_| {
            FanOut::new(branches.next().expect("one set of branches a subtask"))
        });
    }
}
