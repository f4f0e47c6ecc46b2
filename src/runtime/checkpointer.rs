//! `Checkpointer`: manages the checkpoints of one attempt, and how the attempt ends because of them.
//!
//! It turns the coordinator's actions into [`Instruction`]s: to the subtasks, to the writer, and to whoever runs the job.
//! Both the job master, which has threads, and the stepper, which has none, use it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::checkpoint::{Contents, OperatorInfo, Storage, SubtaskReport};
use crate::graph::ExecutionGraph;
use crate::operator::Barrier;
use crate::record::MaxParallelism;
use crate::time::Timestamp;

use super::checkpoint_coordinator::{Action, CheckpointCoordinator, Part, Purpose};
use super::checkpoint_event::{CheckpointEvent, CheckpointObserver};
use super::checkpoint_request::{Answer, CheckpointRequest};
use super::checkpoint_writer::{CheckpointSize, WriterMessage, Written};
use super::checkpoints::CheckpointSettings;
use super::head::Notice;
use super::subtask_snapshot::Message;

/// What is to be done.
pub(crate) enum Instruction {
    /// Notify every subtask.
    Notify(Notice),
    /// Send the writer a message.
    Write(WriterMessage),
    /// The job is ending: every subtask closes.
    Finish,
    /// The job has failed.
    Fail(String),
    /// A checkpoint, and the savepoint copied from it if there is one, has completed or failed.
    Answer(Answer, Result<(), String>),
}

/// After how long a job whose input has ended retries its last checkpoint.
const END_RETRY: Duration = Duration::from_millis(100);

/// How the job continues once a savepoint is complete.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum StopMode {
    /// It continues.
    GoOn,
    /// It stops at the savepoint.
    Suspend,
    /// Its sources end first, so that all windows and timers fire.
    Drain,
}

/// One subtask, as checkpoints identify it.
#[derive(Clone, Copy, Debug)]
struct Placed {
    index: u32,
    parallelism: u32,
}

/// A savepoint that a caller waits for.
struct Savepoint {
    number: u64,
    target: Arc<dyn Storage>,
    mode: StopMode,
}

/// The checkpoints of one attempt.
pub(crate) struct Checkpointer {
    coordinator: CheckpointCoordinator,
    observer: Option<CheckpointObserver>,
    placed: Vec<Placed>,
    max_parallelism: MaxParallelism,
    /// Subtasks whose input has ended.
    at_end: BTreeSet<usize>,
    /// The last checkpoint was requested, once the input of all subtasks had ended.
    ending: bool,
    /// When the last checkpoint is to be requested again, after it has failed.
    retry_at: Option<Duration>,
    /// How many savepoints were requested.
    savepoint_count: u64,
    /// Requested but not triggered yet, in order.
    wanted: Vec<Savepoint>,
    /// Triggered, by the checkpoint that they are copied from.
    savepoints: BTreeMap<u64, Savepoint>,
    /// Being copied from their checkpoints, which are complete.
    exported: BTreeMap<u64, Savepoint>,
    /// When the checkpoints in progress started, by the wall clock.
    started: BTreeMap<u64, Timestamp>,
    /// The size of the last complete checkpoint.
    size: CheckpointSize,
    /// The subtasks were told to close.
    finishing: bool,
}

impl std::fmt::Debug for Checkpointer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Checkpointer")
            .field("coordinator", &self.coordinator)
            .field("at_end", &self.at_end)
            .field("ending", &self.ending)
            .finish_non_exhaustive()
    }
}

