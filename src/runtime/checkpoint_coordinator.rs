//! `CheckpointCoordinator`: when checkpoints are triggered, completed, aborted, and when they fail the job.
//!
//! Flink's rules (`CheckpointCoordinator`, `CheckpointFailureManager`), as a value without threads, files and
//! clocks: what happened goes in, with the time, and [`Action`]s come out.
//!
//! - A periodic checkpoint waits for the interval, for the pause after the one before, and for its turn where
//!   too many are under way. Those that somebody asked for wait for their turn only, savepoints first.
//! - A checkpoint is *collected* until every subtask has handed over its part, then *written*, then complete.
//! - One that is declined, expires or cannot be written is aborted. (One that the disk had in the end although it had
//!   expired is good to go on from, and so are the transactions in it.) Failures count until a checkpoint succeeds,
//!   each checkpoint once; one more than is tolerated fails the job.
//!
//! One rule is not Flink's: deltas stand on the checkpoint triggered before, so with that one every later delta
//! is aborted too, and the next checkpoint is whole again. The first of an attempt is whole as well.
//!
//! A savepoint is an ordinary checkpoint that is copied, folded, to a place of its own when it is complete.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::checkpoint::StateReport;
use crate::operator::Barrier;
use crate::seeded_bugs::seeded;

use super::checkpoints::CheckpointSettings;

/// Who wants a checkpoint. In the order in which they have their turn.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Purpose {
    /// A savepoint.
    Savepoint,
    /// The end of the job: what the sinks have not committed yet.
    Final,
    /// Somebody asked for it.
    Asked,
    /// It was time.
    Periodic,
}

/// One subtask's part of a checkpoint.
#[derive(Debug)]
pub(crate) struct Part {
    /// The subtask's place in the execution graph.
    pub(crate) place: usize,
    pub(crate) states: Vec<StateReport>,
}

/// What is to be done.
#[derive(Debug)]
pub(crate) enum Action {
    /// Send the barrier through the job.
    Trigger(Barrier, Purpose),
    /// Tell every subtask that the barrier overtakes what is on its way: it has been in line for too long.
    Overtake(Barrier),
    /// Write the checkpoint, all parts of which are there. Deltas stand on `parent`.
    Write {
        checkpoint: u64,
        parent: Option<u64>,
        purpose: Purpose,
        parts: Vec<Part>,
    },
    /// Tell every subtask that it is complete.
    Complete { checkpoint: u64, purpose: Purpose },
    /// Tell every subtask that it will not be, and forget what was written of it.
    Abort {
        checkpoint: u64,
        purpose: Purpose,
        reason: String,
    },
    /// Fail the job: too many checkpoints have failed.
    Fail(String),
}

#[derive(PartialEq, Eq, Debug)]
enum Stage {
    Collecting,
    Writing,
}

#[derive(Debug)]
struct Pending {
    checkpoint: u64,
    barrier: Barrier,
    /// When its barrier begins to overtake.
    overtakes_at: Option<Duration>,
    purpose: Purpose,
    /// What its deltas stand on; nothing if it is whole.
    parent: Option<u64>,
    triggered_at: Duration,
    missing: BTreeSet<usize>,
    parts: Vec<Part>,
    stage: Stage,
}

/// Triggers checkpoints and follows them to their end. Times are those of one monotonic clock.
#[derive(Debug)]
pub(crate) struct CheckpointCoordinator {
    settings: CheckpointSettings,
    subtasks: usize,
    next: u64,
    /// In the order of their numbers.
    pending: Vec<Pending>,
    /// Who waits for a turn, since when.
    waiting: Vec<Purpose>,
    /// When the next periodic checkpoint is due.
    due: Option<Duration>,
    completed_at: Option<Duration>,
    /// The last one that was triggered, if deltas may stand on it.
    base: Option<u64>,
    last_completed: u64,
    failures: u32,
}

impl CheckpointCoordinator {
    /// A coordinator of so many subtasks whose first checkpoint has the number `next`, started at `now`.
    pub(crate) fn new(
        settings: CheckpointSettings,
        subtasks: usize,
        next: u64,
        now: Duration,
    ) -> Self {
        CheckpointCoordinator {
            due: settings
                .interval
                .map(|interval| now.saturating_add(interval)),
            settings,
            subtasks,
            next,
            pending: Vec::new(),
            waiting: Vec::new(),
            completed_at: None,
            base: None,
            last_completed: 0,
            failures: 0,
        }
    }

