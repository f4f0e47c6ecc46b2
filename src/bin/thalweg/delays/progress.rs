//! Shows progress on a terminal while the job runs.

use std::thread::sleep;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use thalweg::runtime::{JobError, JobHandle, JobResult};

use crate::number::grouped;

use super::hourly_delays::Utc;
use super::hourly_watermarks::Closings;
use super::summary::flights_read;

/// The interval at which the job is polled.
const INTERVAL: Duration = Duration::from_millis(10);

/// Jobs that end within this time show no progress.
const PATIENCE: Duration = Duration::from_millis(200);

/// Waits for the job to end and shows its progress on standard error.
///
/// # Errors
/// The job's error.
pub(crate) fn watch(job: JobHandle, closings: &Closings) -> Result<JobResult, JobError> {
    let started = Instant::now();
    let style = ProgressStyle::with_template("{spinner} {msg}").expect("a constant");
    let bar = ProgressBar::new_spinner().with_style(style);
    while !job.status().is_terminal() {
        sleep(INTERVAL);
        let elapsed = started.elapsed();
        if elapsed < PATIENCE {
            continue;
        }
        let flights = flights_read(&job.metrics());
        let per_second = flights as f64 / elapsed.as_secs_f64();
        let mut line = format!(
            "{} flights read, {} records/s",
            grouped(flights),
            grouped(per_second as u64)
        );
        if let Some(watermark) = closings.watermark() {
            line += &format!(", watermark {}", Utc(watermark.saturating_add(1)));
        }
        bar.set_message(line);
        bar.tick();
    }
    bar.finish_and_clear();
    job.wait()
}
