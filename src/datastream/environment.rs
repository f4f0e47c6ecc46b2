//! The environment: where a job's graph is built, and from which it is run.

use std::any::Any;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::graph::{ExecutionGraph, GraphError, NodeId, NodeKind, PlanFormat, StreamGraph};
use crate::metrics::MetricGroup;
use crate::operator::{BoxError, Source};
use crate::record::{KeyGroupAssignment, MaxParallelism};
use crate::ring::WaitStrategy;
use crate::runtime::{
    Attempt, BatchSize, Blueprint, Checkpoints, Config, Deployment, JobError, JobHandle, JobResult,
    RestartStrategy, RestoreFrom, Stepper, Terminal, WorkerParts, core_count, restored_positions,
    start,
};
use crate::time::{Clock, ManualClock};

use super::pipe::{LooseEnd, Sourced};
use super::stream::Stream;

/// Builds a job lazily and runs it.
///
/// Builder calls only add to a graph: nothing is opened and no record is read before
/// [`execute`](Environment::execute), [`spawn`](Environment::spawn) or
/// [`stepper`](Environment::stepper). Clones are handles to the same job.
#[derive(Clone)]
pub struct Environment {
    drawing: Arc<Mutex<Drawing>>,
}

impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Environment")
            .field("graph", &self.drawing().graph)
            .finish_non_exhaustive()
    }
}

/// Starts an attempt of a source, with or without checkpoints, from scratch or from the positions in one.
type Start = dyn Fn(bool, Option<&[Vec<u8>]>) -> Result<(), BoxError> + Send;
/// A source's node and the function that starts it.
type Starter = (NodeId, Box<Start>);

/// The job as built so far.
pub(super) struct Drawing {
    pub(super) graph: StreamGraph,
    pub(super) terminals: Vec<Box<dyn Terminal>>,
    /// The prefixes of all streams, by stream number; `None` once a builder call has consumed the stream.
    loose_ends: Vec<Option<Box<dyn LooseEnd>>>,
    starters: Vec<Starter>,
    config: Config,
}

impl Environment {
    /// Creates a job without operators, at parallelism 1.
    #[must_use]
    pub fn new() -> Self {
        Environment {
            drawing: Arc::new(Mutex::new(Drawing {
                graph: StreamGraph::new(1),
                terminals: Vec::new(),
                loose_ends: Vec::new(),
                starters: Vec::new(),
                config: Config::default(),
            })),
        }
    }

    pub(super) fn drawing(&self) -> MutexGuard<'_, Drawing> {
        self.drawing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn configured(self, set: impl FnOnce(&mut Config)) -> Self {
        set(&mut self.drawing().config);
        self
    }

    /// The parallelism of sources and exchanges that set none. Default: 1.
    #[must_use]
    pub fn parallelism(self, parallelism: u32) -> Self {
        self.drawing().graph.set_default_parallelism(parallelism);
        self
    }

    /// The number of key groups: the largest parallelism to which the job's state can ever be rescaled.
    /// Default: Flink's, 128 for parallelisms up to 85.
    #[must_use]
    pub fn max_parallelism(self, groups: u32) -> Self {
        self.configured(|config| config.max_parallelism = Some(groups))
    }

    /// How keys map to key groups. Default: ranges of the stable key hash.
    #[must_use]
    pub fn key_groups(self, assignment: KeyGroupAssignment) -> Self {
        self.configured(|config| config.key_groups = assignment)
    }

    /// The number of workers. Default: one per core that the process may use, but no more than the job has slots.
    #[must_use]
    pub fn workers(self, workers: u32) -> Self {
        self.configured(|config| config.workers = Some(workers.max(1)))
    }

    /// Whether workers are pinned to cores. Default: yes, where permitted.
    #[must_use]
    pub fn pin_workers(self, pin: bool) -> Self {
        self.configured(|config| config.pin = pin)
    }

    /// What a worker does when it has no work. Default: [`WaitStrategy::Backoff`].
    #[must_use]
    pub fn wait_strategy(self, wait: WaitStrategy) -> Self {
        self.configured(|config| config.wait = wait)
    }

