//! A worker: one pinned thread that runs its subtasks in turn.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::Sender;
use std::time::Duration;

use crate::operator::{OperatorError, SubtaskInfo, earlier};
use crate::ring::{Idle, Parker};
use crate::time::{Clock, RoundClock};

use super::affinity;
use super::checkpoint_writer::Written;
use super::config::Config;
use super::head::Progress;
use super::job_master::Command;
use super::mailbox::{Letter, Mailbox};
use super::subtask::Subtask;
use super::subtask_snapshot::Message;

/// An event for the job master.
#[derive(Debug)]
pub(crate) enum Event {
    /// A subtask failed.
    Failed {
        subtask: SubtaskInfo,
        error: OperatorError,
    },
    /// A subtask has a message about checkpoints or its end.
    Reported {
        /// Its index in the execution graph.
        place: usize,
        message: Message,
    },
    /// The checkpoint writer reports.
    Written(Written),
    /// A commit has failed; its sink reports it in its next turn.
    CommitFailed,
    /// A request of the host.
    Command(Command),
    /// All subtasks of a worker have ended.
    Ended,
}

/// The subtasks of one thread.
pub(crate) struct Worker {
    pub(crate) index: u32,
    pub(crate) subtasks: Vec<Subtask>,
    pub(crate) mailbox: Mailbox,
    pub(crate) parker: Parker,
    pub(crate) events: Sender<Event>,
    /// For how many rounds in a row there has been something to do.
    pub(crate) busy_rounds: u32,
}

/// After this many consecutive busy rounds, subtasks that have ended are closed anyway.
const BUSY_ROUNDS_MAX: u32 = 1 << 12;

impl Worker {
    /// Runs until no subtask is running, and tells the job master.
    pub(crate) fn run(self, config: &Config) {
        let events = self.events.clone();
        let subtask = self.subtasks.first().map(|subtask| subtask.info().clone());
        let worked = catch_unwind(AssertUnwindSafe(|| self.work(config)));
        // Subtasks guard what they call themselves. This is for the rest, such as the host's clock.
        if let (Err(payload), Some(subtask)) = (worked, subtask) {
            let error = OperatorError::from_panic(payload);
            let _ = events.send(Event::Failed { subtask, error });
        }
        // The job master is gone only if the process is exiting.
        let _ = events.send(Event::Ended);
    }

    fn work(mut self, config: &Config) {
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
            // Checked after the letters: if one cancelled the last subtask, nobody would wake this worker again.
            if !self.subtasks.iter().any(Subtask::is_running) {
                break;
            }
            if self.round(&mut clock) {
                idle.reset();
            } else {
                self.rest(&mut idle, &config.clock);
            }
        }
    }

    fn read(&mut self, letter: Letter) {
        match letter {
            Letter::Cancel => self.subtasks.iter_mut().for_each(Subtask::cancel),
            Letter::Finish => self.subtasks.iter_mut().for_each(Subtask::finish),
            // A round follows every letter anyway.
            Letter::Turn => {}
            Letter::Notice(notice) => {
                for subtask in &mut self.subtasks {
                    match subtask.notice(notice) {
                        Ok(()) => tell(&self.events, subtask),
                        Err(error) => report(&self.events, subtask, error),
                    }
                }
            }
        }
    }

    /// Gives every subtask one turn; returns whether any of them made progress.
    fn round(&mut self, clock: &mut RoundClock) -> bool {
        let (mut at, now) = clock.read();
        let mut worked = false;
        for subtask in self
            .subtasks
            .iter_mut()
            .filter(|subtask| subtask.takes_turns())
        {
            match subtask.poll(now, &mut at) {
                Ok(progress) => {
                    worked |= progress == Progress::Worked || !subtask.takes_turns();
                    tell(&self.events, subtask);
                }
                Err(error) => {
                    report(&self.events, subtask, error);
                    worked = true;
                }
            }
        }
        self.busy_rounds += 1;
        if worked && self.busy_rounds < BUSY_ROUNDS_MAX {
            return true;
        }
        self.busy_rounds = 0;
        self.close_ended() || worked
    }

    /// Closes the subtasks that have ended; returns whether there were any.
    fn close_ended(&mut self) -> bool {
        let mut worked = false;
        for subtask in &mut self.subtasks {
            match subtask.close_ended() {
                Ok(closed) => worked |= closed,
                Err(error) => {
                    report(&self.events, subtask, error);
                    worked = true;
                }
            }
        }
        worked
    }

    /// One step of waiting, at most until the next deadline.
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
        let _ = events.send(Event::Reported { place, message });
    }
}

