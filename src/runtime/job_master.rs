//! The job master: the thread that supervises a job. It deploys attempts, starts their workers and the checkpoint
//! writer, reacts to failures and checkpoint events, and decides whether the job restarts or how it ends.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use crate::checkpoint::{Restored, Storage};
use crate::graph::ExecutionGraph;
use crate::metrics::MetricGroup;
use crate::operator::{Checkpointing, Committer, OperatorError, SubtaskInfo};
use crate::record::MaxParallelism;
use crate::time::Timestamp;

use super::checkpoint_request::{CheckpointRequest, NO_CHECKPOINTS};
use super::checkpoint_writer::WriterMessage;
use super::checkpointer::{Checkpointer, Instruction, StopMode};
use super::checkpoints::{RestoreFrom, Retention};
use super::config::Config;
use super::deployment::{Attempt, Blueprint, WorkerParts};
use super::error::JobError;
use super::job::{JobHandle, JobResult, Shared, start_thread};
use super::job_status::JobStatus;
use super::mailbox::Letter;
use super::origin::Origin;
use super::restart::{RestartStrategy, Restarts};
use super::running::Running;
use super::worker::Event;
use super::workers::Workers;
use super::writer_handle::{WriterHandle, start_committer};

/// A request of the host to a job.
pub(crate) enum Command {
    Cancel,
    Checkpoint(Sender<Result<(), String>>),
    Savepoint {
        target: Arc<dyn Storage>,
        mode: StopMode,
        reply: Sender<Result<(), String>>,
    },
}

impl std::fmt::Debug for Command {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Command::Cancel => "Cancel",
            Command::Checkpoint(_) => "Checkpoint",
            Command::Savepoint { .. } => "Savepoint",
        })
    }
}

/// Supervises one job.
pub(crate) struct JobMaster {
    shared: Arc<Shared>,
    blueprint: Arc<dyn Blueprint>,
    config: Arc<Config>,
    graph: ExecutionGraph,
    max_parallelism: MaxParallelism,
    events: Sender<Event>,
    inbox: Receiver<Event>,
    restarts: Restarts,
    writer: Option<WriterHandle>,
    committer: Committer,
    attempt: u32,
    /// The first attempt, built by the caller that starts the job, so that it learns of errors there and then.
    deployed: Option<Vec<WorkerParts>>,
}

/// Deploys a job, which validates its graph, its sources and the checkpoint that it is restored from, and starts its
/// master.
///
/// # Errors
/// [`JobError`] if one of them is invalid, or if the operating system refuses a thread.
pub(crate) fn start(
    name: Arc<str>,
    metrics: MetricGroup,
    config: Config,
    graph: ExecutionGraph,
    max_parallelism: MaxParallelism,
    blueprint: Arc<dyn Blueprint>,
) -> Result<JobHandle, JobError> {
    let origin = Origin::find(&config, &name, &graph, max_parallelism)?;
    let shared = Arc::new(Shared::new(name, metrics));
    let (events, inbox) = channel();
    let next = origin.next_checkpoint();
    let writer = match (origin.store, &config.checkpoints) {
        (Some(store), Some(checkpoints)) => Some(WriterHandle::start(
            store,
            next,
            checkpoints.clone(),
            origin.restored.clone(),
            &events,
        )?),
        _ => None,
    };
    let restart = config.restart.clone().unwrap_or_else(|| match writer {
        Some(_) => RestartStrategy::exponential(),
        None => RestartStrategy::None,
    });
    let mut master = JobMaster {
        shared: Arc::clone(&shared),
        blueprint: Arc::clone(&blueprint),
        config: Arc::new(config),
        graph,
        max_parallelism: origin.max_parallelism,
        events: events.clone(),
        inbox,
        restarts: Restarts::new(restart),
        writer,
        committer: start_committer(&events)?,
        attempt: 0,
        deployed: None,
    };
    master.deployed = Some(master.deploy(origin.restored)?);
    start_thread(shared, events, blueprint, master)
}

impl JobMaster {
    /// Builds the chains of an attempt.
    fn deploy(&self, restored: Option<Restored>) -> Result<Vec<WorkerParts>, JobError> {
        let writer = self.writer.as_ref();
        let attempt = Attempt {
            number: self.attempt,
            max_parallelism: self.max_parallelism,
            checkpointing: Checkpointing {
                enabled: writer.is_some(),
                first: writer.map_or(0, |writer| writer.first),
                directory: writer.map(|writer| writer.directory),
                restored,
                allow_non_restored: self.config.allow_non_restored,
                committer: self.committer.clone(),
            },
        };
        let shared = &self.shared;
        let mut parts = (self.blueprint).deploy(
            &self.graph,
            &self.config,
            &shared.name,
            &shared.metrics,
            attempt,
        )?;
        if let Some(writer) = &self.writer {
            let subtasks = parts.iter_mut().flat_map(|part| &mut part.subtasks);
            subtasks.for_each(|subtask| subtask.take_snapshots(Box::new(writer.pieces.clone())));
        }
        Ok(parts)
    }

