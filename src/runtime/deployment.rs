//! Deployment: turns a job's pipes into the chains of its subtasks.
//!
//! Chains are built from their ends: a pipe is handed the operators that come *after* it and nests them
//! into its own, back to a source or an exchange that did not vanish. Forked streams and side outputs
//! join chains from different builder calls: their boxed chains are collected here until the last one
//! has been added.

use std::any::Any;
use std::collections::HashMap;
use std::sync::Arc;

use crate::graph::{ExecutionGraph, NodeId, Partitioning};
use crate::metrics::MetricGroup;
use crate::operator::{
    Checkpointing, Edge, OpenContext, Push, RouteContext, SideOutputs, Site, SubtaskInfo,
};
use crate::record::{KeyHasher, MaxParallelism};
use crate::ring::{Consumer, Parker, Producer, RingOptions, Waker, ring};

use super::channels::Channels;
use super::config::Config;
use super::error::JobError;
use super::head::Head;
use super::subtask::Subtask;
use super::wiring::channels;

/// How many barriers a ring reserves room for: that of one checkpoint, and of some aborted ones.
const RESERVED_BARRIERS: usize = 4;

type Deferred = Box<dyn FnOnce(&mut Deployment<'_>)>;

/// One attempt at running a job: the chains built so far.
pub struct Deployment<'a> {
    graph: &'a ExecutionGraph,
    config: &'a Config,
    job: Arc<str>,
    attempt: u32,
    checkpointing: Checkpointing,
    metrics: MetricGroup,
    hasher: KeyHasher,
    parkers: Vec<Parker>,
    wakers: Vec<Waker>,
    /// The heads of every subtask, in the order of the execution graph's subtasks.
    heads: Vec<Vec<Box<dyn Head>>>,
    /// Chains of the branches of forks that do not have all of them yet: `Branches<V>`.
    forks: HashMap<ForkId, Box<dyn Any>>,
    /// Side outputs of every node and subtask.
    sides: HashMap<(NodeId, u32), SideOutputs>,
    /// How many side outputs of a node have no chain yet.
    sides_missing: HashMap<NodeId, usize>,
    deferred: HashMap<NodeId, Deferred>,
}

impl std::fmt::Debug for Deployment<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Deployment")
            .field("job", &self.job)
            .finish_non_exhaustive()
    }
}

/// Identifies a fork: the address of what its branches share. A node may be forked more than once: a branch without
/// operators, forked again, ends at the same one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct ForkId(usize);

impl ForkId {
    pub(crate) fn of<T>(shared: &Arc<T>) -> Self {
        ForkId(Arc::as_ptr(shared).addr())
    }
}

/// The chains of each branch of a fork added so far, one per subtask.
type Branches<V> = Vec<Vec<Box<dyn Push<V>>>>;

/// Which attempt at running a job this is, and what it is restored from.
#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    /// How many times the job was started before.
    pub(crate) number: u32,
    /// The number of key groups.
    pub(crate) max_parallelism: MaxParallelism,
    /// Whether checkpoints are taken, and the one to restore from.
    pub(crate) checkpointing: Checkpointing,
}

/// A job as defined by its builder, from which every attempt is built.
pub(crate) trait Blueprint: Send + Sync {
    /// Starts the sources of an attempt and builds its chains. A panic of a source, of a sink or of a closure that is
    /// copied is an error.
    fn deploy(
        &self,
        graph: &ExecutionGraph,
        config: &Config,
        job: &Arc<str>,
        metrics: &MetricGroup,
        attempt: Attempt,
    ) -> Result<Vec<WorkerParts>, JobError>;

    /// Tells the sinks that the job has ended for good.
    fn job_ended(&self);
}

/// Everything that runs on one worker.
pub(crate) struct WorkerParts {
    pub(crate) parker: Parker,
    pub(crate) waker: Waker,
    pub(crate) subtasks: Vec<Subtask>,
}

