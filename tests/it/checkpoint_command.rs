//! `thalweg checkpoints`: lists, inspects, verifies and compares what a job has stored.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use thalweg::prelude::*;
use thalweg::runtime::CheckpointEvent;

use crate::program::{assert_fails, succeed};

const KEYS: u64 = 300;

/// Runs a job with two checkpoints and a savepoint, in `state` and `savepoint` below `directory`.
fn keep_some(directory: &Path) {
    let (completed, numbers) = std::sync::mpsc::channel();
    let checkpoints = Checkpoints::on_request()
        .to(directory.join("state"))
        .retained(2)
        .observed_by(move |event| {
            if let CheckpointEvent::Completed { checkpoint, .. } = event {
                // The receiver may be gone.
                let _ = completed.send(*checkpoint);
            }
        });
    let env = Environment::new().parallelism(2).checkpoints(checkpoints);
    env.source("numbers", Generator::new(|n| n).rate(50_000))
        .uid("numbers")
        .parallelism(1) // so that every key exists after that many records
        .key_by(|n| n % KEYS)
        .aggregate_with(Count, |key, count| [*key, count])
        .uid("counts")
        .sink("nowhere", Discard::new())
        .uid("nowhere");
    let job = env.spawn("counts").expect("a job");
    while job.total("source_records") < 2 * KEYS {
        std::thread::yield_now();
    }
    job.checkpoint().expect("a checkpoint");
    job.savepoint(directory.join("savepoint"))
        .expect("a savepoint");
    job.cancel();
    assert!(matches!(job.wait(), Err(JobError::Cancelled { .. })));
    assert_eq!(numbers.try_iter().collect::<Vec<_>>(), [1, 2]);
}

fn text(path: &Path) -> &str {
    path.to_str().expect("text")
}

/// The last file in `directory`, in name order, whose name contains `word`: that of the newest checkpoint.
fn newest(directory: &Path, word: &str) -> PathBuf {
    let entries = fs::read_dir(directory).expect("a directory");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let newest = paths.filter(|path| text(path).contains(word)).max();
    newest.expect("some")
}

/// Flips a bit of a file.
fn damage(path: &Path, byte: usize) {
    let mut bytes = fs::read(path).expect("there");
    bytes[byte] ^= 1;
    fs::write(path, bytes).expect("writable");
}

fn json(arguments: &[&str]) -> Value {
    let output = succeed(&[&["checkpoints"], arguments, &["--format", "json"]].concat());
    serde_json::from_str(&output).expect("one object")
}

#[test]
fn checkpoints_are_listed_inspected_verified_and_compared() {
    let directory = tempfile::tempdir().expect("a directory");
    keep_some(directory.path());
    let state = directory.path().join("state");
    let state = text(&state);

    let listed = json(&[state]);
    let numbers: Vec<u64> = (listed["checkpoints"].as_array().expect("an array").iter())
        .map(|listed| listed["checkpoint"].as_u64().expect("a number"))
        .collect();
    assert_eq!(numbers, [2, 1]);
    assert_eq!(json(&[state, "list"])["checkpoints"][1]["savepoint"], false);
    let table = succeed(&["checkpoints", state]);
    assert!(
        table.contains("segments") && table.lines().count() == 4,
        "{table}"
    );

    let newest = json(&[state, "inspect"]);
    assert_eq!(newest["checkpoint"], 2);
    let operators = newest["operators"].as_array().expect("an array");
    let counts = operators
        .iter()
        .find(|operator| operator["uid"] == "counts");
    let counts = counts.expect("it has state");
    assert_eq!(counts["parallelism"], 2);
    let kept = &counts["states"][0];
    assert_eq!(kept["key"]["type"], "u64");
    assert!(kept["entries"].as_u64() >= Some(KEYS), "{kept}");
    let table = succeed(&["checkpoints", state, "inspect", "1"]);
    assert!(table.contains("counts (parallelism 2)"), "{table}");
    assert!(table.contains("taken"), "{table}");

    let verified = json(&[state, "verify"]);
    assert_eq!(verified["checkpoints"][1]["intact"], true);
    let one = succeed(&["checkpoints", state, "verify", "2"]);
    assert!(one.starts_with("checkpoint 2 is intact: "), "{one}");

    let compared = json(&[state, "compare", "1", "2"]);
    let states = compared["states"].as_array().expect("an array");
    let counts = states.iter().find(|state| state["operator"] == "counts");
    let counts = counts.expect("it has state");
    assert_eq!(
        (&counts["added"], &counts["removed"]),
        (&0.into(), &0.into())
    );
    let both = counts["changed"].as_u64().zip(counts["unchanged"].as_u64());
    assert_eq!(
        both.map(|(changed, unchanged)| changed + unchanged),
        Some(KEYS)
    );
    succeed(&["checkpoints", state, "compare", "1", "2"]);
}

