//! A worker: one pinned thread that gives its subtasks turns.

use std::sync::mpsc::Sender;
use std::time::Duration;

use crate::operator::{OperatorError, SubtaskInfo, earlier};
use crate::ring::{Idle, Parker};
use crate::time::{Clock, RoundClock};

use super::affinity;
use super::checkpoint_writer::Written;
use super::config::Config;
use super::head::Progress;
use super::mailbox::{Letter, Mailbox};
use super::master::Command;
use super::subtask::Subtask;
use super::subtask_snapshot::Message;

/// What a worker tells the job master.
#[derive(Debug)]
pub(crate) enum Event {
    /// A subtask failed.
    Failed {
        subtask: SubtaskInfo,
        error: OperatorError,
    },
    /// A subtask has something to say about checkpoints, or its end.
    Told {
        /// Its place in the execution graph.
        place: usize,
        message: Message,
    },
    /// The checkpoint writer has done something.
    Written(Written),
    /// A commit has failed; its sink says so when it has its next turn.
    CommitFailed,
    /// The host wants something.
    Command(Command),
    /// Nothing runs on this worker any more.
    Ended,
}

/// A thread's worth of subtasks.
pub(crate) struct Worker {
    pub(crate) index: u32,
    pub(crate) subtasks: Vec<Subtask>,
    pub(crate) mailbox: Mailbox,
    pub(crate) parker: Parker,
    pub(crate) events: Sender<Event>,
}

impl Worker {
    /// Runs until no subtask does.
    pub(crate) fn run(mut self, config: &Config) {
        if config.pin {
            affinity::pin(self.index);
        }
        let mut clock = RoundClock::new(config.clock.clone());
        let mut idle = Idle::new(config.wait, std::mem::take(&mut self.parker));
        for subtask in &mut self.subtasks {
            if let Err(error) = subtask.open() {
                report(&self.events, subtask, error);
            }
        }
        loop {
            while let Some(letter) = self.mailbox.take() {
                self.read(letter);
            }
            // Asked behind the letters: one that cancels the last subtask leaves nobody to be woken for.
            if !self.subtasks.iter().any(Subtask::is_running) {
                break;
            }
            if self.round(&mut clock) {
                idle.reset();
            } else {
                self.rest(&mut idle, &config.clock);
            }
        }
        // The job master has gone only if the process is going.
        let _ = self.events.send(Event::Ended);
    }

    fn read(&mut self, letter: Letter) {
        match letter {
            Letter::Cancel => self.subtasks.iter_mut().for_each(Subtask::cancel),
            Letter::Finish => self.subtasks.iter_mut().for_each(Subtask::finish),
            // A round follows whatever letter it was.
            Letter::Turn => {}
            Letter::Notice(notice) => {
                for subtask in &mut self.subtasks {
                    subtask.notice(notice);
                    tell(&self.events, subtask);
                }
            }
        }
    }

    /// One turn for every subtask; says whether any of them got on.
    fn round(&mut self, clock: &mut RoundClock) -> bool {
        let (mut at, now) = clock.read();
        let mut worked = false;
        for subtask in self
            .subtasks
            .iter_mut()
            .filter(|subtask| subtask.is_running())
        {
            match subtask.poll(now, &mut at) {
                Ok(progress) => {
                    worked |= progress == Progress::Worked || !subtask.is_running();
                    tell(&self.events, subtask);
                }
                Err(error) => {
                    report(&self.events, subtask, error);
                    worked = true;
                }
            }
        }
        worked
    }

    /// One step of waiting, until the next deadline at most.
    fn rest(&mut self, idle: &mut Idle, clock: &Clock) {
        if idle.wait_awake().is_some() {
            return;
        }
        let running = self.subtasks.iter().filter(|subtask| subtask.is_running());
        let deadline = running.fold(None, |soonest, subtask| {
            earlier(soonest, subtask.deadline())
        });
        let timeout = deadline.map(|at| {
            let left = at.0.saturating_sub(clock.now().0).max(0);
            Duration::from_nanos(left.unsigned_abs())
        });
        let (subtasks, mailbox) = (&mut self.subtasks, &self.mailbox);
        let ready = || mailbox.has_letter() || subtasks.iter_mut().any(Subtask::has_work);
        idle.sleep(ready, timeout);
    }
}

fn tell(events: &Sender<Event>, subtask: &mut Subtask) {
    for message in subtask.take_messages() {
        let place = subtask.place();
        let _ = events.send(Event::Told { place, message });
    }
}

fn report(events: &Sender<Event>, subtask: &Subtask, error: OperatorError) {
    let _ = events.send(Event::Failed {
        subtask: subtask.info().clone(),
        error,
    });
}