    /// The size of each ring in bytes, 1 GiB at most; a record may occupy up to a quarter of it. Default: 128 KiB.
    #[must_use]
    pub fn ring_capacity(self, bytes: usize) -> Self {
        self.configured(|config| config.ring_capacity = bytes)
    }

    /// How many records a subtask processes in one turn. Default: as many as take about 50 µs.
    #[must_use]
    pub fn batch(self, size: BatchSize) -> Self {
        self.configured(|config| config.batch = size)
    }

    /// How the job takes checkpoints. Default: not at all.
    #[must_use]
    pub fn checkpoints(self, checkpoints: Checkpoints) -> Self {
        self.configured(|config| config.checkpoints = Some(checkpoints))
    }

    /// What the job restores its state from. Default: nothing, it starts from scratch.
    #[must_use]
    pub fn restore(self, from: RestoreFrom) -> Self {
        self.configured(|config| config.restore = from)
    }

    /// Whether state in the restored checkpoint that no operator claims may be dropped.
    /// Default: no; the job then refuses to start.
    #[must_use]
    pub fn allow_non_restored_state(self, allow: bool) -> Self {
        self.configured(|config| config.allow_non_restored = allow)
    }

    /// Whether and when the job restarts after a failure. Default: with checkpoints always, after delays that grow from
    /// one second to one minute; without them never.
    #[must_use]
    pub fn restart(self, strategy: RestartStrategy) -> Self {
        self.configured(|config| config.restart = Some(strategy))
    }

    /// Adds a source called `name`.
    pub fn source<S: Source>(&self, name: &str, source: S) -> Stream<Sourced<S>> {
        let limit = source.max_parallelism();
        let node = self.add(NodeKind::Source { limit }, name, Vec::new());
        let source = Arc::new(source);
        let starter = Arc::clone(&source);
        let start: Box<Start> = Box::new(move |takes_checkpoints, positions| {
            if takes_checkpoints {
                starter.check_positions()?;
            }
            match positions {
                Some(positions) => starter.resume(positions),
                None => starter.start(),
            }
        });
        let mut drawing = self.drawing();
        drawing.graph.offer_side_outputs(node);
        drawing.starters.push((node, start));
        drop(drawing);
        Stream::new(self.clone(), node, Sourced { source, node })
    }

    /// Whether both are handles of the same job.
    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.drawing, &other.drawing)
    }

    pub(super) fn add(&self, kind: NodeKind, name: &str, inputs: Vec<NodeId>) -> NodeId {
        self.drawing().graph.add(kind, name.into(), inputs)
    }

    /// Stores the prefix of a stream and returns the stream's number.
    pub(super) fn add_loose_end(&self, end: Box<dyn LooseEnd>) -> usize {
        let loose_ends = &mut self.drawing().loose_ends;
        loose_ends.push(Some(end));
        loose_ends.len() - 1
    }

    /// Takes the prefix of a stream, for the call that consumes it.
    pub(super) fn take_loose_end(&self, stream: usize) -> Box<dyn Any> {
        let end = self.drawing().loose_ends[stream].take();
        end.expect("builder calls consume their stream")
    }

    /// What a run takes, as it is drawn now.
    fn parts(&self) -> Result<(Config, ExecutionGraph, MaxParallelism), GraphError> {
        let drawing = self.drawing();
        Ok((
            drawing.config.clone(),
            drawing.execution_graph()?,
            drawing.groups()?,
        ))
    }

    /// The execution plan, as text, Graphviz or JSON.
    ///
    /// # Errors
    /// [`GraphError`] if the graph cannot run.
    pub fn plan(&self, format: PlanFormat) -> Result<String, GraphError> {
        Ok(self.drawing().execution_graph()?.plan(format).to_string())
    }

    /// Runs the job and waits until it ends. The environment stays as it is: another call runs the same job again. What
    /// is added to it meanwhile is refused when the job restarts.
    ///
    /// # Errors
    /// [`JobError`] if the graph cannot run, a source cannot start, or a subtask fails.
    pub fn execute(&self, name: &str) -> Result<JobResult, JobError> {
        self.spawn(name)?.wait()
    }

    /// Starts the job and returns at once.
    ///
    /// # Errors
    /// [`JobError`] if the graph cannot run or a source cannot start.
    pub fn spawn(&self, name: &str) -> Result<JobHandle, JobError> {
        let (config, graph, groups) = self.parts()?;
        let blueprint = Arc::new(self.clone());
        start(
            name.into(),
            MetricGroup::new(),
            config,
            graph,
            groups,
            blueprint,
        )
    }

    /// Returns the job, to be driven by hand on this thread, at the time that `clock` shows.
    ///
    /// # Errors
    /// [`JobError`] if the graph cannot run or a source cannot start.
    pub fn stepper(&self, name: &str, clock: ManualClock) -> Result<Stepper, JobError> {
        let (mut config, graph, groups) = self.parts()?;
        config.clock = Clock::Manual(clock);
        let blueprint = Arc::new(self.clone());
        Stepper::new(name.into(), config, &graph, groups, blueprint)
    }
}

