//! `PerSubtask`: a value made for each subtask of a node, to be taken once.

use crate::graph::NodeId;
use crate::operator::{Outputs, SideOutputs};
use crate::runtime::Deployment;

/// One `T` for each subtask. Uses plain loops, because this is compiled for every chain of a job.
pub(super) struct PerSubtask<T>(pub(super) Vec<Option<T>>);

impl<T> PerSubtask<T> {
    /// Calls `make(0)`, `make(1)` …
    pub(super) fn new(parallelism: u32, make: &mut dyn FnMut(u32) -> T) -> Self {
        let mut all = Vec::with_capacity(parallelism as usize);
        for subtask in 0..parallelism {
            all.push(Some(make(subtask)));
        }
        PerSubtask(all)
    }

    /// Takes the value of a subtask, which nobody has taken yet.
    pub(super) fn take(&mut self, subtask: u32) -> T {
        let one = self.0[subtask as usize].take();
        one.expect("taken once by each subtask")
    }
}

/// The outputs of an operator, per subtask.
pub(super) struct AllOutputs<D> {
    mains: PerSubtask<D>,
    sides: PerSubtask<SideOutputs>,
}

impl<D> AllOutputs<D> {
    /// Takes those of one subtask.
    pub(super) fn take(&mut self, subtask: u32) -> Outputs<D> {
        Outputs {
            main: self.mains.take(subtask),
            sides: self.sides.take(subtask),
        }
    }
}

/// Takes every subtask's main output from `next`, and calls `build` with these and the side outputs of
/// `node` once the side outputs have their chains.
pub(super) fn with_outputs<D: 'static>(
    plan: &mut Deployment<'_>,
    node: NodeId,
    next: &mut dyn FnMut(u32) -> D,
    build: impl FnOnce(&mut Deployment<'_>, AllOutputs<D>) + 'static,
) {
    let parallelism = plan.parallelism(node);
    let mains = PerSubtask::new(parallelism, next);
    plan.after_sides(
        node,
        Box::new(move |plan| {
            let sides = sides_of(plan, node);
            build(plan, AllOutputs { mains, sides });
        }),
    );
}

fn sides_of(plan: &mut Deployment<'_>, node: NodeId) -> PerSubtask<SideOutputs> {
    PerSubtask::new(plan.parallelism(node), &mut |subtask| {
        plan.take_sides(node, subtask)
    })
}
