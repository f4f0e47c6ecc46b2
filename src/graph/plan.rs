//! Plans: an execution graph as text, as Graphviz, or as JSON for programs.

use std::fmt;

use serde_json::{Value, json};

use super::execution_graph::ExecutionGraph;
use super::job_graph::{Exchange, Vertex};
use super::stream_graph::NodeKind;

/// How a plan is printed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum PlanFormat {
    /// Indented text.
    #[default]
    Text,
    /// Graphviz' `dot`.
    Dot,
    /// One JSON object.
    Json,
}

/// A printable execution graph: [`fmt::Display`] prints it.
#[derive(Debug)]
pub struct Plan<'a> {
    graph: &'a ExecutionGraph,
    format: PlanFormat,
}

impl<'a> Plan<'a> {
    pub(super) fn new(graph: &'a ExecutionGraph, format: PlanFormat) -> Self {
        Plan { graph, format }
    }

    fn workers(&self, vertex: &Vertex) -> Vec<u32> {
        let subtasks = self
            .graph
            .subtasks()
            .iter()
            .filter(|s| s.vertex == vertex.id);
        subtasks.map(|s| s.worker).collect()
    }

    fn text(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let job = self.graph.job_graph();
        for vertex in job.vertices() {
            writeln!(
                f,
                "region {}: {}  × {}  (workers {}, slots `{}`)",
                vertex.id.0,
                vertex.name,
                vertex.parallelism,
                join(&self.workers(vertex)),
                vertex.slot_group,
            )?;
            for exchange in job.exchanges() {
                match &exchange.unfused {
                    None if exchange.from == vertex.id => {
                        writeln!(f, "  ─ {} fused: no ring", exchange.partitioning)?;
                    }
                    Some(reason) if exchange.from == vertex.id => writeln!(
                        f,
                        "  └─ {} ─► region {}: {} rings, {reason}",
                        exchange.partitioning,
                        exchange.to.0,
                        self.graph.rings(exchange.node),
                    )?,
                    _ => {}
                }
            }
        }
        Ok(())
    }

    fn dot(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "digraph job {{\n  rankdir=LR;\n  node [shape=box];")?;
        for vertex in self.graph.job_graph().vertices() {
            let label = format!("{} × {}", vertex.name, vertex.parallelism);
            writeln!(f, "  r{} [label={}];", vertex.id.0, quote(&label))?;
        }
        for exchange in self.rings() {
            let label = exchange.partitioning.to_string();
            writeln!(
                f,
                "  r{} -> r{} [label={}];",
                exchange.from.0,
                exchange.to.0,
                quote(&label)
            )?;
        }
        writeln!(f, "}}")
    }

    fn rings(&self) -> impl Iterator<Item = &Exchange> {
        self.graph
            .job_graph()
            .exchanges()
            .iter()
            .filter(|e| e.unfused.is_some())
    }

    fn json(&self) -> Value {
        let stream = self.graph.stream_graph();
        let job = self.graph.job_graph();
        let nodes = stream.nodes().iter().map(|node| {
            json!({
                "id": node.id.0,
                "kind": kind_name(node.kind),
                "name": &*node.name,
                "uid": node.uid.as_deref(),
                "inputs": node.inputs.iter().map(|i| i.0).collect::<Vec<_>>(),
                "parallelism": stream.parallelism(node.id),
                "region": job.vertex_of(node.id).0,
            })
        });
        let regions = job.vertices().iter().map(|vertex| {
            json!({
                "id": vertex.id.0,
                "name": &*vertex.name,
                "parallelism": vertex.parallelism,
                "slot_group": &*vertex.slot_group,
                "workers": self.workers(vertex),
            })
        });
        let exchanges = job.exchanges().iter().map(|exchange| {
            json!({
                "node": exchange.node.0,
                "partitioning": exchange.partitioning.to_string(),
                "from": exchange.from.0,
                "to": exchange.to.0,
                "rings": self.graph.rings(exchange.node),
                "unfused": exchange.unfused.as_ref().map(ToString::to_string),
            })
        });
        json!({
            "workers": self.graph.workers(),
            "nodes": nodes.collect::<Vec<_>>(),
            "regions": regions.collect::<Vec<_>>(),
            "exchanges": exchanges.collect::<Vec<_>>(),
        })
    }
}

impl fmt::Display for Plan<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.format {
            PlanFormat::Text => self.text(f),
            PlanFormat::Dot => self.dot(f),
            PlanFormat::Json => writeln!(f, "{:#}", self.json()),
        }
    }
}

fn kind_name(kind: NodeKind) -> &'static str {
    match kind {
        NodeKind::Source { .. } => "source",
        NodeKind::Operator { .. } => "operator",
        NodeKind::Exchange(_) => "exchange",
        NodeKind::Union => "union",
        NodeKind::SideOutput => "side output",
        NodeKind::Sink => "sink",
    }
}

fn quote(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

fn join(numbers: &[u32]) -> String {
    numbers
        .iter()
        .map(u32::to_string)
        .collect::<Vec<_>>()
        .join(", ")
}