/// The parts of one receiver of an exchange.
pub(crate) struct GateParts {
    pub(crate) subtask: u32,
    pub(crate) consumers: Vec<Consumer>,
    pub(crate) channels: Option<Channels>,
    /// Whether some way leads from the receiver back to the senders.
    pub(crate) is_in_cycle: bool,
}

/// The parts of one sender of an exchange.
pub(crate) struct SenderParts {
    pub(crate) producers: Vec<Producer>,
    pub(crate) route: RouteContext,
    pub(crate) channels: Option<Channels>,
}

impl<'a> Deployment<'a> {
    pub(crate) fn new(
        graph: &'a ExecutionGraph,
        config: &'a Config,
        job: &Arc<str>,
        metrics: &MetricGroup,
        attempt: Attempt,
    ) -> Self {
        let parkers: Vec<Parker> = (0..graph.workers()).map(|_| Parker::new()).collect();
        let stream = graph.stream_graph();
        let mut sides_missing = HashMap::new();
        for node in stream.nodes() {
            if node.kind == crate::graph::NodeKind::SideOutput {
                *sides_missing.entry(node.inputs[0]).or_insert(0) += 1;
            }
        }
        Deployment {
            graph,
            config,
            job: Arc::clone(job),
            attempt: attempt.number,
            checkpointing: attempt.checkpointing,
            metrics: metrics.clone(),
            hasher: KeyHasher::new(config.key_groups, attempt.max_parallelism),
            wakers: parkers.iter().map(Parker::waker).collect(),
            parkers,
            heads: graph.subtasks().iter().map(|_| Vec::new()).collect(),
            forks: HashMap::new(),
            sides: HashMap::new(),
            sides_missing,
            deferred: HashMap::new(),
        }
    }

    /// The parallelism of a node.
    #[must_use]
    pub(crate) fn parallelism(&self, node: NodeId) -> u32 {
        self.graph.stream_graph().parallelism(node)
    }

    /// The site of the operators of a node, with the first subtask's index.
    #[must_use]
    pub(crate) fn site(&self, node: NodeId) -> Site {
        let graph = self.graph.stream_graph();
        let expected = |input: &NodeId| graph.node(*input).expected_keys;
        let inputs = &graph.node(node).inputs;
        Site {
            uid: graph.uid(node),
            name: Arc::clone(&graph.node(node).name),
            subtask: 0,
            parallelism: self.parallelism(node),
            expected_keys: inputs.iter().map(expected).max().unwrap_or(0),
        }
    }

    /// The channels of the exchange at `node`, if its in-flight data can be kept.
    fn channels(
        &self,
        node: NodeId,
        partitioning: Partitioning,
        is_in_cycle: bool,
    ) -> Option<Channels> {
        let from = self.graph.stream_graph().node(node).inputs[0];
        let ends = (self.parallelism(from), self.parallelism(node));
        let edge = self.edge(node, partitioning);
        Channels::of(edge, partitioning, ends, is_in_cycle)
    }

    /// The exchange at `node`, as checkpoints identify it.
    #[must_use]
    pub(crate) fn edge(&self, node: NodeId, partitioning: Partitioning) -> Edge {
        self.graph.stream_graph().edge(node, partitioning)
    }

    /// Whether the exchange at `node` vanished.
    #[must_use]
    pub(crate) fn is_fused(&self, node: NodeId) -> bool {
        self.graph.job_graph().is_fused(node)
    }

    /// Adds the head of a finished chain to the subtask of `node`.
    pub(crate) fn add_head(&mut self, node: NodeId, subtask: u32, head: Box<dyn Head>) {
        let place = self.graph.subtask_of(node, subtask);
        self.heads[place].push(head);
    }

