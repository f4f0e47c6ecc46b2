//! The job graph: the job after fusion. Vertices are fused regions, edges the exchanges that remain.
//!
//! Every edge of the stream graph is fused except exchanges, and an exchange vanishes too where nothing would be
//! redistributed: from one subtask to one subtask, or forward at equal parallelism. Flink breaks its chains at
//! every `keyBy`; fusing them gives the same results and saves the ring. Only where a user's function chooses the
//! subtask does the exchange stay: the function is called for every record, and may fail.

use std::fmt;
use std::sync::Arc;

use super::regions::regions;
use super::slot_groups::SlotGroups;
use super::stream_graph::{Node, NodeId, NodeKind, Partitioning, StreamGraph};

/// A vertex's index in its graph.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct VertexId(pub u32);

/// A fused region: operators that run as one loop, with some parallelism.
#[derive(Clone, Debug)]
pub struct Vertex {
    /// Its index.
    pub id: VertexId,
    /// Its operators' names, joined by arrows.
    pub name: Arc<str>,
    /// Its nodes, in the order of the builder calls.
    pub nodes: Vec<NodeId>,
    /// How many subtasks it has.
    pub parallelism: u32,
    /// Its slot sharing group.
    pub slot_group: Arc<str>,
}

/// Why an exchange did not vanish.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Unfused {
    /// Records must be redistributed: there are several subtasks upstream or downstream.
    Redistributes {
        /// Subtasks upstream.
        from: u32,
        /// Subtasks downstream.
        to: u32,
    },
    /// The two sides are in different slot sharing groups.
    SlotGroups(Arc<str>, Arc<str>),
    /// A user's function chooses the subtask of each record.
    Chosen,
    /// The user asked for a new chain.
    ChainStarted,
}

impl fmt::Display for Unfused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unfused::Redistributes { from, to } => {
                write!(f, "redistributes {from} to {to} subtasks")
            }
            Unfused::SlotGroups(a, b) => write!(f, "slot sharing groups `{a}` and `{b}`"),
            Unfused::Chosen => f.write_str("a function chooses the subtask"),
            Unfused::ChainStarted => f.write_str("a new chain was asked for"),
        }
    }
}

/// An exchange of the stream graph and what became of it.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// Its node.
    pub node: NodeId,
    /// How it distributes records.
    pub partitioning: Partitioning,
    /// The upstream vertex.
    pub from: VertexId,
    /// The downstream vertex; the same as `from` if the exchange vanished.
    pub to: VertexId,
    /// Why it did not vanish; `None` if it did.
    pub unfused: Option<Unfused>,
}

/// A job after fusion.
#[derive(Clone, Debug)]
pub struct JobGraph {
    vertices: Vec<Vertex>,
    exchanges: Vec<Exchange>,
    vertex_of: Vec<VertexId>,
}

impl JobGraph {
    /// Fuses a checked stream graph.
    #[must_use]
    pub fn new(graph: &StreamGraph) -> Self {
        let slot_groups = SlotGroups::of(graph);
        let unfused: Vec<Option<Unfused>> = graph
            .nodes()
            .iter()
            .map(|node| why_unfused(graph, &slot_groups, node))
            .collect();
        let vertex_of = connected_regions(graph, &unfused);
        let vertices = collect_vertices(graph, &slot_groups, &vertex_of);
        let exchanges = graph.nodes().iter().filter_map(|node| match node.kind {
            NodeKind::Exchange(partitioning) => Some(Exchange {
                node: node.id,
                partitioning,
                from: vertex_of[node.inputs[0].index()],
                to: vertex_of[node.id.index()],
                unfused: unfused[node.id.index()].clone(),
            }),
            _ => None,
        });
        JobGraph {
            exchanges: exchanges.collect(),
            vertices,
            vertex_of,
        }
    }

    /// All vertices, in the order of their first operators.
    #[must_use]
    pub fn vertices(&self) -> &[Vertex] {
        &self.vertices
    }

    /// One vertex.
    #[must_use]
    pub fn vertex(&self, id: VertexId) -> &Vertex {
        &self.vertices[id.0 as usize]
    }

    /// Every exchange of the stream graph, including those that vanished.
    #[must_use]
    pub fn exchanges(&self) -> &[Exchange] {
        &self.exchanges
    }

