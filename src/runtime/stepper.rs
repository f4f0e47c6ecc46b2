//! Stepping: the same subtasks, driven by hand on the caller's thread.
//!
//! Every step gives each subtask one turn, in an order determined by a seed. With a manual clock the run
//! is fully reproducible: the way to test or simulate a job, or to embed one without giving up a
//! thread.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::checkpoint::{CheckpointStore, Restored, Storage};
use crate::graph::ExecutionGraph;
use crate::metrics::{MetricGroup, MetricSample};
use crate::operator::Checkpointing;
use crate::record::MaxParallelism;
use crate::time::Clock;

use super::batch::BatchSize;
use super::checkpoint_request::NO_CHECKPOINTS;
use super::checkpoint_writer::checkpoint_writer;
use super::checkpointer::{Checkpointer, StopMode};
use super::config::Config;
use super::deployment::{Attempt, Blueprint};
use super::error::JobError;
use super::head::Progress;
use super::origin::Origin;
use super::stepped_checkpoints::SteppedCheckpoints;
use super::subtask::Subtask;

/// Why a checkpoint is refused that was requested too late.
const UNMET: &str = "the job ended before it was complete";

/// What a step achieved.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// Some subtask made progress: step again.
    Worked,
    /// Nothing can be done until input arrives or the clock advances.
    Idle,
    /// Every subtask has ended.
    Finished,
}

/// A job that runs only when stepped. Dropping it cancels the job.
///
/// Its checkpoints are taken and written in steps as well. It does not restart by itself after a failure:
/// the caller creates another stepper, restored from the last checkpoint.
pub struct Stepper {
    job: Arc<str>,
    subtasks: Vec<Subtask>,
    checkpoints: Option<SteppedCheckpoints>,
    restored: Option<u64>,
    /// Requests since the last step: `None` for a checkpoint, the target for a savepoint.
    wishes: Vec<Option<Arc<dyn Storage>>>,
    clock: Clock,
    random: u64,
    opened: bool,
    /// Whether a step has returned an error.
    failed: bool,
    /// Why requested checkpoints and savepoints have failed.
    refusals: VecDeque<String>,
    metrics: MetricGroup,
    /// Until the sinks have been told that the job has ended.
    blueprint: Option<Arc<dyn Blueprint>>,
}

impl std::fmt::Debug for Stepper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let checkpoints = self.checkpoints.as_ref();
        f.debug_struct("Stepper")
            .field("subtasks", &self.subtasks)
            .field(
                "checkpoints",
                &checkpoints.map(|checkpoints| &checkpoints.checkpointer),
            )
            .finish_non_exhaustive()
    }
}

impl Stepper {
    /// Deploys a job.
    pub(crate) fn new(
        job: Arc<str>,
        config: Config,
        graph: &ExecutionGraph,
        max_parallelism: MaxParallelism,
        blueprint: Arc<dyn Blueprint>,
    ) -> Result<Self, JobError> {
        let origin = Origin::find(&config, &job, graph, max_parallelism)?;
        let (metrics, clock) = (MetricGroup::new(), config.clock.clone());
        let next = origin.next_checkpoint();
        let attempt = Attempt {
            number: 0,
            max_parallelism: origin.max_parallelism,
            checkpointing: Checkpointing {
                enabled: origin.store.is_some(),
                first: next,
                directory: origin.store.as_ref().map(CheckpointStore::identity),
                restored: origin.restored.clone(),
                allow_non_restored: config.allow_non_restored,
                ..Checkpointing::default()
            },
        };
        let parts = blueprint.deploy(graph, &config, &job, &metrics, attempt)?;
        let mut subtasks: Vec<Subtask> = parts.into_iter().flat_map(|part| part.subtasks).collect();
        let settings = config.checkpoints.map(|checkpoints| checkpoints.settings);
        let restored = origin.restored.as_ref().map(Restored::checkpoint);
        let checkpoints = origin.store.zip(settings).map(|(store, settings)| {
            let now = Duration::from_nanos(clock.monotonic_nanos());
            let (writer, messages, pieces) = checkpoint_writer(store, next, origin.restored);
            SteppedCheckpoints {
                checkpointer: Checkpointer::new(settings, graph, origin.max_parallelism, next, now),
                writer,
                messages,
                pieces,
                clock: clock.clone(),
                completed: None,
                failure: None,
                wanted: Vec::new(),
                refusals: VecDeque::new(),
            }
        });
        if let Some(checkpoints) = &checkpoints {
            for subtask in &mut subtasks {
                subtask.take_snapshots(Box::new(checkpoints.pieces.clone()));
            }
        }
        Ok(Stepper {
            job,
            subtasks,
            checkpoints,
            restored,
            wishes: Vec::new(),
            clock,
            random: 0,
            opened: false,
            failed: false,
            refusals: VecDeque::new(),
            metrics,
            blueprint: Some(blueprint),
        })
    }

