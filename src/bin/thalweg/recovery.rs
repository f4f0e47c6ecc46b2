//! Checkpoints of the program's jobs: the options, and what is reported about them.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use clap::Args;
use thalweg::datastream::Environment;
use thalweg::runtime::{CheckpointEvent, Checkpoints, RestartStrategy, RestoreFrom};

use crate::duration;
use crate::error::{Failure, say};
use crate::number::{bytes, grouped};

/// The number of completed checkpoints kept: if the last one is damaged, there is another.
const RETAINED: usize = 2;

/// The number of consecutive checkpoints that may fail before the job does: a full disk may be freed up meanwhile.
const FAILURES_MAX: u32 = 10;

/// What a job may be told of its checkpoints.
#[derive(Debug, Args)]
#[command(next_help_heading = "Checkpoints")]
pub(crate) struct RecoveryOptions {
    /// Keep checkpoints in this directory, which is made if need be
    #[arg(long, value_name = "DIR")]
    pub(crate) checkpoint: Option<PathBuf>,

    /// Time from one checkpoint to the next: 500ms, 1s, 5m
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = interval,
          requires = "checkpoint")]
    interval: Duration,

    /// Let the barriers of a checkpoint overtake records that wait in full rings, which it then keeps, once it
    /// has waited so long for them: 0s, 100ms, 1s [default: never]
    #[arg(long, value_name = "DURATION", value_parser = duration::parse, requires = "checkpoint")]
    unaligned_after: Option<Duration>,

    /// Go on from a checkpoint: the last complete one of `--checkpoint`, or that of a savepoint or of
    /// another directory
    ///
    /// With `latest` the job starts anew where there is none yet, so that the same command line starts
    /// it and goes on with it, at any `--parallelism`. Without it the job starts anew.
    #[arg(long, value_name = "latest|PATH", requires = "checkpoint")]
    restore: Option<PathBuf>,

    /// Write a line into this file for each checkpoint that is restored (`R 7`) or complete (`A 8`)
    #[arg(long, value_name = "FILE", requires = "checkpoint", hide = true)]
    progress_log: Option<PathBuf>,
}

impl RecoveryOptions {
    /// Returns the environment with the checkpoints configured.
    ///
    /// # Errors
    /// If the log cannot be opened.
    pub(crate) fn apply(&self, env: Environment) -> Result<Environment, Failure> {
        let Some(directory) = &self.checkpoint else {
            return Ok(env);
        };
        let log = self.progress_log.as_deref().map(ProgressLog::open);
        let log = log.transpose()?;
        let mut checkpoints = Checkpoints::every(self.interval);
        if let Some(after) = self.unaligned_after {
            checkpoints = checkpoints.unaligned_after(after);
        }
        let checkpoints = checkpoints
            .to(directory)
            .retained(RETAINED)
            .tolerable_failures(FAILURES_MAX)
            .observed_by(move |event| {
                if let Some(log) = &log {
                    log.note(event);
                }
                tell(event);
            });
        // A failure here, such as a malformed row, would recur: the person who started the program decides.
        let env = env.checkpoints(checkpoints).restart(RestartStrategy::None);
        Ok(env.restore(match &self.restore {
            None => RestoreFrom::Nothing,
            Some(latest) if latest == Path::new("latest") => RestoreFrom::Latest,
            Some(path) => RestoreFrom::Path(path.clone()),
        }))
    }
}

/// Parses the interval between checkpoints.
///
/// # Errors
/// A sentence that describes the problem.
pub(crate) fn interval(text: &str) -> Result<Duration, String> {
    let interval = duration::parse(text)?;
    if interval < Duration::from_millis(1) {
        return Err("checkpoints need some time between them: a millisecond at least".to_owned());
    }
    Ok(interval)
}

/// Reports on standard error what happened to a checkpoint.
fn tell(event: &CheckpointEvent) {
    match event {
        CheckpointEvent::Replacing { newest } => say(format_args!(
            "the checkpoints up to {newest} of an earlier run will be replaced; '--restore latest' goes on from them"
        )),
        CheckpointEvent::PassedOver { checkpoint, reason } => say(format_args!(
            "checkpoint {checkpoint} is unusable ({reason}): going on from an earlier one, so what was committed since \
             that is written again"
        )),
        CheckpointEvent::Restored { checkpoint } => {
            say(format_args!("restored checkpoint {checkpoint}"));
        }
        CheckpointEvent::Completed {
            checkpoint,
            duration,
            size,
        } => say(format_args!(
            "checkpoint {checkpoint} complete: {} entries, {} in {}",
            grouped(size.entries),
            bytes(size.bytes),
            duration::shown(*duration),
        )),
        CheckpointEvent::Failed { checkpoint, reason } => {
            say(format_args!("checkpoint {checkpoint} given up: {reason}"));
        }
        _ => {}
    }
}

/// A log that tests read: which checkpoints were acknowledged, and from which one the job resumed.
struct ProgressLog(Mutex<File>);

impl ProgressLog {
    fn open(path: &Path) -> Result<Self, Failure> {
        let file = OpenOptions::new().create(true).append(true).open(path);
        let place = path.display();
        let file = file.map_err(|error| Failure::new(format_args!("cannot open {place}: {error}")));
        Ok(ProgressLog(Mutex::new(file?)))
    }

    /// Writes each line at once, so that there is never half a line, whenever the process is killed.
    fn note(&self, event: &CheckpointEvent) {
        let line = match event {
            CheckpointEvent::Restored { checkpoint } => format!("R {checkpoint}\n"),
            CheckpointEvent::Completed { checkpoint, .. } => format!("A {checkpoint}\n"),
            _ => return,
        };
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = file.write_all(line.as_bytes()) {
            say(format_args!("the progress log cannot be written: {error}"));
        }
    }
}
