//! A trial: one measurement, from starting its threads to its findings.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use core_affinity::CoreId;
use thalweg::ring::WaitStrategy;

use crate::error::Failure;

use super::core_distance;
use super::processor_time::ProcessorTime;
use super::recorder::{Latencies, Recorder};
use super::schedule::Schedule;
use super::stopwatch::Stopwatch;
use super::tick_source::TickSource;

/// What all trials of a run have in common.
#[derive(Debug)]
pub(crate) struct Setup {
    /// Records per second.
    pub(crate) rate: u64,
    /// The warm-up in seconds, which is not recorded.
    pub(crate) warm_up: f64,
    /// The recorded time in seconds.
    pub(crate) seconds: f64,
    /// How the job's workers wait.
    pub(crate) wait: WaitStrategy,
    /// The cores that the process may use, as it found them.
    pub(crate) cores: Vec<CoreId>,
}

impl Setup {
    /// The schedule of a trial whose first record is due at `start_nanos`.
    pub(crate) fn schedule(&self, start_nanos: i64) -> Schedule {
        Schedule::new(start_nanos, self.rate, self.warm_up, self.seconds)
    }
}

/// The time from building a job to its first record: enough for all threads to start.
const START_DELAY_NANOS: i64 = 50_000_000;

/// One measurement.
#[derive(Debug)]
pub(crate) struct Trial {
    /// Which record is due when.
    pub(crate) schedule: Schedule,
    /// The clock of both ends.
    pub(crate) stopwatch: Stopwatch,
    /// Set when processor time has been read and the source may end.
    pub(crate) let_go: Arc<AtomicBool>,
}

impl Trial {
    /// Starts a trial whose first record is due shortly.
    pub(crate) fn begin(setup: &Setup) -> Self {
        let stopwatch = Stopwatch::start();
        let start = stopwatch.nanos() + START_DELAY_NANOS;
        Trial {
            schedule: setup.schedule(start),
            stopwatch,
            let_go: Arc::default(),
        }
    }

    /// The source of its ticks, for a job.
    pub(crate) fn source(&self) -> TickSource {
        TickSource {
            schedule: self.schedule,
            stopwatch: self.stopwatch,
            let_go: Arc::clone(&self.let_go),
        }
    }

    /// A recorder of its latencies.
    pub(crate) fn recorder(&self) -> Recorder {
        Recorder::new(self.stopwatch, self.schedule.recorded_from_nanos())
    }

    /// Sleeps until every record was due, then lets the source end; returns what the processors did meanwhile.
    pub(crate) fn watch(&self) -> ProcessorTime {
        let time = ProcessorTime::while_recorded(&self.schedule, self.stopwatch);
        self.let_go.store(true, Ordering::Relaxed);
        time
    }

    /// Whether the source may end.
    pub(crate) fn may_end(&self) -> bool {
        self.let_go.load(Ordering::Relaxed)
    }
}

/// What was measured: a row of the table, a curve of the plot.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Line {
    /// `rtrb` between two threads, without a job.
    Rtrb,
    /// This crate's ring between two threads, without a job.
    Ring,
    /// Source, count and sink as one loop on one worker.
    Fused,
    /// The source on one worker; count and sink on another.
    Hop,
    /// From a client's thread through an inlet, a job and an outlet back to it.
    Embedded,
}

impl Line {
    /// The name used in all output.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Line::Ring => "ring",
            Line::Rtrb => "rtrb",
            Line::Fused => "fused",
            Line::Hop => "hop",
            Line::Embedded => "embedded",
        }
    }
}

/// The findings of a trial.
#[derive(Clone, Debug)]
pub(crate) struct Measurement {
    /// What was measured.
    pub(crate) line: Line,
    /// The number of the job's workers; 0 if there was no job.
    pub(crate) workers: u32,
    /// The latencies of all its records.
    pub(crate) latencies: Latencies,
    /// What the processors did while they were recorded.
    pub(crate) time: ProcessorTime,
    /// The one-way distance between two cores in nanoseconds, before and after.
    pub(crate) cores_apart: Option<(f64, f64)>,
}

impl Measurement {
    /// Runs `trial` between two measurements of the distance between the cores.
    ///
    /// # Errors
    /// The trial's error.
    pub(crate) fn of(
        setup: &Setup,
        line: Line,
        workers: u32,
        trial: impl FnOnce() -> Result<(Latencies, ProcessorTime), Failure>,
    ) -> Result<Self, Failure> {
        let before = core_distance::nanos(&setup.cores);
        let (latencies, time) = trial()?;
        let after = core_distance::nanos(&setup.cores);
        Ok(Measurement {
            line,
            workers,
            latencies,
            time,
            cores_apart: before.zip(after),
        })
    }
}