impl Blueprint for Environment {
    fn deploy(
        &self,
        graph: &ExecutionGraph,
        config: &Config,
        job: &Arc<str>,
        metrics: &MetricGroup,
        attempt: Attempt,
    ) -> Result<Vec<WorkerParts>, JobError> {
        let drawing = self.drawing();
        if drawing.graph.nodes().len() != graph.stream_graph().nodes().len() {
            return Err(GraphError::Changed.into());
        }
        let deploy = || drawing.deploy((graph, config), job, metrics, attempt);
        JobError::or_panicked(job, || Ok(deploy()?.finish()))
    }

    fn job_ended(&self) {
        let drawing = self.drawing();
        drawing.terminals.iter().for_each(|end| end.job_ended());
    }
}

impl Default for Environment {
    fn default() -> Self {
        Self::new()
    }
}

/// One such ring for each pair of subtasks is more than any machine has.
const RING_CAPACITY_MAX: usize = 1 << 30;

impl Drawing {
    fn execution_graph(&self) -> Result<ExecutionGraph, GraphError> {
        self.graph.check(self.config.checkpoints.is_some())?;
        self.groups()?;
        let bytes = self.config.ring_capacity;
        if bytes > RING_CAPACITY_MAX {
            let limit = RING_CAPACITY_MAX;
            return Err(GraphError::RingCapacity { bytes, limit });
        }
        let workers = self.config.workers.unwrap_or_else(core_count);
        Ok(ExecutionGraph::new(self.graph.clone(), workers))
    }

    /// The number of key groups, sufficient for every parallelism in the graph.
    fn groups(&self) -> Result<MaxParallelism, GraphError> {
        let largest = self.graph.parallelism_max();
        let groups = match self.config.max_parallelism {
            Some(groups) => MaxParallelism::new(groups)?,
            None => MaxParallelism::default_for(largest),
        };
        groups.admit(largest)?;
        Ok(groups)
    }

    fn deploy<'a>(
        &'a self,
        (graph, config): (&'a ExecutionGraph, &'a Config),
        name: &Arc<str>,
        metrics: &MetricGroup,
        attempt: Attempt,
    ) -> Result<Deployment<'a>, JobError> {
        for (node, start) in &self.starters {
            let uid = self.graph.uid(*node);
            let restored = restored_positions(&attempt.checkpointing, &uid);
            let restored = restored.map_err(|cause| JobError::restore(name, cause))?;
            let positions = restored.as_ref().map(|(positions, _)| &positions[..]);
            let started = start(attempt.checkpointing.enabled, positions);
            started.map_err(|cause| JobError::Source {
                source_name: Arc::clone(&self.graph.node(*node).name),
                cause,
            })?;
        }
        let mut plan = Deployment::new(graph, config, name, metrics, attempt);
        self.terminals
            .iter()
            .for_each(|terminal| terminal.attach(&mut plan));
        let loose = self.loose_ends.iter().flatten();
        loose.for_each(|end| end.attach_loose(&mut plan));
        Ok(plan)
    }
}
