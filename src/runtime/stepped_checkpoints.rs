//! The checkpoints of a stepped job: the same coordinator and writer, on the caller's thread.

use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Duration;

use crate::checkpoint::Storage;
use crate::time::Clock;

use super::checkpoint_writer::{CheckpointWriter, PieceSender, WriterMessage, Written};
use super::checkpointer::{Checkpointer, Order, StopMode};
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
}

impl SteppedCheckpoints {
    fn now(&self) -> Duration {
        Duration::from_nanos(self.clock.monotonic_nanos())
    }

    /// Handles the passing of time.
    pub(super) fn tick(&mut self, subtasks: &mut [Subtask]) {
        let orders = self.checkpointer.on_time(self.now(), self.clock.now());
        self.follow(orders, subtasks);
    }

    /// Handles a message from a subtask.
    pub(super) fn hear(&mut self, place: usize, message: Message, subtasks: &mut [Subtask]) {
        let (now, wall) = (self.now(), self.clock.now());
        let orders = self.checkpointer.on_message(place, message, now, wall);
        self.follow(orders, subtasks);
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
            let orders = self.checkpointer.on_written(written, now, wall);
            self.follow(orders, subtasks);
        }
        worked
    }

    /// Requests a checkpoint.
    pub(super) fn want(&mut self, subtasks: &mut [Subtask]) {
        let (_, orders) = self.checkpointer.on_wanted(self.now(), self.clock.now());
        self.follow(orders, subtasks);
    }

    /// Requests a savepoint.
    pub(super) fn save(
        &mut self,
        target: Arc<dyn Storage>,
        mode: StopMode,
        subtasks: &mut [Subtask],
    ) {
        let (now, wall) = (self.now(), self.clock.now());
        let (_, orders) = self.checkpointer.on_savepoint(target, mode, now, wall);
        self.follow(orders, subtasks);
    }

    fn follow(&mut self, orders: Vec<Order>, subtasks: &mut [Subtask]) {
        for order in orders {
            match order {
                Order::Notify(notice) => subtasks
                    .iter_mut()
                    .for_each(|subtask| subtask.notice(notice)),
                Order::Write(message) => {
                    // The writer lives as long as the channel to it.
                    let _ = self.messages.send(message);
                }
                Order::Finish => subtasks.iter_mut().for_each(Subtask::finish),
                Order::Fail(reason) => self.failure = Some(reason),
                Order::Answer(answer, Ok(())) => {
                    self.completed = self.completed.max(Some(answer.checkpoint))
                }
                Order::Answer(_, Err(_)) => {}
            }
        }
    }
}
