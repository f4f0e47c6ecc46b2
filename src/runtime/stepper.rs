//! Stepping: the same subtasks driven by hand, on the caller's thread.
//!
//! Every step gives each subtask one turn, in an order that a seed decides. With a manual clock the run
//! is the same every time: the way to test a job, to simulate one, and to embed one without giving up a
//! thread.

use crate::metrics::{MetricGroup, MetricSample};
use crate::time::Clock;

use super::batch::BatchSize;
use super::deployment::WorkerParts;
use super::error::JobError;
use super::head::Progress;
use super::subtask::Subtask;

/// What a step achieved.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// Some subtask got on: step again.
    Worked,
    /// Nothing can be done before input arrives or the clock moves on.
    Idle,
    /// Every subtask has ended.
    Finished,
}

/// A job that runs when it is told to. Dropping it cancels the job.
pub struct Stepper {
    subtasks: Vec<Subtask>,
    clock: Clock,
    random: u64,
    opened: bool,
    metrics: MetricGroup,
}

impl std::fmt::Debug for Stepper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stepper")
            .field("subtasks", &self.subtasks.len())
            .finish_non_exhaustive()
    }
}

impl Stepper {
    pub(crate) fn new(parts: Vec<WorkerParts>, clock: Clock, metrics: MetricGroup) -> Self {
        let subtasks = parts.into_iter().flat_map(|part| part.subtasks).collect();
        Stepper {
            subtasks,
            clock,
            random: 0,
            opened: false,
            metrics,
        }
    }

    /// Gives turns in an order that `seed` decides; 0, the default, is the order of the plan.
    #[must_use]
    pub fn seeded(mut self, seed: u64) -> Self {
        self.random = seed;
        self
    }

    /// Takes at most `records` records in one turn of a subtask.
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

    /// One turn for every subtask that still runs.
    ///
    /// # Errors
    /// [`JobError::Failed`] if one fails; all others are closed.
    pub fn step(&mut self) -> Result<Step, JobError> {
        if !std::mem::replace(&mut self.opened, true) {
            for place in 0..self.subtasks.len() {
                let opened = self.subtasks[place].open();
                opened.map_err(|error| self.fail(place, error))?;
            }
        }
        let now = self.clock.now();
        let mut worked = false;
        for place in self.order() {
            if !self.subtasks[place].is_running() {
                continue;
            }
            let mut at = self.clock.monotonic_nanos();
            match self.subtasks[place].poll(now, &mut at) {
                Ok(progress) => worked |= progress == Progress::Worked,
                Err(error) => return Err(self.fail(place, error)),
            }
        }
        let running = self.subtasks.iter().any(Subtask::is_running);
        Ok(match (running, worked) {
            (false, _) => Step::Finished,
            (true, true) => Step::Worked,
            (true, false) => Step::Idle,
        })
    }

    /// Steps until nothing can be done any more.
    ///
    /// # Errors
    /// As [`Stepper::step`].
    pub fn run(&mut self) -> Result<Step, JobError> {
        let mut idle = 0;
        loop {
            match self.step()? {
                Step::Finished => return Ok(Step::Finished),
                Step::Worked => idle = 0,
                // A second look: what one subtask released may be another one's input.
                Step::Idle if idle == 0 => idle += 1,
                Step::Idle => return Ok(Step::Idle),
            }
        }
    }

    fn fail(&mut self, place: usize, cause: crate::operator::OperatorError) -> JobError {
        let info = self.subtasks[place].info().clone();
        self.subtasks.iter_mut().for_each(Subtask::cancel);
        JobError::Failed {
            job: info.job,
            vertex: info.vertex,
            subtask: info.index + 1,
            cause,
            suppressed: Vec::new(),
        }
    }

    /// The places of all subtasks, shuffled by the seed (Fisher–Yates over a xorshift generator).
    fn order(&mut self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.subtasks.len()).collect();
        if self.random == 0 {
            return order;
        }
        for last in (1..order.len()).rev() {
            self.random ^= self.random << 13;
            self.random ^= self.random >> 7;
            self.random ^= self.random << 17;
            order.swap(last, (self.random % (last as u64 + 1)) as usize);
        }
        order
    }
}

impl Drop for Stepper {
    fn drop(&mut self) {
        self.subtasks.iter_mut().for_each(Subtask::cancel);
    }
}