    /// The number that the next checkpoint will have.
    pub(crate) fn next_checkpoint(&self) -> u64 {
        self.next
    }

    /// No more periodic checkpoints: the job is ending.
    pub(crate) fn stop_periodic(&mut self) {
        self.due = None;
        self.waiting.retain(|purpose| *purpose != Purpose::Periodic);
    }

    /// Periodic checkpoints again: the job goes on at `now` after all.
    pub(crate) fn resume_periodic(&mut self, now: Duration) {
        self.due = self
            .settings
            .interval
            .map(|interval| now.saturating_add(interval));
    }

    /// When [`on_time`](Self::on_time) wants to be called next.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        let timeout = self.settings.timeout;
        let expiry = self.pending.iter().map(|p| {
            let expires_at = p.triggered_at.saturating_add(timeout);
            let overtakes_at = p.overtakes_at.filter(|_| p.stage == Stage::Collecting);
            overtakes_at.map_or(expires_at, |at| at.min(expires_at))
        });
        expiry.chain(self.due).min()
    }

    /// Time has come to `now`.
    pub(crate) fn on_time(&mut self, now: Duration) -> Vec<Action> {
        let mut actions = Vec::new();
        let expired = |p: &&Pending| now >= p.triggered_at.saturating_add(self.settings.timeout);
        let expired = self.pending.iter().filter(expired);
        let expired: Vec<u64> = expired.map(|p| p.checkpoint).collect();
        for checkpoint in expired {
            let after = self.settings.timeout;
            self.abort(
                checkpoint,
                &format!("it expired after {after:?}"),
                &mut actions,
            );
        }
        for pending in &mut self.pending {
            let is_due = pending.overtakes_at.is_some_and(|at| now >= at);
            if is_due && pending.stage == Stage::Collecting {
                pending.overtakes_at = None;
                pending.barrier.options |= Barrier::UNALIGNED;
                actions.push(Action::Overtake(pending.barrier));
            }
        }
        if let (Some(due), Some(interval)) = (self.due, self.settings.interval)
            && now >= due
        {
            // A grid, as long as the job keeps up with it.
            self.due = Some(
                due.saturating_add(interval)
                    .max(now.saturating_add(interval / 2)),
            );
            if !self.waiting.contains(&Purpose::Periodic) {
                self.waiting.push(Purpose::Periodic);
            }
        }
        self.give_turns(now, &mut actions);
        actions
    }

    /// Somebody wants a checkpoint. One that waits for its turn serves all who asked for one before it begins.
    pub(crate) fn on_request(&mut self, purpose: Purpose, now: Duration) -> Vec<Action> {
        let mut actions = Vec::new();
        if purpose != Purpose::Asked || !self.waiting.contains(&purpose) {
            self.waiting.push(purpose);
        }
        self.give_turns(now, &mut actions);
        actions
    }

    fn give_turns(&mut self, now: Duration, actions: &mut Vec<Action>) {
        self.waiting.sort();
        while self.pending.len() < self.settings.concurrent() && !self.waiting.is_empty() {
            let purpose = self.waiting.remove(0);
            if purpose == Purpose::Periodic
                && let Some(pause) = self
                    .completed_at
                    .map(|at| at.saturating_add(self.settings.min_pause))
                && now < pause
            {
                // Asked here and not when it was due: the one before may have been under way then.
                self.due = Some(pause);
                continue;
            }
            actions.push(Action::Trigger(self.trigger(purpose, now), purpose));
        }
    }

    fn trigger(&mut self, purpose: Purpose, now: Duration) -> Barrier {
        let checkpoint = self.next;
        self.next += 1;
        let parent = self.base.replace(checkpoint);
        let may_overtake =
            !self.settings.at_least_once && matches!(purpose, Purpose::Periodic | Purpose::Asked);
        let after = self.settings.unaligned_after.filter(|_| may_overtake);
        let mut options = 0;
        if after == Some(Duration::ZERO) {
            options |= Barrier::UNALIGNED;
        }
        if parent.is_none() {
            options |= Barrier::WHOLE;
        }
        if self.settings.at_least_once {
            options |= Barrier::AT_LEAST_ONCE;
        }
        let barrier = Barrier {
            checkpoint,
            options,
        };
        self.pending.push(Pending {
            checkpoint,
            barrier,
            overtakes_at: after
                .filter(|_| !barrier.overtakes())
                .map(|after| now.saturating_add(after)),
            purpose,
            parent,
            triggered_at: now,
            missing: (0..self.subtasks).collect(),
            parts: Vec::new(),
            stage: Stage::Collecting,
        });
        barrier
    }

    fn collecting(&mut self, checkpoint: u64) -> Option<&mut Pending> {
        let mut pending = self.pending.iter_mut();
        pending.find(|p| p.checkpoint == checkpoint && p.stage == Stage::Collecting)
    }

    /// A subtask has handed over its part. Parts of checkpoints that were aborted are of no use.
    pub(crate) fn on_part(&mut self, checkpoint: u64, part: Part) -> Vec<Action> {
        let Some(pending) = self.collecting(checkpoint) else {
            return Vec::new();
        };
        if pending.missing.remove(&part.place) {
            pending.parts.push(part);
        }
        let allowed = usize::from(seeded("completed-without-a-part"));
        if pending.missing.len() > allowed {
            return Vec::new();
        }
        pending.stage = Stage::Writing;
        vec![Action::Write {
            checkpoint,
            parent: pending.parent,
            purpose: pending.purpose,
            parts: std::mem::take(&mut pending.parts),
        }]
    }

    /// A subtask cannot take part.
    pub(crate) fn on_decline(
        &mut self,
        checkpoint: u64,
        reason: &str,
        now: Duration,
    ) -> Vec<Action> {
        let mut actions = Vec::new();
        if self.collecting(checkpoint).is_some() {
            self.abort(checkpoint, reason, &mut actions);
            self.give_turns(now, &mut actions);
        }
        actions
    }

    /// A checkpoint was written, or could not be.
    pub(crate) fn on_written(
        &mut self,
        checkpoint: u64,
        written: Result<(), String>,
        now: Duration,
    ) -> Vec<Action> {
        let mut actions = Vec::new();
        let place = self.pending.iter().position(|p| p.checkpoint == checkpoint);
        match (place, written) {
            (None, _) => {}
            (Some(_), Err(reason)) => self.abort(checkpoint, &reason, &mut actions),
            (Some(place), Ok(())) => {
                let purpose = self.pending.remove(place).purpose;
                (self.failures, self.last_completed) = (0, checkpoint);
                self.completed_at = Some(now);
                let subsumed = self
                    .pending
                    .iter()
                    .filter(|p| p.checkpoint < checkpoint && p.purpose != Purpose::Savepoint);
                let subsumed: Vec<_> = subsumed.map(|p| (p.checkpoint, p.purpose)).collect();
                self.pending
                    .retain(|p| !subsumed.iter().any(|(id, _)| *id == p.checkpoint));
                let reason = || format!("checkpoint {checkpoint} is complete");
                let abort = |(checkpoint, purpose)| Action::Abort {
                    checkpoint,
                    purpose,
                    reason: reason(),
                };
                actions.extend(subsumed.into_iter().map(abort));
                actions.push(Action::Complete {
                    checkpoint,
                    purpose,
                });
            }
        }
        self.give_turns(now, &mut actions);
        actions
    }

    /// Aborts a checkpoint, and every later one whose deltas stand on it; counts the failure.
    fn abort(&mut self, checkpoint: u64, reason: &str, actions: &mut Vec<Action>) {
        let mut fallen = Some(checkpoint);
        let mut because = reason.to_owned();
        while let Some(checkpoint) = fallen {
            let Some(place) = self.pending.iter().position(|p| p.checkpoint == checkpoint) else {
                break;
            };
            let pending = self.pending.remove(place);
            if self.base.is_some_and(|base| base >= checkpoint) && !seeded("changes-of-an-aborted")
            {
                self.base = None;
            }
            actions.push(Action::Abort {
                checkpoint,
                purpose: pending.purpose,
                reason: std::mem::replace(
                    &mut because,
                    format!("checkpoint {checkpoint} was aborted"),
                ),
            });
            fallen = self
                .pending
                .iter()
                .find(|p| p.parent == Some(checkpoint))
                .map(|p| p.checkpoint);
        }
        if checkpoint <= self.last_completed {
            return;
        }
        self.failures += 1;
        if self.failures > self.settings.tolerable_failures {
            actions.push(Action::Fail(format!(
                "checkpoint {checkpoint} failed: {reason}"
            )));
        }
    }
}

#[cfg(test)]
#[path = "checkpoint_coordinator_test.rs"]
mod tests;
