//! What will run where, as pure data: no thread, no file, no user code.
//!
//! ```text
//! StreamGraph          as written: one node per builder call
//!    │  fusion: which exchanges vanish, and why the others do not
//! JobGraph             vertices (fused regions) and the exchanges between them
//!    │  × parallelism, slots
//! ExecutionGraph       subtasks on workers, rings between them
//! ```
//! Every stage prints as text, Graphviz and JSON ([`ExecutionGraph::plan`]).

mod error;
mod execution_graph;
mod job_graph;
mod plan;
mod regions;
mod slot_groups;
mod stream_graph;

pub use error::GraphError;
pub use execution_graph::{ExecutionGraph, Subtask};
pub use job_graph::{Exchange, JobGraph, Unfused, Vertex, VertexId};
pub use plan::{Plan, PlanFormat};
pub use stream_graph::{Node, NodeId, NodeKind, Partitioning, StreamGraph};
