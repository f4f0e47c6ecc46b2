//! The stream graph: the job as it was written, one node per builder call.

use std::any::TypeId;
use std::fmt;
use std::sync::Arc;

use crate::operator::Edge;

use super::error::GraphError;
use super::slot_groups::SlotGroups;

/// A node's index in its graph.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct NodeId(pub u32);

impl NodeId {
    pub(super) fn index(self) -> usize {
        self.0 as usize
    }
}

/// How an exchange distributes records among the subtasks downstream of it (Flink's partitioners).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Partitioning {
    /// Subtask *i* to subtask *i*.
    Forward,
    /// Round-robin to all subtasks, starting anywhere.
    Rebalance,
    /// Round-robin to a subset of the subtasks; pointwise wiring.
    Rescale,
    /// To a random subtask.
    Shuffle,
    /// To every subtask.
    Broadcast,
    /// To the first subtask.
    Global,
    /// To the subtask that a user's function chooses.
    Custom,
    /// To the subtask that owns the key's key group.
    KeyGroups,
}

impl fmt::Display for Partitioning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Partitioning::Forward => "forward",
            Partitioning::Rebalance => "rebalance",
            Partitioning::Rescale => "rescale",
            Partitioning::Shuffle => "shuffle",
            Partitioning::Broadcast => "broadcast",
            Partitioning::Global => "global",
            Partitioning::Custom => "custom",
            Partitioning::KeyGroups => "key groups",
        })
    }
}

/// What a node is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NodeKind {
    /// A source, which may limit its parallelism.
    Source {
        /// The largest parallelism of the source.
        limit: u32,
    },
    /// An operator.
    Operator {
        /// Whether it has state that checkpoints must include.
        stateful: bool,
    },
    /// A change of partitioning: becomes an edge between regions, or vanishes.
    Exchange(Partitioning),
    /// Several streams read as one.
    Union,
    /// One side output of its input.
    SideOutput,
    /// The end of a stream.
    Sink,
}

/// A node.
#[derive(Clone, Debug)]
pub struct Node {
    /// Its index.
    pub id: NodeId,
    /// What it is.
    pub kind: NodeKind,
    /// Its display name.
    pub name: Arc<str>,
    /// Its uid, which identifies its state in checkpoints.
    pub uid: Option<Arc<str>>,
    /// The nodes it reads, in input order.
    pub inputs: Vec<NodeId>,
    parallelism: Option<u32>,
    slot_group: Option<Arc<str>>,
    pub(super) starts_chain: bool,
    /// Whether it may emit to side outputs.
    has_side_outputs: bool,
    /// The operator of which this one is an internal part: users see only that one, and give it the uid.
    part_of: Option<NodeId>,
    /// How many keys to expect downstream of this exchange; 0 if unknown.
    pub expected_keys: usize,
}

impl Node {
    /// The slot sharing group that it was given, if it was given one.
    pub(super) fn own_slot_group(&self) -> Option<&Arc<str>> {
        self.slot_group.as_ref()
    }
}

/// The operator, the tag and the record type of a side output that was taken.
type SideOutput = (NodeId, Arc<str>, TypeId);

/// A job as it was written: nodes in the order of the builder calls, so inputs come first.
#[derive(Clone, Debug)]
pub struct StreamGraph {
    nodes: Vec<Node>,
    default_parallelism: u32,
    side_outputs: Vec<SideOutput>,
    /// The first error of a builder call.
    rejected: Option<GraphError>,
}

impl StreamGraph {
    /// Creates an empty graph. Sources and exchanges have `default_parallelism` unless they set their own.
    #[must_use]
    pub(crate) fn new(default_parallelism: u32) -> Self {
        StreamGraph {
            nodes: Vec::new(),
            default_parallelism,
            side_outputs: Vec::new(),
            rejected: None,
        }
    }

    /// Changes the parallelism of sources and exchanges that have none of their own.
    pub(crate) fn set_default_parallelism(&mut self, parallelism: u32) {
        self.default_parallelism = parallelism;
    }

