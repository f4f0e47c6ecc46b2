//! Runs that are interrupted.

use std::fs;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::program::{command, run};

use super::{SMALL, directory, generate, names};

#[test]
fn killed_run_leaves_no_file_under_its_name_and_the_next_one_cleans_up() {
    let (directory, path) = directory();
    let options = [
        "generate",
        "--data",
        &path,
        "--only",
        "bids",
        "--bids",
        "1000000000",
    ];
    let mut child = command(&options)
        .stdout(Stdio::null())
        .spawn()
        .expect("starts");
    let partial = directory.path().join(".bids.bin.partial");
    let started = Instant::now();
    while fs::metadata(&partial).map_or(0, |file| file.len()) == 0 {
        assert!(
            started.elapsed() < Duration::from_secs(60),
            "nothing is written"
        );
        sleep(Duration::from_millis(1));
    }
    let second = run(&["generate", "--data", &path]);
    let stderr = String::from_utf8(second.stderr).expect("text");
    assert!(stderr.contains("another `thalweg generate`"), "{stderr}");
    child.kill().expect("killed");
    child.wait().expect("ends");
    assert_eq!(names(directory.path()), [".bids.bin.partial"]);

    generate(&path, &[&SMALL[..], &["--only", "bids"]].concat());
    assert_eq!(names(directory.path()), ["bids.bin"]);
    assert_eq!(
        fs::metadata(directory.path().join("bids.bin"))
            .expect("there")
            .len(),
        320_000
    );
}

#[test]
fn file_that_does_not_fit_is_named_and_nothing_is_left() {
    let (directory, path) = directory();
    // No room for more than 100 blocks of 512 bytes in a file; the signal that reports this is ignored.
    let script = "trap '' XFSZ; ulimit -f 100; exec \"$@\"";
    let program = env!("CARGO_BIN_EXE_thalweg");
    let output = Command::new("sh")
        .args(["-c", script, "sh", program, "generate", "--data", &path])
        .args(SMALL)
        .output()
        .expect("the shell starts");
    let stderr = String::from_utf8(output.stderr).expect("text");
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("cannot write"), "{stderr}");
    assert!(stderr.contains(".bids.bin.partial"), "{stderr}");
    // The files that fit are complete.
    assert_eq!(names(directory.path()), ["auctions.bin", "persons.bin"]);
}
