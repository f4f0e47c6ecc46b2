//! How much of the cores an idle job uses.

use std::thread::sleep;
use std::time::Duration;

use thalweg::connectors::inlet;
use thalweg::ring::WaitStrategy;

use crate::error::Failure;

use super::dataflow::{Shape, draw};
use super::latency_sink::LatencySink;
use super::processor_time::{ProcessorTime, Reading};
use super::recorder::Recorder;
use super::stopwatch::Stopwatch;
use super::tick::Tick;

/// How long a job is given to settle.
const SETTLING: Duration = Duration::from_millis(200);

/// The findings about an idle job.
#[derive(Debug)]
pub(crate) struct Idleness {
    /// The job's workers.
    pub(crate) workers: u32,
    /// The processor time they used.
    pub(crate) time: ProcessorTime,
}

/// Measures a job with `workers` workers whose inlet stays empty, for `seconds` seconds.
///
/// # Errors
/// The job's error.
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
