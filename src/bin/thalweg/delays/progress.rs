//! Progress on a terminal, while the job runs.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use thalweg::runtime::{JobError, JobHandle, JobResult};

/// Time between two looks at the job.
const INTERVAL: Duration = Duration::from_millis(50);

/// Waits for the job's end and shows on standard error how many records it has read.
///
/// # Errors
/// The job's.
pub(crate) fn watch(job: JobHandle) -> Result<JobResult, JobError> {
    let template = "{spinner} {human_pos} records read, {per_sec}  [{elapsed}]";
    let style = ProgressStyle::with_template(template).expect("the template is a constant");
    let bar = ProgressBar::new_spinner().with_style(style);
    while !job.status().is_terminal() {
        bar.set_position(job.total("source_records").max(0).cast_unsigned());
        std::thread::sleep(INTERVAL);
    }
    bar.finish_and_clear();
    job.wait()
}
