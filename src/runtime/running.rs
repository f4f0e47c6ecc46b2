//! An attempt that runs: its workers, its checkpoints, its first failure and the callers that wait for it.

use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Duration;

use crate::operator::{OperatorError, SubtaskInfo};

use super::checkpoint_request::{Answer, CheckpointRequest};
use super::checkpointer::Checkpointer;
use super::error::JobError;
use super::mailbox::Letter;
use super::workers::Workers;

/// Where the answer of a checkpoint or savepoint goes.
pub(super) type Reply = Sender<Result<(), String>>;

/// A caller that waits for the end of a checkpoint or savepoint.
struct Waiting {
    request: CheckpointRequest,
    reply: Reply,
}

/// A running attempt.
pub(super) struct Running {
    workers: Workers,
    /// How many of them have not ended.
    pub(super) alive: usize,
    pub(super) checkpointer: Option<Checkpointer>,
    pub(super) failure: Option<(SubtaskInfo, OperatorError)>,
    pub(super) suppressed: Vec<OperatorError>,
    /// Why the job failed although no subtask did.
    pub(super) reason: Option<String>,
    /// The delay before the next attempt, if there is one.
    pub(super) restart: Option<Duration>,
    /// Whether it is ending, as its input has or as a savepoint asked for.
    pub(super) finishing: bool,
    waiting: Vec<Waiting>,
    /// Callers to be told of a success once it has ended: if it fails meanwhile, it may go on.
    stopped: Vec<Reply>,
}

impl Running {
    pub(super) fn new(workers: Workers, checkpointer: Option<Checkpointer>) -> Self {
        Running {
            alive: workers.count(),
            workers,
            checkpointer,
            failure: None,
            suppressed: Vec::new(),
            reason: None,
            restart: None,
            finishing: false,
            waiting: Vec::new(),
            stopped: Vec::new(),
        }
    }

    pub(super) fn post(&self, letter: Letter) {
        self.workers.post(letter);
    }

    pub(super) fn has_failed(&self) -> bool {
        self.failure.is_some() || self.reason.is_some()
    }

    /// Whether it has events to come: of workers that run, or of complete savepoints on their way to where they were
    /// asked for.
    pub(super) fn is_alive(&self) -> bool {
        let checkpointer = self.checkpointer.as_ref();
        let is_exporting = || checkpointer.is_some_and(Checkpointer::is_exporting);
        self.alive > 0 || !self.has_failed() && is_exporting()
    }

    pub(super) fn await_answer(&mut self, request: CheckpointRequest, reply: Reply) {
        self.waiting.push(Waiting { request, reply });
    }

    /// Answers the callers whose request has ended.
    pub(super) fn answer(&mut self, answer: Answer, result: &Result<(), String>) {
        let is_met = |waiting: &mut Waiting| waiting.request.is_met(answer);
        for waiting in self.waiting.extract_if(.., is_met) {
            if self.finishing && result.is_ok() {
                self.stopped.push(waiting.reply);
            } else {
                let _ = waiting.reply.send(result.clone());
            }
        }
    }

    /// Waits for the workers, which have ended, and tells all callers that still wait what became of their request.
    pub(super) fn join(&mut self) {
        self.workers.join();
        let (complete, incomplete) = match self.has_failed() {
            true => (
                Err(
                    "it is complete, but the job failed while it ended, and may go on after a restart",
                ),
                "the job failed before it was complete",
            ),
            false => (Ok(()), "the job ended before it was complete"),
        };
        for reply in self.stopped.drain(..) {
            let _ = reply.send(complete.map_err(str::to_owned));
        }
        for waiting in self.waiting.drain(..) {
            let _ = waiting.reply.send(Err(incomplete.to_owned()));
        }
    }

    /// Why it failed, if it has.
    pub(super) fn into_error(self, job: &Arc<str>) -> JobError {
        match (self.failure, self.reason) {
            (Some((subtask, cause)), _) => JobError::Failed {
                job: Arc::clone(job),
                vertex: subtask.vertex,
                subtask: subtask.index,
                cause,
                suppressed: self.suppressed,
            },
            (None, reason) => JobError::checkpoint(job, reason.unwrap_or_default()),
        }
    }
}
