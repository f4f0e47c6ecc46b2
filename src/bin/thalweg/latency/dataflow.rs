//! The job: ticks, counted by key, to a sink that knows when they were due.

use thalweg::datastream::Environment;
use thalweg::operator::{Sink, Source};
use thalweg::ring::WaitStrategy;

use crate::error::Failure;

use super::processor_time::ProcessorTime;
use super::recorder::{Latencies, LatencySink};
use super::tick::{Counted, RunningCount, Tick};
use super::trial::{Setup, Trial};

/// Where the job's two halves run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Shape {
    /// One region: `key_by` vanishes, no record is in a ring.
    Fused,
    /// A ring between the source and the count, on as many workers: with two, each has one half.
    Hop { workers: u32 },
}

impl Shape {
    /// On how many workers.
    pub(crate) fn workers(self) -> u32 {
        match self {
            Shape::Fused => 1,
            Shape::Hop { workers } => workers,
        }
    }
}

/// Draws the job between `source` and `sink`.
///
/// ```text
/// ticks ─ key by ─ running count ─ sink           fused, on one worker
/// ticks ─ key by ══ ring ══ running count ─ sink  a hop, from worker 0 to worker 1
/// ```
/// Between one subtask and one subtask an exchange vanishes; another slot sharing group behind it
/// keeps it, and takes a slot, and so a worker, of its own.
pub(crate) fn draw<S, K>(source: S, sink: K, shape: Shape, wait: WaitStrategy) -> Environment
where
    S: Source<Out = Tick>,
    K: Sink<Counted>,
{
    let env = Environment::new()
        .workers(shape.workers())
        .wait_strategy(wait);
    let mut by_key = env.source("ticks", source).key_by(|tick| tick.key);
    if let Shape::Hop { .. } = shape {
        by_key = by_key.slot_sharing_group("counts");
    }
    by_key
        .aggregate_with(RunningCount, |key, kept| kept.of_key(*key))
        .name("running count")
        .sink("latencies", sink);
    env
}

/// Measures from the due time of a tick to its count in the sink.
///
/// # Errors
/// The job's.
pub(crate) fn measure(setup: &Setup, shape: Shape) -> Result<(Latencies, ProcessorTime), Failure> {
    let trial = Trial::begin(setup);
    let sink = LatencySink::new(trial.recorder());
    let job = draw(trial.source(), sink.clone(), shape, setup.wait).spawn("latency")?;
    let time = trial.watch();
    job.wait()?;
    Ok((sink.into_latencies(), time))
}