    /// Marks the graph as unable to run; only the first reason is kept.
    pub(crate) fn reject(&mut self, error: GraphError) {
        self.rejected.get_or_insert(error);
    }

    /// Adds a node.
    pub(crate) fn add(&mut self, kind: NodeKind, name: Arc<str>, inputs: Vec<NodeId>) -> NodeId {
        let id = NodeId(self.nodes.len() as u32);
        debug_assert!(
            inputs.iter().all(|input| *input < id),
            "inputs are drawn first"
        );
        self.nodes.push(Node {
            id,
            kind,
            name,
            uid: None,
            inputs,
            parallelism: None,
            slot_group: None,
            starts_chain: false,
            has_side_outputs: false,
            part_of: None,
            expected_keys: 0,
        });
        id
    }

    /// Inserts a stateful operator upstream of an exchange that nothing reads yet. Returns the exchange's new index;
    /// the operator takes the old one.
    pub(crate) fn precede(&mut self, exchange: NodeId, name: Arc<str>) -> NodeId {
        let inputs = self.node(exchange).inputs.clone();
        let moved = self.add(
            self.node(exchange).kind,
            Arc::clone(&self.node(exchange).name),
            vec![exchange],
        );
        let operator = Node {
            id: exchange,
            kind: NodeKind::Operator { stateful: true },
            name,
            uid: None,
            inputs,
            parallelism: None,
            slot_group: None,
            starts_chain: false,
            has_side_outputs: false,
            part_of: None,
            expected_keys: 0,
        };
        let before = std::mem::replace(&mut self.nodes[exchange.index()], operator);
        self.nodes[moved.index()] = Node {
            id: moved,
            inputs: vec![exchange],
            ..before
        };
        moved
    }

