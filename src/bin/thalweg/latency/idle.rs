//! An idle job: what it uses of the cores when nothing comes.

use std::thread::sleep;
use std::time::Duration;

use thalweg::connectors::inlet;
use thalweg::ring::WaitStrategy;

use crate::error::Failure;

use super::dataflow::{Shape, draw};
use super::processor_time::{ProcessorTime, Reading};
use super::recorder::{LatencySink, Recorder};
use super::stopwatch::Stopwatch;
use super::tick::Tick;

/// What a job is given to come to rest.
const SETTLING: Duration = Duration::from_millis(200);

/// What was found out about an idle job.
#[derive(Debug)]
pub(crate) struct Idleness {
    /// The job's workers.
    pub(crate) workers: u32,
    /// What they used.
    pub(crate) time: ProcessorTime,
}

/// Measures a job of `workers` workers whose inlet stays empty, for some seconds.
///
/// # Errors
/// The job's.
pub(crate) fn measure(workers: u32, wait: WaitStrategy, seconds: f64) -> Result<Idleness, Failure> {
    let (ticks, source) = inlet::<Tick>(1 << 12);
    let sink = LatencySink::new(Recorder::new(Stopwatch::start(), 0));
    let job = draw(source, sink, Shape::Hop { workers }, wait).spawn("idle")?;
    sleep(SETTLING);
    let before = Reading::now();
    sleep(Duration::from_secs_f64(seconds));
    let time = Reading::now().since(&before);
    drop(ticks);
    job.wait()?;
    Ok(Idleness { workers, time })
}
