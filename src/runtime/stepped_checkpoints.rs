//! The checkpoints of a stepped job: the same coordinator and writer, on the caller's thread.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Duration;

use crate::checkpoint::Storage;
use crate::time::Clock;

use super::checkpoint_request::{Answer, CheckpointRequest};
use super::checkpoint_writer::{CheckpointWriter, PieceSender, WriterMessage, Written};
use super::checkpointer::{Checkpointer, Instruction, StopMode};
use super::subtask::Subtask;
use super::subtask_snapshot::Message;

/// What checkpoints add to a stepped job.
pub(super) struct SteppedCheckpoints {
    pub(super) checkpointer: Checkpointer,
    pub(super) writer: CheckpointWriter,
    pub(super) messages: Sender<WriterMessage>,
    pub(super) pieces: PieceSender,
    pub(super) clock: Clock,
    /// The last complete checkpoint.
    pub(super) completed: Option<u64>,
    /// Why the job has failed.
    pub(super) failure: Option<String>,
    /// Requested, and not ended yet.
    pub(super) wanted: Vec<CheckpointRequest>,
    /// Why requested checkpoints and savepoints have failed.
    pub(super) refusals: VecDeque<String>,
}

impl SteppedCheckpoints {
    fn now(&self) -> Duration {
        Duration::from_nanos(self.clock.monotonic_nanos())
    }

    /// Handles the passing of time.
    pub(super) fn tick(&mut self, subtasks: &mut [Subtask]) {
        let instructions = self.checkpointer.on_time(self.now(), self.clock.now());
        self.carry_out(instructions, subtasks);
    }

    /// Handles a message from a subtask.
    pub(super) fn hear(&mut self, place: usize, message: Message, subtasks: &mut [Subtask]) {
        let (now, wall) = (self.now(), self.clock.now());
        let instructions = self.checkpointer.on_message(place, message, now, wall);
        self.carry_out(instructions, subtasks);
    }

    /// Lets the writer process up to `steps` messages. Returns whether it processed any.
    pub(super) fn write(&mut self, steps: u64, subtasks: &mut [Subtask]) -> bool {
        let mut done = Vec::new();
        let mut worked = false;
        for _ in 0..steps {
            if !self.writer.step(|written: Written| done.push(written)) {
                break;
            }
            worked = true;
        }
        for written in done {
            let (now, wall) = (self.now(), self.clock.now());
            let instructions = self.checkpointer.on_written(written, now, wall);
            self.carry_out(instructions, subtasks);
        }
        worked
    }

    /// Requests a checkpoint.
    pub(super) fn want(&mut self, subtasks: &mut [Subtask]) {
        let (request, instructions) = self.checkpointer.on_wanted(self.now(), self.clock.now());
        self.wanted.push(request);
        self.carry_out(instructions, subtasks);
    }

    /// Requests a savepoint.
    pub(super) fn save(
        &mut self,
        target: Arc<dyn Storage>,
        mode: StopMode,
        subtasks: &mut [Subtask],
    ) {
        let (now, wall) = (self.now(), self.clock.now());
        let (request, instructions) = self.checkpointer.on_savepoint(target, mode, now, wall);
        self.wanted.push(request);
        self.carry_out(instructions, subtasks);
    }

    fn carry_out(&mut self, instructions: Vec<Instruction>, subtasks: &mut [Subtask]) {
        for instruction in instructions {
            match instruction {
                Instruction::Notify(notice) => {
                    for subtask in subtasks.iter_mut() {
                        if let Err(error) = subtask.notice(notice) {
                            self.failure = Some(error.to_string());
                        }
                    }
                }
                Instruction::Write(message) => {
                    // The writer lives as long as the channel to it.
                    let _ = self.messages.send(message);
                }
                Instruction::Finish => subtasks.iter_mut().for_each(Subtask::finish),
                Instruction::Fail(reason) => self.failure = Some(reason),
                Instruction::Answer(answer, result) => {
                    let met = self.wanted.extract_if(.., |request| request.is_met(answer));
                    let is_wanted = met.count() > 0;
                    match (answer, result) {
                        (Answer::Checkpoint(number), Ok(())) => {
                            self.completed = self.completed.max(Some(number));
                        }
                        (_, Err(reason)) if is_wanted => self.refusals.push_back(reason),
                        _ => {}
                    }
                }
            }
        }
    }
}
