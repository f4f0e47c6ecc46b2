//! `CheckpointCoordinator`: when checkpoints are triggered, completed, aborted, and when they fail the job.
//!
//! Flink's rules (`CheckpointCoordinator`, `CheckpointFailureManager`), as a value without threads, files or clocks:
//! events go in, with their times, and [`Action`]s come out.
//!
//! - A periodic checkpoint waits for the interval, for the pause after the previous one, and, if too many are in
//!   progress, for its turn. Requested checkpoints wait only for their turn, savepoints first.
//! - A checkpoint is *collected* until every subtask has handed over its part, then *written*, then complete.
//! - One that is declined, expires or cannot be written is aborted. (If it expired but reached the disk after all, it
//!   may be restored from, and so may the transactions in it.) Failures count until a checkpoint succeeds, each
//!   checkpoint once; exceeding the tolerable number fails the job.
//!
//! One rule is not Flink's: deltas are based on the checkpoint triggered before. So aborting a checkpoint aborts every
//! later one that builds on it, and the next checkpoint is full again. The first of an attempt is full as well.
//!
//! A savepoint is an ordinary checkpoint that, once complete, is copied, with its deltas folded in, to a place of its
//! own.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::checkpoint::StateReport;
use crate::operator::Barrier;
use crate::seeded_bugs::seeded;

use super::checkpoints::CheckpointSettings;

/// Why a checkpoint is taken. Ordered by priority.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Purpose {
    /// A savepoint.
    Savepoint,
    /// The end of the job: commits what the sinks have not committed yet.
    Final,
    /// Somebody requested it.
    Asked,
    /// It was due.
    Periodic,
}

/// One subtask's part of a checkpoint.
#[derive(Debug)]
pub(crate) struct Part {
    /// The subtask's index in the execution graph.
    pub(crate) place: usize,
    pub(crate) states: Vec<StateReport>,
}

/// What is to be done.
#[derive(Debug)]
pub(crate) enum Action {
    /// Send the barrier through the job.
    Trigger(Barrier, Purpose),
    /// Tell every subtask that the barrier now overtakes in-flight data: alignment has taken too long.
    Overtake(Barrier),
    /// Write the checkpoint; all its parts are there. Its deltas are based on `parent`.
    Write {
        checkpoint: u64,
        parent: Option<u64>,
        purpose: Purpose,
        parts: Vec<Part>,
    },
    /// Notify every subtask that it is complete.
    Complete { checkpoint: u64, purpose: Purpose },
    /// Notify every subtask that it is aborted, and discard what was written of it.
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
    /// When its barrier starts to overtake.
    overtakes_at: Option<Duration>,
    purpose: Purpose,
    /// What its deltas are based on; `None` if it is full.
    parent: Option<u64>,
    triggered_at: Duration,
    missing: BTreeSet<usize>,
    parts: Vec<Part>,
    stage: Stage,
}

/// Triggers checkpoints and tracks them until they complete or abort. All times are of one monotonic clock.
#[derive(Debug)]
pub(crate) struct CheckpointCoordinator {
    settings: CheckpointSettings,
    subtasks: usize,
    next: u64,
    /// In checkpoint order.
    pending: Vec<Pending>,
    /// Requests that wait for their turn.
    waiting: Vec<Purpose>,
    /// When the next periodic checkpoint is due.
    due: Option<Duration>,
    completed_at: Option<Duration>,
    /// The last checkpoint triggered, if deltas may be based on it.
    base: Option<u64>,
    last_completed: u64,
    failures: u32,
}

impl CheckpointCoordinator {
    /// Creates a coordinator of `subtasks` subtasks, started at `now`, whose first checkpoint has the number `next`.
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

    /// Stops periodic checkpoints: the job is ending.
    pub(crate) fn stop_periodic(&mut self) {
        self.due = None;
        self.waiting.retain(|purpose| *purpose != Purpose::Periodic);
    }

    /// Resumes periodic checkpoints: the job continues at `now` after all.
    pub(crate) fn resume_periodic(&mut self, now: Duration) {
        self.due = self
            .settings
            .interval
            .map(|interval| now.saturating_add(interval));
    }

    /// When [`on_time`](Self::on_time) must be called next.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        let timeout = self.settings.timeout;
        let expiry = self.pending.iter().map(|p| {
            let expires_at = p.triggered_at.saturating_add(timeout);
            let overtakes_at = p.overtakes_at.filter(|_| p.stage == Stage::Collecting);
            overtakes_at.map_or(expires_at, |at| at.min(expires_at))
        });
        expiry.chain(self.due).min()
    }

    /// Advances time to `now`.
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
            // Stays on a fixed grid as long as the job keeps up with it.
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

    /// Handles a request. A requested checkpoint that waits for its turn serves all requests made before it begins.
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
                // Checked here, not when it was due: the previous one may have been in progress then.
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

    /// Handles a subtask's part. Parts of aborted checkpoints are ignored.
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

    /// Handles a subtask that cannot take part.
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

    /// Handles the outcome of writing a checkpoint.
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

    /// Aborts a checkpoint, and every later one whose deltas are based on it; counts them as one failure. One that has
    /// ended stays as it is: it may have fallen with another.
    fn abort(&mut self, checkpoint: u64, reason: &str, actions: &mut Vec<Action>) {
        if self.pending.iter().all(|p| p.checkpoint != checkpoint) {
            return;
        }
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