impl Checkpointer {
    pub(crate) fn new(
        settings: CheckpointSettings,
        graph: &ExecutionGraph,
        max_parallelism: MaxParallelism,
        next: u64,
        now: Duration,
    ) -> Self {
        let placed = graph.subtasks().iter().map(|subtask| Placed {
            index: subtask.index,
            parallelism: graph.job_graph().vertex(subtask.vertex).parallelism,
        });
        let placed: Vec<Placed> = placed.collect();
        Checkpointer {
            observer: settings.observer.clone(),
            coordinator: CheckpointCoordinator::new(settings, placed.len(), next, now),
            placed,
            max_parallelism,
            at_end: BTreeSet::new(),
            ending: false,
            retry_at: None,
            savepoint_count: 0,
            wanted: Vec::new(),
            savepoints: BTreeMap::new(),
            exported: BTreeMap::new(),
            started: BTreeMap::new(),
            size: CheckpointSize::default(),
            finishing: false,
        }
    }

    /// Whether the job is about to end, or will be if a request succeeds.
    fn is_ending(&self) -> bool {
        let triggered = self.savepoints.values().chain(self.exported.values());
        let mut requests = self.wanted.iter().chain(triggered);
        self.finishing || requests.any(|savepoint| savepoint.mode != StopMode::GoOn)
    }

    /// Has the subtasks closed.
    fn finish(&mut self) -> Instruction {
        self.finishing = true;
        Instruction::Finish
    }

    pub(crate) fn next_checkpoint(&self) -> u64 {
        self.coordinator.next_checkpoint()
    }

    /// Whether savepoints are being copied from complete checkpoints, so that their callers have an answer to come.
    pub(crate) fn is_exporting(&self) -> bool {
        !self.exported.is_empty()
    }

    pub(crate) fn deadline(&self) -> Option<Duration> {
        let deadlines = [self.coordinator.deadline(), self.retry_at];
        deadlines.into_iter().flatten().min()
    }

    pub(crate) fn on_time(&mut self, now: Duration, wall: Timestamp) -> Vec<Instruction> {
        let mut actions = self.coordinator.on_time(now);
        if self.retry_at.is_some_and(|at| at <= now) {
            self.retry_at = None;
            actions.extend(self.end_if_all_are(now));
        }
        self.instructions(actions, now, wall)
    }

    /// Handles a message from a subtask.
    pub(crate) fn on_message(
        &mut self,
        place: usize,
        message: Message,
        now: Duration,
        wall: Timestamp,
    ) -> Vec<Instruction> {
        let actions = match message {
            Message::Acknowledged { checkpoint, states } => {
                self.coordinator.on_part(checkpoint, Part { place, states })
            }
            Message::Declined { checkpoint, reason } => {
                self.coordinator.on_decline(checkpoint, &reason, now)
            }
            Message::AtEnd => {
                self.at_end.insert(place);
                self.end_if_all_are(now)
            }
        };
        self.instructions(actions, now, wall)
    }

    /// Once every input has ended, requests a last checkpoint, which commits what the sinks hold.
    fn end_if_all_are(&mut self, now: Duration) -> Vec<Action> {
        if self.at_end.len() < self.placed.len() || self.ending {
            return Vec::new();
        }
        self.ending = true;
        self.coordinator.stop_periodic();
        self.coordinator.on_request(Purpose::Final, now)
    }

    /// Handles a report of the writer.
    pub(crate) fn on_written(
        &mut self,
        written: Written,
        now: Duration,
        wall: Timestamp,
    ) -> Vec<Instruction> {
        match written {
            Written::Checkpoint(checkpoint, written) => {
                let written = written.map(|size| self.size = size);
                let actions = self.coordinator.on_written(checkpoint, written, now);
                self.instructions(actions, now, wall)
            }
            Written::Exported(checkpoint, exported) => {
                let Some(savepoint) = self.exported.remove(&checkpoint) else {
                    return Vec::new();
                };
                let mut instructions = Vec::new();
                match (savepoint.mode, &exported) {
                    (StopMode::GoOn, _) => {}
                    (_, Ok(())) => instructions.push(self.finish()),
                    // The job continues as if there had been no request; after a drain it ends, with its own last
                    // checkpoint.
                    (StopMode::Suspend, Err(_)) => {
                        self.coordinator.resume_periodic(now);
                        instructions.push(Instruction::Notify(Notice::Aborted(checkpoint)));
                    }
                    (StopMode::Drain, Err(_)) => instructions.push(self.finish()),
                }
                let answer = Answer::Savepoint(savepoint.number);
                instructions.push(Instruction::Answer(answer, exported));
                instructions
            }
            Written::Panicked(message) => {
                let reason = format!("the checkpoint writer panicked: {message}");
                vec![Instruction::Fail(reason)]
            }
        }
    }

