//! Sources: where chains begin.

use std::sync::Arc;

use crate::graph::NodeId;
use crate::operator::{Push, Shallow, Source};
use crate::runtime::{Deployment, Pipe, SourceHead};

use super::per_subtask::with_outputs;

/// A source.
#[derive(Debug)]
pub struct Sourced<S> {
    pub(in crate::datastream) source: Arc<S>,
    pub(in crate::datastream) node: NodeId,
}

impl<S: Source> Pipe for Sourced<S> {
    type Out = S::Out;
    type Depth = Shallow;

    fn attach<D: Push<S::Out> + 'static>(
        &self,
        plan: &mut Deployment<'_>,
        next: &mut dyn FnMut(u32) -> D,
    ) {
        let (source, node) = (Arc::clone(&self.source), self.node);
        let parallelism = plan.parallelism(node);
        with_outputs(plan, node, next, move |plan, mut outputs| {
            let site = plan.site(node);
            for subtask in 0..parallelism {
                let reader = source.reader(subtask, parallelism);
                let outputs = outputs.take(subtask);
                let head = SourceHead::new(site.name.clone(), site.uid.clone(), reader, outputs);
                plan.add_head(node, subtask, Box::new(head));
            }
        });
    }
}