    /// Gives turns in an order determined by `seed`; 0, the default, is the order of the plan.
    #[must_use]
    pub fn seeded(mut self, seed: u64) -> Self {
        self.random = seed;
        self
    }

    /// Processes at most `records` records in one turn of a subtask.
    #[must_use]
    pub fn batch(mut self, records: u32) -> Self {
        let batch = BatchSize::Fixed(records);
        self.subtasks
            .iter_mut()
            .for_each(|subtask| subtask.set_batch(batch));
        self
    }

    /// Every metric of every subtask.
    #[must_use]
    pub fn metrics(&self) -> Vec<MetricSample> {
        self.metrics.samples()
    }

    /// Requests a checkpoint; later steps take it, or cannot ([`take_refusal`](Self::take_refusal)).
    pub fn checkpoint(&mut self) {
        self.wishes.push(None);
    }

    /// Requests a savepoint in `target`; later steps take it, or cannot ([`take_refusal`](Self::take_refusal)).
    pub fn savepoint(&mut self, target: Arc<dyn Storage>) {
        self.wishes.push(Some(target));
    }

    /// The checkpoint that the job was restored from.
    #[must_use]
    pub fn restored_checkpoint(&self) -> Option<u64> {
        self.restored
    }

    /// The last complete checkpoint among those that this stepper took.
    #[must_use]
    pub fn completed_checkpoint(&self) -> Option<u64> {
        self.checkpoints
            .as_ref()
            .and_then(|checkpoints| checkpoints.completed)
    }

    /// Why the first of the requested checkpoints and savepoints that have failed, and were not returned by an earlier
    /// call, has failed.
    pub fn take_refusal(&mut self) -> Option<JobError> {
        let reason = self.refusals.pop_front()?;
        Some(JobError::checkpoint(&self.job, reason))
    }

    /// Gives one turn to every subtask that still runs, and one to the checkpoint writer.
    ///
    /// # Errors
    /// [`JobError::Failed`] if one fails; all others are closed. [`JobError::Checkpoint`] if too many checkpoints have
    /// failed, and whenever it is called after the job has failed.
    pub fn step(&mut self) -> Result<Step, JobError> {
        if self.failed {
            let reason = "it has failed before, and cannot go on";
            return Err(JobError::checkpoint(&self.job, reason));
        }
        let job = Arc::clone(&self.job);
        let stepped = JobError::or_panicked(&job, || self.take_turns());
        match stepped {
            Ok(Step::Worked | Step::Idle) => return stepped,
            Ok(Step::Finished) => self.end()?,
            Err(_) => {
                self.failed = true;
                self.subtasks.iter_mut().for_each(Subtask::cancel);
                // The first error is the one to report.
                drop(self.end());
            }
        }
        self.refuse_wishes(UNMET);
        if let Some(checkpoints) = &mut self.checkpoints {
            let unmet = checkpoints.wanted.drain(..).map(|_| UNMET.to_owned());
            self.refusals.extend(unmet);
        }
        stepped
    }

    /// Tells the sinks that the job has ended for good, once.
    fn end(&mut self) -> Result<(), JobError> {
        let Some(blueprint) = self.blueprint.take() else {
            return Ok(());
        };
        JobError::or_panicked(&self.job, || {
            blueprint.job_ended();
            Ok(())
        })
    }