fn report(events: &Sender<Event>, subtask: &Subtask, error: OperatorError) {
    let _ = events.send(Event::Failed {
        subtask: subtask.info().clone(),
        error,
    });
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::sync::mpsc::channel;

    use super::*;
    use crate::checkpoint::SnapshotOutput;
    use crate::operator::recorder::open_context;
    use crate::operator::{BoxError, OpenContext};
    use crate::runtime::BatchSize;
    use crate::runtime::head::{Head, Notice, Turn};
    use crate::runtime::mailbox::mailbox;
    use crate::time::Timestamp;

    /// Has work for `turns` turns; counts how many of its kind are closed.
    struct Brief {
        turns: u32,
        closed: Arc<AtomicU32>,
    }

    impl Head for Brief {
        fn open(&mut self, _cx: &OpenContext) -> Result<(), OperatorError> {
            Ok(())
        }

        fn poll(&mut self, _turn: &mut Turn) -> Result<Progress, OperatorError> {
            self.turns -= 1;
            Ok(Progress::Worked)
        }

        fn has_work(&mut self) -> bool {
            self.turns > 0
        }

        fn deadline(&self) -> Option<Timestamp> {
            None
        }

        fn is_done(&self) -> bool {
            self.turns == 0
        }

        fn is_settled(&self) -> bool {
            self.is_done()
        }

        fn notice(&mut self, _notice: Notice) -> Result<(), BoxError> {
            Ok(())
        }

        fn barrier(&self) -> u64 {
            0
        }

        fn barrier_queued(&self) -> u64 {
            0
        }

        fn snapshot(&mut self, _out: &mut SnapshotOutput<'_>) -> bool {
            true
        }

        fn close(&mut self) -> Result<(), OperatorError> {
            self.closed.fetch_add(1, Ordering::Relaxed);
            Ok(())
        }
    }

    /// A worker whose subtasks have work for the given numbers of turns, and the count of those closed.
    fn worker(turns: &[u32]) -> (Worker, Arc<AtomicU32>) {
        let closed = Arc::new(AtomicU32::new(0));
        let subtask = |(place, turns): (usize, &u32)| {
            let (closed, turns) = (Arc::clone(&closed), *turns);
            let heads: Vec<Box<dyn Head>> = vec![Box::new(Brief { turns, closed })];
            let mut subtask = Subtask::new(place, open_context(), heads, BatchSize::Fixed(1));
            subtask.open().expect("nothing fails");
            subtask
        };
        let parker = Parker::new();
        let (_post, mailbox) = mailbox(parker.waker());
        let worker = Worker {
            index: 0,
            subtasks: turns.iter().enumerate().map(subtask).collect(),
            mailbox,
            parker,
            events: channel().0,
            busy_rounds: 0,
        };
        (worker, closed)
    }

    #[test]
    fn a_subtask_at_its_end_is_closed_when_the_others_have_nothing_to_do() {
        let (mut worker, closed) = worker(&[1, 3]);
        let mut clock = RoundClock::new(Clock::System);
        for round in 1..=3 {
            assert!(worker.round(&mut clock));
            assert_eq!(closed.load(Ordering::Relaxed), 0, "in round {round}");
        }
        assert!(worker.round(&mut clock), "closing them is something to do");
        assert_eq!(closed.load(Ordering::Relaxed), 2);
        assert!(!worker.round(&mut clock));
    }

    #[test]
    fn a_subtask_at_its_end_is_closed_though_another_always_has_something_to_do() {
        let (mut worker, closed) = worker(&[1, u32::MAX]);
        let mut clock = RoundClock::new(Clock::System);
        for _ in 0..BUSY_ROUNDS_MAX {
            assert!(worker.round(&mut clock));
        }
        assert_eq!(closed.load(Ordering::Relaxed), 1);
    }
}