#[test]
fn savepoint_is_looked_at_in_the_same_way() {
    let directory = tempfile::tempdir().expect("a directory");
    keep_some(directory.path());
    let savepoint = directory.path().join("savepoint");
    let listed = json(&[text(&savepoint)]);
    assert_eq!(listed["checkpoints"][0]["savepoint"], true);
    assert_eq!(listed["checkpoints"][0]["segments"], 1);
    succeed(&["checkpoints", text(&savepoint), "verify"]);
}

#[test]
fn damage_is_named_and_ends_with_an_error() {
    let directory = tempfile::tempdir().expect("a directory");
    keep_some(directory.path());
    let state = directory.path().join("state");
    let segment = newest(&state, "segment-");
    damage(&segment, 64 + 64);

    let name = segment.file_name().expect("a name").to_str().expect("text");
    let verify = ["checkpoints", text(&state), "verify"];
    let told = assert_fails(&verify, 1, &[name, "is damaged at byte 64"]);
    assert!(told.contains("checkpoint 2 cannot be used: "), "{told}");
    assert!(told.contains("checkpoint 1 is intact: "), "{told}");
}

#[test]
fn listing_tells_of_all_and_ends_with_an_error_if_one_cannot_be_used() {
    let directory = tempfile::tempdir().expect("a directory");
    keep_some(directory.path());
    let state = directory.path().join("state");
    let manifest = newest(&state, "manifest-");
    damage(&manifest, 64);

    let name = manifest.file_name().expect("a name");
    let parts = [name.to_str().expect("text"), "damaged"];
    for list in [
        &["checkpoints", text(&state)][..],
        &["checkpoints", text(&state), "list"],
    ] {
        let table = assert_fails(list, 1, &parts);
        let intact = table
            .lines()
            .filter(|line| line.trim_start().starts_with("1 "));
        assert_eq!(intact.count(), 1, "{table}");
        assert!(table.contains("checkpoint 2 cannot be used: "), "{table}");
        let object = assert_fails(&[list, &["--format", "json"]].concat(), 1, &parts);
        let listed: Value = serde_json::from_str(&object).expect("one object");
        let listed = &listed["checkpoints"];
        assert!(listed[0]["error"].is_string(), "{object}");
        assert_eq!(listed[1]["checkpoint"], 1);
    }
}

#[test]
fn directory_without_checkpoints_is_an_error() {
    let directory = tempfile::tempdir().expect("a directory");
    let empty = text(directory.path());
    assert_fails(
        &["checkpoints", empty],
        1,
        &["there is no checkpoint in", empty],
    );
    let missing = directory.path().join("missing");
    assert_fails(
        &["checkpoints", text(&missing), "verify"],
        1,
        &["there is no directory"],
    );
    let file = directory.path().join("file");
    fs::write(&file, "").expect("writable");
    assert_fails(&["checkpoints", text(&file)], 1, &["is no directory"]);
    assert_fails(
        &["checkpoints", empty, "inspect", "7"],
        1,
        &["there is no checkpoint"],
    );
}