    fn now(&self) -> (Duration, Timestamp) {
        let clock = &self.config.clock;
        (Duration::from_nanos(clock.monotonic_nanos()), clock.now())
    }

    /// Runs attempts until one of them ends the job.
    pub(super) fn run(mut self) -> Result<JobResult, JobError> {
        let started = self.now().0;
        let ended = loop {
            let parts = match self.deployed.take() {
                Some(parts) => parts,
                None if self.shared.status() == JobStatus::Cancelling => break Ok(()),
                None => match self.redeploy() {
                    Ok(parts) => parts,
                    // A source that cannot start now may be able to later.
                    Err(error @ JobError::Source { .. }) => match self.on_failure() {
                        Some(delay) => {
                            self.wait_to_restart(delay);
                            continue;
                        }
                        None => break Err(error),
                    },
                    Err(error) => break Err(error),
                },
            };
            self.shared.advance(JobStatus::Running);
            let running = match self.spawn(parts) {
                Ok(running) => self.supervise(running),
                Err(error) => break Err(error),
            };
            if !running.has_failed() || self.shared.status() == JobStatus::Cancelling {
                break Ok(());
            }
            match running.restart {
                Some(delay) => self.wait_to_restart(delay),
                None => break Err(running.into_error(&self.shared.name)),
            }
        };
        let duration = self.now().0.saturating_sub(started);
        self.conclude(ended, duration)
    }

    /// Builds the chains of another attempt, restored from the last checkpoint.
    fn redeploy(&mut self) -> Result<Vec<WorkerParts>, JobError> {
        let restored = match &self.writer {
            Some(writer) => writer.restore(&self.shared.name)?,
            None => None,
        };
        self.attempt += 1;
        self.shared.metrics.clear();
        self.deploy(restored)
    }

    /// Starts the workers of an attempt.
    fn spawn(&mut self, parts: Vec<WorkerParts>) -> Result<Running, JobError> {
        let now = self.now().0;
        let checkpointer = self.writer.as_ref().map(|writer| {
            let settings = writer.checkpoints.settings.clone();
            Checkpointer::new(
                settings,
                &self.graph,
                self.max_parallelism,
                writer.next,
                now,
            )
        });
        let workers = Workers::start(parts, &self.config, &self.events)?;
        Ok(Running::new(workers, checkpointer))
    }

    /// Handles the events of an attempt's workers, the writer and the host until all workers have ended, and until
    /// the savepoints that are complete are where they were asked for.
    fn supervise(&mut self, mut running: Running) -> Running {
        if self.shared.status() == JobStatus::Cancelling {
            running.post(Letter::Cancel);
        }
        while running.is_alive() {
            match self.next_event(running.checkpointer.as_ref()) {
                Some(Event::Ended) => running.alive -= 1,
                Some(Event::Failed { subtask, error }) => self.fail(&mut running, subtask, error),
                Some(Event::Command(command)) => self.handle_command(&mut running, command),
                Some(Event::CommitFailed) => running.post(Letter::Turn),
                event => self.handle_checkpoint_event(&mut running, event),
            }
        }
        if let (Some(writer), Some(checkpointer)) = (&mut self.writer, &running.checkpointer) {
            writer.next = checkpointer.next_checkpoint();
        }
        running.join();
        running
    }

    /// Waits for the next event; `None` when it is time to check on checkpoints.
    fn next_event(&self, checkpointer: Option<&Checkpointer>) -> Option<Event> {
        let Some(deadline) = checkpointer.and_then(Checkpointer::deadline) else {
            return self.inbox.recv().ok();
        };
        let left = deadline.saturating_sub(self.now().0);
        self.inbox.recv_timeout(left).ok()
    }

    fn fail(&mut self, running: &mut Running, subtask: SubtaskInfo, error: OperatorError) {
        tracing::error!(vertex = %subtask.vertex, subtask = subtask.index, %error, "subtask failed");
        if running.has_failed() {
            running.suppressed.push(error);
            return;
        }
        let is_final = error.is_final();
        running.failure = Some((subtask, error));
        self.end_attempt(running, is_final);
    }

    /// Closes what still runs of a failed attempt, and decides whether there is another one.
    fn end_attempt(&mut self, running: &mut Running, is_final: bool) {
        running.restart = if is_final { None } else { self.on_failure() };
        let next = match running.restart {
            Some(_) => JobStatus::Restarting,
            None => JobStatus::Failing,
        };
        self.shared.advance(next);
        running.post(Letter::Cancel);
    }

