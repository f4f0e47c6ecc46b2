//! The runs in turn, each in a process of its own, so that none has the memory of another.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::error::Failure;

use super::leg;
use super::options::{CheckpointOptions, Leg};
use super::report::Report;

/// Makes the runs that `options` say and tells of them.
///
/// # Errors
/// Where one fails, or its answer is wrong.
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

/// A new directory, which goes with all that is in it, whatever becomes of the runs.
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
        // What is left takes room, no more.
        let _ = std::fs::remove_dir_all(&directory);
    }
    Ok(legs)
}

/// Waits until the disk has what was written and removed before this run: a disk that still writes can slow it, in a
/// virtual machine above all. Where the system has no program for it, it is not waited for.
fn settle(directory: &Path) {
    let existing = directory.ancestors().find(|ancestor| ancestor.is_dir());
    let mut sync = Command::new("sync");
    let _ = sync.arg("--file-system").args(existing).status();
}

/// Makes one run in a process of its own.
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
