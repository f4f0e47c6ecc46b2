//! What the program says when it cannot go on, and with which exit code.

use std::fmt;
use std::io;
use std::process::ExitCode;

use thalweg::connectors::CsvError;
use thalweg::operator::OperatorError;
use thalweg::runtime::JobError;

/// A reason to end: one line that names the thing and, where there is one, the cure.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Whoever read the output has seen enough: no error.
    PipeClosed,
    /// Anything else.
    Message(String),
}

impl Failure {
    /// The failure that `message` tells.
    pub(crate) fn new(message: impl fmt::Display) -> Self {
        Failure::Message(message.to_string())
    }

    /// Tells what happened and gives the exit code.
    pub(crate) fn report(&self) -> ExitCode {
        match self {
            Failure::PipeClosed => ExitCode::SUCCESS,
            Failure::Message(message) => {
                let line = message.split_whitespace().collect::<Vec<_>>().join(" ");
                eprintln!("error: {line}");
                ExitCode::FAILURE
            }
        }
    }
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
            Some(CsvError::NoSuchColumn { .. }) | None => Failure::new(cause),
            Some(row) => Failure::new(format_args!(
                "{row}; correct the row, or leave such rows out with --malformed skip"
            )),
        }
    }
}