    /// As [`step`](Self::step), but tells nobody of the end.
    fn take_turns(&mut self) -> Result<Step, JobError> {
        if !std::mem::replace(&mut self.opened, true) {
            for place in 0..self.subtasks.len() {
                let opened = self.subtasks[place].open();
                opened.map_err(|error| self.failed(place, error))?;
            }
        }
        let now = self.clock.now();
        let mut worked = false;
        self.start_checkpoints();
        for place in self.order() {
            let subtask = &mut self.subtasks[place];
            if !subtask.is_running() {
                continue;
            }
            let mut at = self.clock.monotonic_nanos();
            let turn = subtask.poll(now, &mut at);
            match turn.and_then(|progress| subtask.close_ended().map(|_| progress)) {
                Ok(progress) => worked |= progress == Progress::Worked,
                Err(error) => return Err(self.failed(place, error)),
            }
            for message in self.subtasks[place].take_messages() {
                worked = true;
                if let Some(checkpoints) = &mut self.checkpoints {
                    let place = self.subtasks[place].place();
                    checkpoints.hear(place, message, &mut self.subtasks);
                }
            }
        }
        worked |= self.write()?;
        if !self.subtasks.iter().any(Subtask::is_running) {
            let checkpoints = self.checkpoints.as_ref();
            let is_exporting = checkpoints.is_some_and(|own| own.checkpointer.is_exporting());
            return Ok(if is_exporting {
                Step::Worked
            } else {
                Step::Finished
            });
        }
        // What one subtask has released, or did not finish in its turn, is there for the next step.
        let has_work = worked || self.subtasks.iter_mut().any(Subtask::has_work);
        Ok(if has_work { Step::Worked } else { Step::Idle })
    }

    /// Triggers the checkpoints that are due, and those that were requested.
    fn start_checkpoints(&mut self) {
        let Some(checkpoints) = &mut self.checkpoints else {
            return self.refuse_wishes(NO_CHECKPOINTS);
        };
        checkpoints.tick(&mut self.subtasks);
        for wish in self.wishes.drain(..) {
            match wish {
                None => checkpoints.want(&mut self.subtasks),
                Some(target) => checkpoints.save(target, StopMode::GoOn, &mut self.subtasks),
            }
        }
    }

    fn refuse_wishes(&mut self, reason: &str) {
        let refused = self.wishes.drain(..).map(|_| reason.to_owned());
        self.refusals.extend(refused);
    }

    /// Lets the checkpoint writer process messages: all of them, or as many as the seed determines.
    fn write(&mut self) -> Result<bool, JobError> {
        let steps = match self.next_random() {
            0 => u64::MAX,
            random => random % 4,
        };
        let Some(checkpoints) = &mut self.checkpoints else {
            return Ok(false);
        };
        let worked = checkpoints.write(steps, &mut self.subtasks) || steps == 0;
        self.refusals.append(&mut checkpoints.refusals);
        match checkpoints.failure.take() {
            None => Ok(worked),
            Some(reason) => Err(JobError::checkpoint(&self.job, reason)),
        }
    }

    /// Steps until there is nothing more to do.
    ///
    /// # Errors
    /// As [`Stepper::step`].
    pub fn run(&mut self) -> Result<Step, JobError> {
        loop {
            match self.step()? {
                Step::Worked => {}
                ended => return Ok(ended),
            }
        }
    }

    fn failed(&self, place: usize, cause: crate::operator::OperatorError) -> JobError {
        let info = self.subtasks[place].info().clone();
        JobError::Failed {
            job: info.job,
            vertex: info.vertex,
            subtask: info.index,
            cause,
            suppressed: Vec::new(),
        }
    }

    /// The next pseudorandom number (xorshift); 0 without a seed.
    fn next_random(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }

    /// The indices of all subtasks, shuffled by the seed (Fisher–Yates).
    fn order(&mut self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.subtasks.len()).collect();
        if self.random == 0 {
            return order;
        }
        for last in (1..order.len()).rev() {
            let place = self.next_random() % (last as u64 + 1);
            order.swap(last, place as usize);
        }
        order
    }
}

impl Drop for Stepper {
    fn drop(&mut self) {
        self.subtasks.iter_mut().for_each(Subtask::cancel);
        drop(self.end());
    }
}