    /// The vertex that contains a node.
    #[must_use]
    pub fn vertex_of(&self, node: NodeId) -> VertexId {
        self.vertex_of[node.index()]
    }

    /// Whether some way leads from the vertex downstream of the exchange at `node` back to the one upstream: a region
    /// may send through an exchange what it reads again from another region, or from itself.
    #[must_use]
    pub fn is_in_cycle(&self, node: NodeId) -> bool {
        let Some(exchange) = self.exchanges.iter().find(|e| e.node == node) else {
            return false;
        };
        let mut reached = vec![exchange.to];
        let mut next = 0;
        while let Some(from) = reached.get(next).copied() {
            let unfused = self.exchanges.iter().filter(|e| e.unfused.is_some());
            for to in unfused.filter(|e| e.from == from).map(|e| e.to) {
                if !reached.contains(&to) {
                    reached.push(to);
                }
            }
            next += 1;
        }
        reached.contains(&exchange.from)
    }

    /// Whether the exchange at `node` vanished.
    #[must_use]
    pub fn is_fused(&self, node: NodeId) -> bool {
        self.exchanges
            .iter()
            .any(|e| e.node == node && e.unfused.is_none())
    }
}

fn why_unfused(graph: &StreamGraph, slot_groups: &SlotGroups, node: &Node) -> Option<Unfused> {
    let NodeKind::Exchange(partitioning) = node.kind else {
        return None;
    };
    let input = node.inputs[0];
    let (from, to) = (graph.parallelism(input), graph.parallelism(node.id));
    let (group_from, group_to) = (slot_groups.group(input), slot_groups.group(node.id));
    let pointwise = partitioning == Partitioning::Forward && from == to;
    if !pointwise && (from, to) != (1, 1) {
        Some(Unfused::Redistributes { from, to })
    } else if partitioning == Partitioning::Custom {
        Some(Unfused::Chosen)
    } else if group_from != group_to {
        Some(Unfused::SlotGroups(
            Arc::clone(group_from),
            Arc::clone(group_to),
        ))
    } else if node.starts_chain {
        Some(Unfused::ChainStarted)
    } else {
        None
    }
}

/// Numbers the regions between exchanges that did not vanish, in the order of their first nodes.
fn connected_regions(graph: &StreamGraph, unfused: &[Option<Unfused>]) -> Vec<VertexId> {
    let mut numbers = std::collections::HashMap::new();
    regions(graph, |node| unfused[node.id.index()].is_some())
        .into_iter()
        .map(|first| {
            let next = VertexId(numbers.len() as u32);
            *numbers.entry(first).or_insert(next)
        })
        .collect()
}

fn collect_vertices(
    graph: &StreamGraph,
    slot_groups: &SlotGroups,
    vertex_of: &[VertexId],
) -> Vec<Vertex> {
    let count = vertex_of.iter().map(|v| v.0 + 1).max().unwrap_or(0);
    let vertex = |id: u32| {
        let members = graph
            .nodes()
            .iter()
            .filter(|n| vertex_of[n.id.index()].0 == id);
        let nodes: Vec<NodeId> = members.clone().map(|n| n.id).collect();
        let named = members.filter(|n| !matches!(n.kind, NodeKind::Exchange(_)));
        let names: Vec<&str> = named.map(|n| &*n.name).collect();
        Vertex {
            id: VertexId(id),
            name: names.join(" → ").into(),
            parallelism: graph.parallelism(nodes[0]),
            slot_group: Arc::clone(slot_groups.group(nodes[0])),
            nodes,
        }
    };
    (0..count).map(vertex).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exchange_from_one_subtask_to_one_vanishes_unless_a_function_chooses() {
        let unfused = |partitioning| {
            let mut graph = StreamGraph::new(1);
            let source = graph.add(NodeKind::Source { limit: 1 }, "source".into(), vec![]);
            let exchange = graph.add(NodeKind::Exchange(partitioning), "to".into(), vec![source]);
            graph.add(NodeKind::Sink, "sink".into(), vec![exchange]);
            JobGraph::new(&graph).exchanges()[0].unfused.clone()
        };
        assert_eq!(unfused(Partitioning::KeyGroups), None);
        assert_eq!(unfused(Partitioning::Global), None);
        assert_eq!(unfused(Partitioning::Custom), Some(Unfused::Chosen));
    }
}
