//! The program's error messages and exit codes.

use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

use thalweg::connectors::CsvError;
use thalweg::operator::OperatorError;
use thalweg::runtime::JobError;

/// The exit code for incorrect usage, the same as that of the command line parser.
const USAGE: u8 = 2;

/// A reason to exit: one line that names the problem and, if there is one, the remedy.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The reader of the output has closed the pipe: not an error.
    PipeClosed,
    /// Options that cannot be combined.
    Usage(String),
    /// Anything else.
    Message(String),
}

impl Failure {
    /// A failure with the given message.
    pub(crate) fn new(message: impl fmt::Display) -> Self {
        Failure::Message(message.to_string())
    }

    /// An option conflicts with another argument, formatted like the parser's errors, for a rule that the parser
    /// lacks.
    pub(crate) fn conflict(option: &str, other: &str, reason: &str) -> Self {
        Failure::Usage(format!(
            "the argument '{option}' cannot be used with '{other}': {reason}"
        ))
    }

    /// Prints the error and returns the exit code.
    pub(crate) fn report(&self) -> ExitCode {
        match self {
            Failure::PipeClosed => ExitCode::SUCCESS,
            Failure::Usage(message) => {
                say(format_args!(
                    "error: {message}\n\nFor more information, try '--help'."
                ));
                ExitCode::from(USAGE)
            }
            Failure::Message(message) => {
                let line = message.split_whitespace().collect::<Vec<_>>().join(" ");
                say(format_args!("error: {line}"));
                ExitCode::FAILURE
            }
        }
    }
}

/// Writes a line to standard error, where possible: that nobody reads it is no reason for a job to fail.
pub(crate) fn say(line: impl fmt::Display) {
    let _ = writeln!(io::stderr(), "{line}");
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Failure::PipeClosed,
            _ => Failure::new(format_args!("cannot write the output: {error}")),
        }
    }
}

impl From<JobError> for Failure {
    fn from(error: JobError) -> Self {
        let JobError::Failed {
            cause: OperatorError::Function { cause, .. },
            ..
        } = &error
        else {
            return Failure::new(error);
        };
        if let Some(error) = cause.downcast_ref::<io::Error>() {
            return io::Error::from(error.kind()).into();
        }
        match cause.downcast_ref::<CsvError>() {
            Some(CsvError::NoHeader { file }) => Failure::new(format_args!(
                "{} is empty: its first row must name the columns",
                file.display()
            )),
            Some(CsvError::NoSuchColumn { .. }) | None => Failure::new(cause),
            Some(row) => Failure::new(format_args!(
                "{row}; correct the row, or leave such rows out with --malformed skip"
            )),
        }
    }
}