    /// Requests a checkpoint.
    pub(crate) fn on_wanted(
        &mut self,
        now: Duration,
        wall: Timestamp,
    ) -> (CheckpointRequest, Vec<Instruction>) {
        let request = CheckpointRequest::Checkpoint(self.coordinator.next_checkpoint());
        let actions = self.coordinator.on_request(Purpose::Asked, now);
        (request, self.instructions(actions, now, wall))
    }

    /// Requests a savepoint. One that drains waits until all inputs have ended. A job ends once: a request that would
    /// end it is refused while there is another one.
    pub(crate) fn on_savepoint(
        &mut self,
        target: Arc<dyn Storage>,
        mode: StopMode,
        now: Duration,
        wall: Timestamp,
    ) -> (CheckpointRequest, Vec<Instruction>) {
        self.savepoint_count += 1;
        let number = self.savepoint_count;
        let request = CheckpointRequest::Savepoint(number);
        if mode != StopMode::GoOn && self.is_ending() {
            let answer = Answer::Savepoint(number);
            let reason = "the job is being stopped or drained already".to_owned();
            return (request, vec![Instruction::Answer(answer, Err(reason))]);
        }
        self.wanted.push(Savepoint {
            number,
            target,
            mode,
        });
        if mode != StopMode::GoOn {
            self.coordinator.stop_periodic();
        }
        if mode == StopMode::Drain {
            return (request, vec![Instruction::Notify(Notice::Drain)]);
        }
        let actions = self.coordinator.on_request(Purpose::Savepoint, now);
        (request, self.instructions(actions, now, wall))
    }

    fn instructions(
        &mut self,
        actions: Vec<Action>,
        now: Duration,
        wall: Timestamp,
    ) -> Vec<Instruction> {
        let mut instructions = Vec::new();
        for action in actions {
            match action {
                Action::Trigger(mut barrier, purpose) => {
                    self.started.insert(barrier.checkpoint, wall);
                    if self.assign_savepoint(barrier.checkpoint, purpose) == Some(StopMode::Suspend)
                    {
                        barrier.options |= Barrier::SUSPEND;
                    }
                    instructions.push(Instruction::Notify(Notice::Triggered(barrier)));
                }
                Action::Overtake(barrier) => {
                    tracing::debug!(checkpoint = barrier.checkpoint, "barriers overtake");
                    instructions.push(Instruction::Notify(Notice::Overtake(barrier)));
                }
                Action::Write {
                    checkpoint,
                    parent,
                    purpose,
                    parts,
                } => {
                    let contents = self.contents(checkpoint, parent, purpose, parts, wall);
                    instructions.push(Instruction::Write(WriterMessage::Complete {
                        checkpoint,
                        contents: Box::new(contents),
                        kept: self.savepoints.contains_key(&checkpoint),
                    }));
                }
                Action::Complete {
                    checkpoint,
                    purpose,
                } => self.complete(checkpoint, purpose, wall, &mut instructions),
                Action::Abort {
                    checkpoint,
                    purpose,
                    reason,
                } => {
                    self.abort(checkpoint, reason, now, &mut instructions);
                    if purpose == Purpose::Final {
                        // A job must not end without its last checkpoint.
                        self.ending = false;
                        self.retry_at = Some(now + END_RETRY);
                    }
                }
                Action::Fail(reason) => instructions.push(Instruction::Fail(reason)),
            }
        }
        instructions
    }

