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
    let directory = options.directory.clone().unwrap_or_else(temporary);
    let text = match options.leg {
        Some(one) => format!("{}\n", leg::run(options, one, &directory)?),
        None => {
            let legs = all(options, &directory)?;
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

/// A directory that is nobody's.
fn temporary() -> PathBuf {
    std::env::temp_dir().join(format!("thalweg-bench-{}", std::process::id()))
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
    // Only if nobody else has put something there.
    let _ = std::fs::remove_dir(directory);
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
    let interval = format!("{}ms", options.interval.as_millis());
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
