//! Runs the `thalweg` program.

use std::process::{Command, Output, Stdio};

/// The program with these arguments, not yet started.
pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_thalweg"));
    command.args(arguments).stdin(Stdio::null());
    command
}

/// Runs it until it ends.
pub(crate) fn run(arguments: &[&str]) -> Output {
    command(arguments).output().expect("the program starts")
}

/// Its standard output and standard error.
fn texts(output: Output) -> (String, String) {
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (text(output.stdout), text(output.stderr))
}

/// Runs it, which must succeed; returns standard output and standard error.
#[track_caller]
pub(crate) fn succeed_telling(arguments: &[&str]) -> (String, String) {
    let output = run(arguments);
    let status = output.status;
    let (stdout, stderr) = texts(output);
    assert!(status.success(), "{arguments:?}: {stderr}");
    (stdout, stderr)
}

/// Runs it, which must succeed; returns standard output.
#[track_caller]
pub(crate) fn succeed(arguments: &[&str]) -> String {
    succeed_telling(arguments).0
}

/// Runs it, which must succeed with an empty standard error; returns standard output.
#[track_caller]
pub(crate) fn succeed_silently(arguments: &[&str]) -> String {
    let (stdout, stderr) = succeed_telling(arguments);
    assert_eq!(stderr, "", "{arguments:?}");
    stdout
}

/// Checks that it fails with this exit code and one line that contains all of `parts`, the last line unless the usage
/// is wrong; returns standard output.
#[track_caller]
pub(crate) fn assert_fails(arguments: &[&str], code: i32, parts: &[&str]) -> String {
    let output = run(arguments);
    let status = output.status;
    let (stdout, stderr) = texts(output);
    assert_eq!(status.code(), Some(code), "{arguments:?}: {stderr}");
    let errors: Vec<_> = (stderr.lines())
        .filter(|line| line.starts_with("error: "))
        .collect();
    assert_eq!(errors.len(), 1, "{arguments:?}: {stderr}");
    for part in parts {
        assert!(errors[0].contains(part), "no {part:?} in: {stderr}");
    }
    if code == 1 {
        assert_eq!(stderr.lines().last(), Some(errors[0]));
    }
    stdout
}
