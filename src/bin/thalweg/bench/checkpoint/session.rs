//! Performs the runs in turn, each in its own process, so that none inherits memory from another.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::error::Failure;

use super::leg;
use super::options::{CheckpointOptions, Leg};
use super::report::Report;

/// Performs the runs that `options` specify and reports on them.
///
/// # Errors
/// If one fails or its result is wrong.
pub(in crate::bench) fn run(options: &CheckpointOptions) -> Result<(), Failure> {
    let within = options.directory.clone();
    let within = within.unwrap_or_else(std::env::temp_dir);
    let text = match options.leg {
        Some(one) => format!("{}\n", leg::run(options, one, &within)?),
        None => {
            let own = OwnDirectory::within(&within)?;
            let legs = all(options, &own.0)?;
            Report {
                options,
                legs: &legs,
            }
            .text()
        }
    };
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}

/// A new directory, removed with all its contents however the runs end.
struct OwnDirectory(PathBuf);

impl OwnDirectory {
    fn within(directory: &Path) -> Result<Self, Failure> {
        let own = directory.join(format!("thalweg-bench-{}", std::process::id()));
        let made = std::fs::create_dir_all(directory).and_then(|()| std::fs::create_dir(&own));
        made.map_err(|error| Failure::new(format_args!("cannot make {}: {error}", own.display())))?;
        Ok(OwnDirectory(own))
    }
}

impl Drop for OwnDirectory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn all(options: &CheckpointOptions, directory: &Path) -> Result<Vec<Value>, Failure> {
    let mut legs = Vec::new();
    for round in 1..=options.rounds {
        let directory = directory.join(round.to_string());
        for leg in [Leg::Plain, Leg::Kept, Leg::Restore] {
            settle(&directory);
            legs.push(in_process(options, leg, &directory)?);
        }
        // Whatever remains only takes up space.
        let _ = std::fs::remove_dir_all(&directory);
    }
    Ok(legs)
}

/// Waits until everything written and removed before this run has reached the disk: a disk that is still writing can
/// slow the run down, especially in a virtual machine. Does nothing if the system has no program for it.
fn settle(directory: &Path) {
    let existing = directory.ancestors().find(|ancestor| ancestor.is_dir());
    let mut sync = Command::new("sync");
    let _ = sync.arg("--file-system").args(existing).status();
}

/// Performs one run in its own process.
fn in_process(options: &CheckpointOptions, leg: Leg, directory: &Path) -> Result<Value, Failure> {
    let failed = |what: &str| Failure::new(format_args!("the run `{}`: {what}", leg.name()));
    let program = std::env::current_exe().map_err(|error| failed(&error.to_string()))?;
    let interval = format!("{}ns", options.interval.as_nanos());
    let output = Command::new(program)
        .args(["bench", "checkpoint", "--leg", leg.name()])
        .args(["--keys", &options.keys.to_string()])
        .args(["--seconds", &options.seconds.to_string()])
        .args(["--interval", &interval, "--change", options.change.name()])
        .args(["--parallelism", &options.parallelism.to_string()])
        .arg("--directory")
        .arg(directory)
        .stderr(Stdio::inherit())
        .output();
    let output = output.map_err(|error| failed(&error.to_string()))?;
    if !output.status.success() {
        return Err(failed("it has failed"));
    }
    serde_json::from_slice(&output.stdout).map_err(|error| failed(&error.to_string()))
}
