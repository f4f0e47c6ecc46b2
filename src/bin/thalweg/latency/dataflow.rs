//! The job: ticks, counted by key, sent to a sink that knows when they were due.

use thalweg::datastream::Environment;
use thalweg::operator::{Sink, Source};
use thalweg::ring::WaitStrategy;

use crate::error::Failure;

use super::latency_sink::LatencySink;
use super::processor_time::ProcessorTime;
use super::recorder::Latencies;
use super::tick::{Counted, RunningCount, Tick};
use super::trial::{Setup, Trial};

/// Where the job's two halves run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Shape {
    /// One region: `key_by` is fused, and no record goes through a ring.
    Fused,
    /// A ring between the source and the count. With two workers, each runs one half.
    Hop { workers: u32 },
}

impl Shape {
    /// The number of workers.
    pub(crate) fn workers(self) -> u32 {
        match self {
            Shape::Fused => 1,
            Shape::Hop { workers } => workers,
        }
    }
}

/// Builds the job between `source` and `sink`.
///
/// ```text
/// ticks ─ key by ─ running count ─ sink           fused, on one worker
/// ticks ─ key by ══ ring ══ running count ─ sink  a hop, from worker 0 to worker 1
/// ```
/// Between two operators of parallelism 1 an exchange is fused away; a different slot sharing group downstream keeps
/// it, and gets its own slot, and thus its own worker.
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

/// Measures from the due time of a tick to the arrival of its count in the sink.
///
/// # Errors
/// The job's error.
pub(crate) fn measure(setup: &Setup, shape: Shape) -> Result<(Latencies, ProcessorTime), Failure> {
    let trial = Trial::begin(setup);
    let sink = LatencySink::new(trial.recorder());
    let job = draw(trial.source(), sink.clone(), shape, setup.wait).spawn("latency")?;
    let time = trial.watch();
    job.wait()?;
    Ok((sink.into_latencies(), time))
}