    /// Assigns the checkpoint just triggered to the savepoint that has waited longest for one of its kind. Returns
    /// how the job continues after it.
    fn assign_savepoint(&mut self, checkpoint: u64, purpose: Purpose) -> Option<StopMode> {
        let drained = purpose == Purpose::Final;
        if !drained && purpose != Purpose::Savepoint {
            return None;
        }
        let may = |savepoint: &Savepoint| drained || savepoint.mode != StopMode::Drain;
        let place = self.wanted.iter().position(may)?;
        let savepoint = self.wanted.remove(place);
        let mode = savepoint.mode;
        self.savepoints.insert(checkpoint, savepoint);
        Some(mode)
    }

    fn tell(&self, event: &CheckpointEvent) {
        if let Some(observer) = &self.observer {
            observer.tell(event);
        }
    }

    fn complete(
        &mut self,
        checkpoint: u64,
        purpose: Purpose,
        wall: Timestamp,
        instructions: &mut Vec<Instruction>,
    ) {
        let started = self.started.remove(&checkpoint).unwrap_or(wall);
        let nanos = wall.0.saturating_sub(started.0).max(0).unsigned_abs();
        self.tell(&CheckpointEvent::Completed {
            checkpoint,
            duration: Duration::from_nanos(nanos),
            size: self.size,
        });
        tracing::info!(checkpoint, bytes = self.size.bytes, "checkpoint complete");
        instructions.push(Instruction::Notify(Notice::Complete(checkpoint)));
        instructions.push(Instruction::Answer(Answer::Checkpoint(checkpoint), Ok(())));
        if let Some(savepoint) = self.savepoints.remove(&checkpoint) {
            let target = Arc::clone(&savepoint.target);
            self.exported.insert(checkpoint, savepoint);
            instructions.push(Instruction::Write(WriterMessage::Export(
                checkpoint, target,
            )));
            return;
        }
        if purpose == Purpose::Final {
            instructions.push(self.finish());
        }
    }

    fn abort(
        &mut self,
        checkpoint: u64,
        reason: String,
        now: Duration,
        instructions: &mut Vec<Instruction>,
    ) {
        tracing::warn!(checkpoint, reason, "checkpoint aborted");
        self.started.remove(&checkpoint);
        self.tell(&CheckpointEvent::Failed {
            checkpoint,
            reason: reason.clone(),
        });
        instructions.push(Instruction::Write(WriterMessage::Abandon(checkpoint)));
        instructions.push(Instruction::Notify(Notice::Aborted(checkpoint)));
        if let Some(savepoint) = self.savepoints.remove(&checkpoint) {
            if savepoint.mode == StopMode::Suspend {
                self.coordinator.resume_periodic(now);
            }
            let answer = Answer::Savepoint(savepoint.number);
            instructions.push(Instruction::Answer(answer, Err(reason.clone())));
        }
        instructions.push(Instruction::Answer(
            Answer::Checkpoint(checkpoint),
            Err(reason),
        ));
    }

    fn contents(
        &mut self,
        checkpoint: u64,
        parent: Option<u64>,
        purpose: Purpose,
        parts: Vec<Part>,
        wall: Timestamp,
    ) -> Contents {
        let millis = |at: Timestamp| (at.0 / 1_000_000).max(0).unsigned_abs();
        let mut operators: BTreeMap<Arc<str>, OperatorInfo> = BTreeMap::new();
        let mut reports = Vec::new();
        for Part { place, states } in parts {
            let Placed { index, parallelism } = self.placed[place];
            for report in &states {
                let uid = &report.state.operator;
                operators
                    .entry(Arc::clone(uid))
                    .or_insert_with(|| OperatorInfo {
                        uid: Arc::clone(uid),
                        parallelism,
                        max_parallelism: self.max_parallelism.get(),
                    });
            }
            reports.push(SubtaskReport {
                subtask: index,
                states,
            });
        }
        Contents {
            parent,
            is_savepoint: purpose == Purpose::Savepoint,
            started_ms: self.started.get(&checkpoint).map_or(0, |at| millis(*at)),
            completed_ms: millis(wall),
            operators: operators.into_values().collect(),
            reports,
        }
    }
}
