//! Runs the requested task and reports damage.

use std::io::{self, Write};
use std::path::Path;

use thalweg::checkpoint::inspect::{self, Listed, Verified};
use thalweg::checkpoint::{CheckpointError, RealStorage};

use crate::error::Failure;
use crate::format::Format;

use super::options::{CheckpointsOptions, Task};
use super::output::{Comparison, Inspection, Listing, Verification};

/// Runs the task that `options` specify.
///
/// # Errors
/// If there is no checkpoint, or one is damaged.
pub(crate) fn run(options: &CheckpointsOptions) -> Result<(), Failure> {
    let storage = open(&options.directory)?;
    match options.task.unwrap_or(Task::List) {
        Task::List => {
            let listed = list(&storage)?;
            print(options, |format| Listing(&listed).text_or_json(format))?;
            intact(listed.iter().map(|listed| listed.manifest.as_ref()))
        }
        Task::Inspect { checkpoint } => {
            let checkpoint = match checkpoint {
                Some(checkpoint) => checkpoint,
                None => numbers(&storage)?[0],
            };
            let manifest = inspect::inspect(&storage, checkpoint).map_err(Failure::new)?;
            print(options, |format| Inspection(&manifest).text_or_json(format))
        }
        Task::Verify { checkpoint } => {
            let checkpoints = match checkpoint {
                Some(checkpoint) => vec![checkpoint],
                None => numbers(&storage)?,
            };
            verify(options, &storage, checkpoints)
        }
        Task::Compare { first, second } => {
            let states = inspect::compare(&storage, first, second).map_err(Failure::new)?;
            let comparison = Comparison(first, second, &states);
            print(options, |format| comparison.text_or_json(format))
        }
    }
}

/// Opens the directory, which must contain a checkpoint.
fn open(directory: &Path) -> Result<RealStorage, Failure> {
    let storage = RealStorage::existing(directory).map_err(|error| {
        let place = directory.display();
        Failure::new(match error.kind() {
            io::ErrorKind::NotFound => format!("there is no directory {place}"),
            io::ErrorKind::NotADirectory => {
                format!("{place} is no directory: name the one that a job has with --checkpoint")
            }
            _ => format!("cannot read {place}: {error}"),
        })
    })?;
    numbers(&storage)?;
    Ok(storage)
}

/// All checkpoints, newest first. One that a job has removed since the directory was listed is omitted, not reported
/// as damaged.
fn list(storage: &RealStorage) -> Result<Vec<Listed>, Failure> {
    let mut listed = inspect::list(storage).map_err(Failure::new)?;
    if listed.iter().any(|listed| listed.manifest.is_err()) {
        let left = numbers(storage)?;
        listed.retain(|listed| listed.manifest.is_ok() || left.contains(&listed.checkpoint));
    }
    Ok(listed)
}

/// The numbers of all checkpoints, newest first; at least one.
fn numbers(storage: &RealStorage) -> Result<Vec<u64>, Failure> {
    let listed = inspect::list(storage).map_err(Failure::new)?;
    let numbers: Vec<u64> = listed.iter().map(|listed| listed.checkpoint).collect();
    if numbers.is_empty() {
        use thalweg::checkpoint::Storage;
        let place = storage.place();
        return Err(Failure::new(CheckpointError::Empty { place }));
    }
    Ok(numbers)
}

/// Verifies checkpoints, reports on each, and fails if any is damaged.
fn verify(
    options: &CheckpointsOptions,
    storage: &RealStorage,
    checkpoints: Vec<u64>,
) -> Result<(), Failure> {
    let verified = checkpoints.into_iter().map(|checkpoint| {
        let verified: Result<Verified, CheckpointError> = inspect::verify(storage, checkpoint);
        (checkpoint, verified)
    });
    let verified: Vec<_> = verified.collect();
    print(options, |format| {
        Verification(&verified).text_or_json(format)
    })?;
    intact(verified.iter().map(|(_, result)| result.as_ref()))
}

/// Fails with the error of the first damaged one.
fn intact<'a, T: 'a>(
    all: impl IntoIterator<Item = Result<&'a T, &'a CheckpointError>>,
) -> Result<(), Failure> {
    match all.into_iter().find_map(Result::err) {
        Some(error) => Err(Failure::new(error)),
        None => Ok(()),
    }
}

fn print(options: &CheckpointsOptions, text: impl Fn(Format) -> String) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(text(options.format).as_bytes())?;
    Ok(out.flush()?)
}
