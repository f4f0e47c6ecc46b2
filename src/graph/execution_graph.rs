//! The execution graph: vertices × parallelism, placed on workers.
//!
//! Slots are shares of workers. The *i*-th subtasks of all vertices of a slot sharing group take the same
//! slot, groups take slots one after the other, and slots are assigned to workers round-robin.

use std::collections::HashMap;
use std::sync::Arc;

use super::job_graph::{JobGraph, Vertex, VertexId};
use super::plan::{Plan, PlanFormat};
use super::stream_graph::{NodeId, Partitioning, StreamGraph};

/// One parallel instance of a vertex.
#[derive(Clone, Debug)]
pub struct Subtask {
    /// The vertex.
    pub vertex: VertexId,
    /// Its index among the vertex's subtasks, from 0.
    pub index: u32,
    /// The worker that runs it, from 0.
    pub worker: u32,
}

/// A job as it will run.
#[derive(Clone, Debug)]
pub struct ExecutionGraph {
    stream: StreamGraph,
    job: JobGraph,
    subtasks: Vec<Subtask>,
    workers: u32,
}

impl ExecutionGraph {
    /// Places a checked stream graph on up to `workers` workers.
    #[must_use]
    pub fn new(stream: StreamGraph, workers: u32) -> Self {
        let job = JobGraph::new(&stream);
        let (first_slot, slots) = place_groups(job.vertices());
        let workers = workers.clamp(1, slots.max(1));
        let subtasks = job.vertices().iter().flat_map(|vertex| {
            let first = first_slot[&vertex.slot_group];
            (0..vertex.parallelism).map(move |index| Subtask {
                vertex: vertex.id,
                index,
                worker: (first + index) % workers,
            })
        });
        ExecutionGraph {
            subtasks: subtasks.collect(),
            stream,
            job,
            workers,
        }
    }

    /// The job as written.
    #[must_use]
    pub fn stream_graph(&self) -> &StreamGraph {
        &self.stream
    }

    /// The job after fusion.
    #[must_use]
    pub fn job_graph(&self) -> &JobGraph {
        &self.job
    }

    /// Every subtask, vertex by vertex.
    #[must_use]
    pub fn subtasks(&self) -> &[Subtask] {
        &self.subtasks
    }

    /// How many workers the job uses.
    #[must_use]
    pub fn workers(&self) -> u32 {
        self.workers
    }

    /// The index in [`ExecutionGraph::subtasks`] of subtask `index` of the vertex that contains `node`.
    #[must_use]
    pub fn subtask_of(&self, node: NodeId, index: u32) -> usize {
        let vertex = self.job.vertex_of(node);
        let before = self.job.vertices().iter().take(vertex.0 as usize);
        before.map(|v| v.parallelism as usize).sum::<usize>() + index as usize
    }

    /// How many rings the exchange at `node` needs: 0 if it was fused away.
    #[must_use]
    pub fn rings(&self, node: NodeId) -> u32 {
        let graph = &self.stream;
        if self.job.is_fused(node) {
            return 0;
        }
        let (from, to) = (
            graph.parallelism(graph.node(node).inputs[0]),
            graph.parallelism(node),
        );
        match graph.node(node).kind {
            super::NodeKind::Exchange(Partitioning::Forward | Partitioning::Rescale) => {
                from.max(to)
            }
            _ => from * to,
        }
    }

    /// Returns a printable plan of the graph.
    #[must_use]
    pub fn plan(&self, format: PlanFormat) -> Plan<'_> {
        Plan::new(self, format)
    }
}

/// The first slot of every slot sharing group, and how many slots there are.
fn place_groups(vertices: &[Vertex]) -> (HashMap<Arc<str>, u32>, u32) {
    let mut first_slot = HashMap::new();
    let mut next = 0;
    for vertex in vertices {
        if first_slot.contains_key(&vertex.slot_group) {
            continue;
        }
        first_slot.insert(Arc::clone(&vertex.slot_group), next);
        let members = vertices
            .iter()
            .filter(|v| v.slot_group == vertex.slot_group);
        next += members.map(|v| v.parallelism).max().unwrap_or(1);
    }
    (first_slot, next)
}
