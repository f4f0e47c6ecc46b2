//! Generates the files, one after another.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::Path;
use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};

use crate::error::Failure;
use crate::sizes;

use super::input::Input;
use super::input_file::{InputFile, cannot};
use super::options::GenerateOptions;
use super::summary::{Row, Summary};

/// Generates what `options` ask for and prints a summary.
///
/// # Errors
/// If a file cannot be written, or an existing one contains other data.
pub(crate) fn run(options: &GenerateOptions) -> Result<(), Failure> {
    let started = Instant::now();
    let directory = &options.data;
    if fs::metadata(directory).is_ok_and(|found| !found.is_dir()) {
        let directory = directory.display();
        return Err(Failure::new(format_args!(
            "{directory} is not a directory: name one with --data"
        )));
    }
    fs::create_dir_all(directory)
        .map_err(|error| cannot("make the directory", directory, error))?;
    let _alone = lock(directory)?;
    let inputs = Input::all(options);
    let progress = progress(inputs.iter().map(Input::bytes).sum());
    let mut rows = Vec::new();
    for input in &inputs {
        progress.set_message(input.name.clone());
        let made = make(input, options, &progress);
        rows.push(made.inspect_err(|_| progress.finish_and_clear())?);
    }
    progress.finish_and_clear();
    let sizes = rows
        .iter()
        .map(|row| (row.name.as_str(), row.finished.bytes));
    sizes::keep(directory, sizes)
        .map_err(|error| cannot("write the sizes of the files in", directory, error))?;
    let summary = Summary::new(rows, started.elapsed());
    io::stdout()
        .lock()
        .write_all(summary.to_string().as_bytes())?;
    Ok(())
}

fn make(input: &Input, options: &GenerateOptions, progress: &ProgressBar) -> Result<Row, Failure> {
    let path = options.data.join(&input.name);
    let mut file = InputFile::begin(path, options.force, progress)?;
    let records = input.content.write(input.count, options, &mut file)?;
    Ok(Row {
        name: input.name.clone(),
        records,
        finished: file.finish()?,
    })
}

/// Keeps other runs out of the directory until the lock is dropped, however the program ends.
fn lock(directory: &Path) -> Result<File, Failure> {
    let handle = File::open(directory).map_err(|error| cannot("read", directory, error))?;
    match handle.try_lock() {
        Err(TryLockError::WouldBlock) => Err(Failure::new(format_args!(
            "another `thalweg generate` is writing to {}",
            directory.display()
        ))),
        // On a file system without locks, concurrent runs are detected by `finish` instead.
        Ok(()) | Err(TryLockError::Error(_)) => Ok(handle),
    }
}

/// A progress bar on standard error, if that is a terminal.
fn progress(bytes: u64) -> ProgressBar {
    let template = "{wide_bar} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left  {msg:16}";
    let style = ProgressStyle::with_template(template).expect("a constant");
    ProgressBar::new(bytes).with_style(style)
}