    fn on_failure(&mut self) -> Option<Duration> {
        let now = self.now().0;
        self.restarts.on_failure(now)
    }

    fn handle_command(&mut self, running: &mut Running, command: Command) {
        let (now, wall) = self.now();
        let reply = match (command, &mut running.checkpointer) {
            (Command::Cancel, _) => return running.post(Letter::Cancel),
            (Command::Checkpoint(reply), Some(checkpointer)) => {
                let (request, instructions) = checkpointer.on_wanted(now, wall);
                return self.await_answer(running, request, reply, instructions);
            }
            (
                Command::Savepoint {
                    target,
                    mode,
                    reply,
                },
                Some(checkpointer),
            ) => {
                let (request, instructions) = checkpointer.on_savepoint(target, mode, now, wall);
                return self.await_answer(running, request, reply, instructions);
            }
            (Command::Checkpoint(reply) | Command::Savepoint { reply, .. }, None) => reply,
        };
        let _ = reply.send(Err(NO_CHECKPOINTS.to_owned()));
    }

    /// Records who waits for a checkpoint or savepoint, and follows the instructions that the request led to.
    fn await_answer(
        &mut self,
        running: &mut Running,
        request: CheckpointRequest,
        reply: Sender<Result<(), String>>,
        instructions: Vec<Instruction>,
    ) {
        running.await_answer(request, reply);
        self.carry_out(running, instructions);
    }

    /// Handles a checkpoint event, or the passing of time.
    fn handle_checkpoint_event(&mut self, running: &mut Running, event: Option<Event>) {
        let (now, wall) = self.now();
        let Some(checkpointer) = &mut running.checkpointer else {
            return;
        };
        let instructions = match event {
            Some(Event::Reported { place, message }) => {
                checkpointer.on_message(place, message, now, wall)
            }
            Some(Event::Written(written)) => checkpointer.on_written(written, now, wall),
            _ => checkpointer.on_time(now, wall),
        };
        self.carry_out(running, instructions);
    }

    fn carry_out(&mut self, running: &mut Running, instructions: Vec<Instruction>) {
        for instruction in instructions {
            match instruction {
                Instruction::Notify(notice) => running.post(Letter::Notice(notice)),
                Instruction::Write(message) => {
                    if let Some(writer) = &self.writer {
                        writer.send(message);
                    }
                }
                Instruction::Finish => {
                    running.finishing = true;
                    running.post(Letter::Finish);
                }
                Instruction::Fail(reason) => {
                    if !running.has_failed() {
                        running.reason = Some(reason);
                        self.end_attempt(running, false);
                    }
                }
                Instruction::Answer(answer, result) => running.answer(answer, &result),
            }
        }
    }

    /// Waits until the job restarts or is cancelled.
    fn wait_to_restart(&mut self, delay: Duration) {
        let until = self.now().0.saturating_add(delay);
        tracing::info!(job = %self.shared.name, ?delay, "job starts again");
        loop {
            let left = until.saturating_sub(self.now().0);
            match self.inbox.recv_timeout(left) {
                Ok(Event::Command(Command::Cancel)) | Err(_) => return,
                Ok(Event::Command(
                    Command::Checkpoint(reply) | Command::Savepoint { reply, .. },
                )) => {
                    let _ = reply.send(Err("the job is starting again".to_owned()));
                }
                // Left over from the previous attempt.
                Ok(_) => {}
            }
        }
    }

    fn conclude(
        mut self,
        ended: Result<(), JobError>,
        duration: Duration,
    ) -> Result<JobResult, JobError> {
        let job = Arc::clone(&self.shared.name);
        let cancelled = self.shared.status() == JobStatus::Cancelling;
        if let Some(writer) = &self.writer {
            let discard = writer.checkpoints.retention == Retention::DeleteOnCancellation;
            // Those of an earlier run that this one did not go on from are not this one's to discard.
            let since = match self.config.restore {
                RestoreFrom::Latest => 0,
                RestoreFrom::Nothing | RestoreFrom::Path(_) | RestoreFrom::Storage(_) => {
                    writer.first
                }
            };
            writer.send(WriterMessage::Close {
                discard: (cancelled && discard).then_some(since),
            });
        }
        // By the time the job is seen to have ended, the directory must be free for its next user.
        self.writer = None;
        if cancelled {
            self.shared.advance(JobStatus::Canceled);
            return Err(JobError::Cancelled { job });
        }
        if let Err(error) = ended {
            self.shared.advance(JobStatus::Failing);
            self.shared.advance(JobStatus::Failed);
            return Err(error);
        }
        self.shared.advance(JobStatus::Finished);
        Ok(JobResult {
            duration,
            metrics: self.shared.metrics.samples(),
        })
    }
}