    /// Adds one branch's chains to a fork. Once the last of `count` branches has been added, returns the chains of all
    /// branches, by subtask.
    pub(crate) fn add_branch<V: ?Sized + 'static>(
        &mut self,
        fork: ForkId,
        count: usize,
        chains: Vec<Box<dyn Push<V>>>,
    ) -> Option<Branches<V>> {
        let entry = self.forks.entry(fork);
        let branches = entry.or_insert_with(|| Box::new(Branches::<V>::new()));
        let branches = branches
            .downcast_mut::<Branches<V>>()
            .expect("a fork has one record type");
        branches.push(chains);
        if branches.len() < count {
            return None;
        }
        let branches = std::mem::take(branches);
        self.forks.remove(&fork);
        Some(transpose(branches))
    }

    /// Adds the chains of a side output of `node`. If the node's own chain waited only for this one, builds it.
    pub(crate) fn add_side<T: ?Sized + 'static>(
        &mut self,
        node: NodeId,
        name: &Arc<str>,
        chains: Vec<Box<dyn Push<T>>>,
    ) {
        for (subtask, chain) in (0..).zip(chains) {
            self.sides
                .entry((node, subtask))
                .or_default()
                .connect(Arc::clone(name), chain);
        }
        let missing = self
            .sides_missing
            .get_mut(&node)
            .expect("the side output is in the graph");
        *missing -= 1;
        if *missing == 0
            && let Some(build) = self.deferred.remove(&node)
        {
            build(self);
        }
    }

    /// Runs `build` as soon as every side output of `node` has its chain.
    pub(crate) fn after_sides(
        &mut self,
        node: NodeId,
        build: Box<dyn FnOnce(&mut Deployment<'_>)>,
    ) {
        if self.has_sides(node) {
            build(self);
        } else {
            self.deferred.insert(node, build);
        }
    }

    /// Whether every side output of `node` has its chain.
    #[must_use]
    pub(crate) fn has_sides(&self, node: NodeId) -> bool {
        self.sides_missing
            .get(&node)
            .is_none_or(|missing| *missing == 0)
    }

    /// The side outputs of one subtask of `node`.
    pub(crate) fn take_sides(&mut self, node: NodeId, subtask: u32) -> SideOutputs {
        self.sides.remove(&(node, subtask)).unwrap_or_default()
    }

    /// Opens the rings of the exchange at `node`. Adds the heads that `gate` makes downstream of them, one per
    /// receiver; returns the parts of the upstream ends, one per sender. `size_min` is the size in bytes of the
    /// smallest frame that the rings must be able to take.
    pub(crate) fn open_exchange(
        &mut self,
        node: NodeId,
        partitioning: Partitioning,
        size_min: usize,
        gate: &mut dyn FnMut(GateParts) -> Box<dyn Head>,
    ) -> Vec<SenderParts> {
        let (producers, consumers) = self.rings(node, partitioning, size_min);
        let is_in_cycle = self.graph.job_graph().is_in_cycle(node);
        let channels = self.channels(node, partitioning, is_in_cycle);
        for (subtask, consumers) in (0..).zip(consumers) {
            let channels = channels.clone();
            let gate = gate(GateParts {
                subtask,
                consumers,
                channels,
                is_in_cycle,
            });
            self.add_head(node, subtask, gate);
        }
        let ends = (0..).zip(producers).map(|(sender, producers)| SenderParts {
            route: self.route_context(sender, producers.len()),
            producers,
            channels: channels.clone(),
        });
        ends.collect()
    }

    /// The rings of the exchange at `node`: the producers of every sender, the consumers of every
    /// receiver. `size_min` is the size in bytes of the smallest frame that they must be able to take.
    fn rings(
        &mut self,
        node: NodeId,
        partitioning: Partitioning,
        size_min: usize,
    ) -> (Vec<Vec<Producer>>, Vec<Vec<Consumer>>) {
        let from = self.graph.stream_graph().node(node).inputs[0];
        let (senders, receivers) = (self.parallelism(from), self.parallelism(node));
        let mut consumers: Vec<Vec<Consumer>> = (0..receivers).map(|_| Vec::new()).collect();
        let mut producers = Vec::new();
        for sender in 0..senders {
            let mut ends = Vec::new();
            for receiver in channels(partitioning, sender, senders, receivers) {
                let options = self.ring_options((from, sender), (node, receiver), size_min);
                let (producer, consumer) = ring(options);
                ends.push(producer);
                consumers[receiver as usize].push(consumer);
            }
            producers.push(ends);
        }
        (producers, consumers)
    }

    fn ring_options(&self, from: (NodeId, u32), to: (NodeId, u32), size_min: usize) -> RingOptions {
        let worker = |(node, subtask)| {
            self.graph.subtasks()[self.graph.subtask_of(node, subtask)].worker as usize
        };
        let (sender, receiver) = (worker(from), worker(to));
        // On the same worker, neither side sleeps while the other has work.
        let wakes = self.config.wait.parks() && sender != receiver;
        // A ring takes frames of up to a quarter of its capacity.
        RingOptions::new()
            .capacity(self.config.ring_capacity.max(4 * size_min))
            .reserve(RESERVED_BARRIERS)
            .wake_consumer(wakes.then(|| self.wakers[receiver].clone()))
            .wake_producer(wakes.then(|| self.wakers[sender].clone()))
    }

    /// The context from which a sender's route is made.
    #[must_use]
    pub(crate) fn route_context(&self, sender: u32, channels: usize) -> RouteContext {
        RouteContext {
            sender,
            channels,
            hasher: self.hasher,
        }
    }

    /// Returns the finished chains, by worker.
    pub(crate) fn finish(mut self) -> Vec<WorkerParts> {
        assert!(
            self.deferred.is_empty(),
            "a side output's stream was never attached"
        );
        assert!(
            self.forks.is_empty(),
            "a branch of a fork was never attached"
        );
        let heads = std::mem::take(&mut self.heads);
        assert!(
            heads.iter().all(|heads| !heads.is_empty()),
            "the stream of a source or an exchange was never attached"
        );
        let subtask = |(place, heads): (usize, Vec<Box<dyn Head>>)| {
            let placed = &self.graph.subtasks()[place];
            (
                placed.worker,
                Subtask::new(place, self.open_context(place), heads, self.config.batch),
            )
        };
        let subtasks: Vec<(u32, Subtask)> = heads.into_iter().enumerate().map(subtask).collect();
        let workers = std::mem::take(&mut self.parkers)
            .into_iter()
            .zip(&self.wakers);
        let mut parts: Vec<WorkerParts> = workers
            .map(|(parker, waker)| WorkerParts {
                parker,
                waker: waker.clone(),
                subtasks: Vec::new(),
            })
            .collect();
        for (worker, subtask) in subtasks {
            parts[worker as usize].subtasks.push(subtask);
        }
        parts
    }

    fn open_context(&self, place: usize) -> OpenContext {
        let placed = &self.graph.subtasks()[place];
        let vertex = self.graph.job_graph().vertex(placed.vertex);
        OpenContext {
            subtask: SubtaskInfo {
                job: Arc::clone(&self.job),
                vertex: Arc::clone(&vertex.name),
                index: placed.index,
                parallelism: vertex.parallelism,
                attempt: self.attempt,
            },
            metrics: self.metrics.clone(),
            hasher: self.hasher,
            key_groups: self
                .hasher
                .max_parallelism()
                .range(placed.index, vertex.parallelism),
            waker: Some(self.wakers[placed.worker as usize].clone()),
            clock: self.config.clock.clone(),
            checkpointing: self.checkpointing.clone(),
        }
    }
}

/// From branch × subtask to subtask × branch.
fn transpose<T>(branches: Vec<Vec<T>>) -> Vec<Vec<T>> {
    let subtasks = branches.first().map_or(0, Vec::len);
    let mut transposed: Vec<Vec<T>> = (0..subtasks).map(|_| Vec::new()).collect();
    for branch in branches {
        for (subtask, chain) in branch.into_iter().enumerate() {
            transposed[subtask].push(chain);
        }
    }
    transposed
}