    /// All nodes, inputs before the nodes that read them.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// One node.
    #[must_use]
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.index()]
    }

    /// Names a node.
    pub(crate) fn set_name(&mut self, id: NodeId, name: Arc<str>) {
        self.nodes[id.index()].name = name;
    }

    /// The identity of a node's state: its uid, or its name if it has none.
    #[must_use]
    pub fn uid(&self, id: NodeId) -> Arc<str> {
        let node = self.node(id);
        Arc::clone(node.uid.as_ref().unwrap_or(&node.name))
    }

    /// An exchange as checkpoints identify it. In-flight data is stored under the uid of the first operator downstream,
    /// suffixed with `.input`, and a number from the second such exchange on.
    #[must_use]
    pub(crate) fn edge(&self, exchange: NodeId, partitioning: Partitioning) -> Edge {
        Edge {
            uid: self.channel_uid(exchange),
            partitioning: partitioning.to_string().into(),
        }
    }

    fn channel_uid(&self, exchange: NodeId) -> Arc<str> {
        let base = |id: NodeId| self.uid(self.behind(id));
        let own = base(exchange);
        let alike = self.nodes[..exchange.index()]
            .iter()
            .filter(|node| matches!(node.kind, NodeKind::Exchange(_)) && base(node.id) == own);
        match alike.count() {
            0 => format!("{own}.input").into(),
            before => format!("{own}.input{}", before + 1).into(),
        }
    }

    /// The first node downstream of an exchange that is not an exchange; the last exchange if there is none.
    fn behind(&self, exchange: NodeId) -> NodeId {
        let mut nodes = self.nodes.iter();
        match nodes.find(|node| node.inputs.contains(&exchange)) {
            Some(next) if matches!(next.kind, NodeKind::Exchange(_)) => self.behind(next.id),
            Some(next) => next.id,
            None => exchange,
        }
    }

    /// Declares that the operator at `part` does the first half of the work of the one at `whole`. Its uid becomes that
    /// of `whole`, suffixed with `.partial`.
    pub(crate) fn set_part(&mut self, part: NodeId, whole: NodeId) {
        self.nodes[part.index()].part_of = Some(whole);
    }

    /// Sets the uid of a node, and those derived from it for its parts.
    pub(crate) fn set_uid(&mut self, id: NodeId, uid: Arc<str>) {
        let parts = self
            .nodes
            .iter_mut()
            .filter(|node| node.part_of == Some(id));
        for part in parts {
            part.uid = Some(format!("{uid}.partial").into());
        }
        self.nodes[id.index()].uid = Some(uid);
    }

    /// The nodes at which the region containing `id` may begin: sources and exchanges.
    fn roots(&self, id: NodeId) -> Vec<NodeId> {
        let mut roots = Vec::new();
        let mut open = vec![id];
        while let Some(id) = open.pop() {
            let node = self.node(id);
            match node.kind {
                NodeKind::Source { .. } | NodeKind::Exchange(_) => roots.push(id),
                _ => open.extend(&node.inputs),
            }
        }
        roots
    }

    /// Whether no exchange stands between the sources and `id`.
    #[must_use]
    pub(crate) fn follows_sources(&self, id: NodeId) -> bool {
        let is_source = |root: &NodeId| matches!(self.node(*root).kind, NodeKind::Source { .. });
        self.roots(id).iter().all(is_source)
    }

    /// Sets the parallelism of the region that `id` is in, that is, of the sources and exchanges at which it begins.
    pub(crate) fn set_parallelism(&mut self, id: NodeId, parallelism: u32) {
        for root in self.roots(id) {
            self.nodes[root.index()].parallelism = Some(parallelism);
        }
    }

    /// If one of the two nodes is an exchange that was given no parallelism, gives it the other one's: the second that
    /// of the first, where both are.
    pub(crate) fn match_parallelism(&mut self, first: NodeId, second: NodeId) {
        let is_open = |id: NodeId| {
            let node = self.node(id);
            matches!(node.kind, NodeKind::Exchange(_)) && node.parallelism.is_none()
        };
        let (open, model) = match (is_open(first), is_open(second)) {
            (_, true) => (second, first),
            (true, false) => (first, second),
            (false, false) => return,
        };
        self.nodes[open.index()].parallelism = Some(self.parallelism(model));
    }

    /// Puts the region that `id` is in into a slot sharing group: regions of different groups are
    /// never fused and take different slots.
    pub(crate) fn set_slot_group(&mut self, id: NodeId, group: &Arc<str>) {
        for root in self.roots(id) {
            self.nodes[root.index()].slot_group = Some(Arc::clone(group));
        }
    }

    /// Says that a node may emit to side outputs.
    pub(crate) fn offer_side_outputs(&mut self, id: NodeId) {
        self.nodes[id.index()].has_side_outputs = true;
    }

    /// Adds the side output `tag` of `operator`, whose records are of the type `record`: the operator must have side
    /// outputs, and all who take one take it with the same type.
    pub(crate) fn add_side_output(
        &mut self,
        operator: NodeId,
        tag: &Arc<str>,
        record: TypeId,
    ) -> NodeId {
        let name = || Arc::clone(&self.node(operator).name);
        let is_same = |(of, name, _): &&SideOutput| (*of, name) == (operator, tag);
        let taken = self.side_outputs.iter().find(is_same);
        let refused = if !self.node(operator).has_side_outputs {
            Some(GraphError::NoSideOutputs {
                tag: Arc::clone(tag),
                name: name(),
            })
        } else if taken.is_some_and(|(_, _, taken)| *taken != record) {
            Some(GraphError::SideOutputTypes {
                tag: Arc::clone(tag),
                name: name(),
            })
        } else {
            None
        };
        refused.into_iter().for_each(|error| self.reject(error));
        self.side_outputs.push((operator, Arc::clone(tag), record));
        self.add(NodeKind::SideOutput, Arc::clone(tag), vec![operator])
    }

    /// Sets how many keys to expect downstream of the exchange at `id`.
    pub(crate) fn expect_keys(&mut self, id: NodeId, keys: usize) {
        self.nodes[id.index()].expected_keys = keys;
    }

    /// Keeps the exchanges at which the region of `id` begins from being fused away.
    pub(crate) fn start_chain(&mut self, id: NodeId) {
        for root in self.roots(id) {
            self.nodes[root.index()].starts_chain = true;
        }
    }

    /// The parallelism of a node: its own if it begins a region, else its inputs'.
    #[must_use]
    pub fn parallelism(&self, id: NodeId) -> u32 {
        let node = self.node(id);
        let default = self.default_parallelism;
        match node.kind {
            NodeKind::Source { limit } => node.parallelism.unwrap_or(default.min(limit)),
            NodeKind::Exchange(Partitioning::Forward) => node
                .parallelism
                .unwrap_or_else(|| self.parallelism(node.inputs[0])),
            NodeKind::Exchange(_) => node.parallelism.unwrap_or(default),
            _ => self.parallelism(node.inputs[0]),
        }
    }

    /// The largest parallelism of all nodes, and so the smallest possible number of key groups.
    #[must_use]
    pub(crate) fn parallelism_max(&self) -> u32 {
        let parallelisms = self.nodes().iter().map(|node| self.parallelism(node.id));
        parallelisms.max().unwrap_or(1)
    }

    /// Checks the whole graph.
    ///
    /// # Errors
    /// The first [`GraphError`] found.
    pub(crate) fn check(&self, checkpoints: bool) -> Result<(), GraphError> {
        if let Some(error) = &self.rejected {
            return Err(error.clone());
        }
        let operators =
            |node: &Node| matches!(node.kind, NodeKind::Operator { .. } | NodeKind::Sink);
        if !self.nodes.iter().any(operators) {
            return Err(GraphError::Empty);
        }
        let slot_groups = SlotGroups::of(self);
        for node in &self.nodes {
            self.check_node(node, checkpoints)?;
            if let Some(groups) = slot_groups.conflict(self, node.id) {
                let name = Arc::clone(&node.name);
                return Err(GraphError::SlotGroups { name, groups });
            }
        }
        self.check_uids(checkpoints)
    }

    fn check_node(&self, node: &Node, checkpoints: bool) -> Result<(), GraphError> {
        let parallelism = self.parallelism(node.id);
        if parallelism == 0 {
            return Err(GraphError::ZeroParallelism(Arc::clone(&node.name)));
        }
        match node.kind {
            NodeKind::Source { limit } if parallelism > limit => {
                let name = Arc::clone(&node.name);
                return Err(GraphError::SourceParallelism {
                    name,
                    parallelism,
                    limit,
                });
            }
            NodeKind::Operator { stateful: true }
                if checkpoints && node.uid.is_none() && node.part_of.is_none() =>
            {
                return Err(GraphError::MissingUid(Arc::clone(&node.name)));
            }
            NodeKind::Exchange(partitioning) if partitioning != Partitioning::Forward => {
                return Ok(());
            }
            _ => {}
        }
        for input in &node.inputs {
            let from = self.parallelism(*input);
            if from != parallelism {
                return Err(GraphError::ForwardParallelism {
                    upstream: Arc::clone(&self.node(*input).name),
                    from,
                    name: Arc::clone(&node.name),
                    to: parallelism,
                });
            }
        }
        Ok(())
    }

    /// Checks that each uid names one operator. With `checkpoints`, sources and sinks without a uid store their state
    /// under their names, so these count too.
    fn check_uids(&self, checkpoints: bool) -> Result<(), GraphError> {
        let mut seen: std::collections::HashMap<&Arc<str>, &Node> =
            std::collections::HashMap::new();
        for node in &self.nodes {
            let is_kept =
                checkpoints && matches!(node.kind, NodeKind::Source { .. } | NodeKind::Sink);
            let name = is_kept.then_some(&node.name);
            let Some(uid) = node.uid.as_ref().or(name) else {
                continue;
            };
            if let Some(first) = seen.insert(uid, node) {
                if first.uid.is_none() && node.uid.is_none() {
                    let name = Arc::clone(uid);
                    return Err(GraphError::DuplicateName { name });
                }
                return Err(GraphError::DuplicateUid {
                    uid: Arc::clone(uid),
                    first: Arc::clone(&first.name),
                    second: Arc::clone(&node.name),
                });
            }
        }
        Ok(())
    }
}
