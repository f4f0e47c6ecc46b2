//! Sinks: where chains end, and where building them starts.

use crate::graph::NodeId;
use crate::operator::{Sink, SinkOperator};
use crate::runtime::{Deployment, Pipe, Terminal};

/// A prefix followed by the sink that it ends in.
#[derive(Debug)]
pub(in crate::datastream) struct SinkTerminal<P, S> {
    pub(in crate::datastream) before: P,
    pub(in crate::datastream) node: NodeId,
    pub(in crate::datastream) sink: S,
}

impl<P: Pipe, S: Sink<P::Out>> Terminal for SinkTerminal<P, S> {
    fn attach(&self, plan: &mut Deployment<'_>) {
        let site = plan.site(self.node);
        self.before.attach(plan, &mut |subtask| {
            let writer = self.sink.writer(subtask, site.parallelism);
            SinkOperator::new(site.name.clone(), writer).uid(site.uid.clone())
        });
    }

    fn job_ended(&self) {
        self.sink.job_ended();
    }
}
