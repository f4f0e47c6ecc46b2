//! `thalweg bench`: rows and checksums match those of loops over the inputs, at every parallelism.

mod checkpoint;
mod data;
mod oracle;

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::program;

use data::{Data, data};
use oracle::{Answer, oracle};

/// Runs the command, which must succeed; returns its standard output.
#[track_caller]
fn bench(arguments: &[&str]) -> String {
    program::succeed_silently(&[&["bench"], arguments].concat())
}

/// The names of all queries except those that [`crate::nexmark`] checks against other oracles.
fn queries() -> Vec<String> {
    let list = bench(&["--list"]);
    let names = list
        .lines()
        .map(|line| line.split(' ').next().expect("a name"));
    let names = names.filter(|name| !crate::nexmark::QUERIES.contains(name));
    names.map(str::to_owned).collect()
}

/// The query and the answer that a report line contains.
fn reported(line: &str) -> (String, Answer) {
    let run: Value = serde_json::from_str(line).expect("JSON");
    let number = |name: &str| run[name].as_u64().expect(name);
    let (seconds, rate) = (&run["seconds"], &run["records_per_second"]);
    let (seconds, rate) = (
        seconds.as_f64().expect("a number"),
        rate.as_f64().expect("a number"),
    );
    assert!(
        (rate * seconds / number("records") as f64 - 1.0).abs() < 1e-3,
        "{line}"
    );
    assert!(run["user_cpu_ns_per_record"].as_f64().expect("a number") >= 0.0);
    let checksum = run["checksum"].as_str().expect("text");
    assert_eq!(checksum.len(), 16);
    let answer = Answer {
        records: number("records"),
        rows: number("rows"),
        checksum: u64::from_str_radix(checksum, 16).expect("hexadecimal"),
    };
    (run["query"].as_str().expect("text").to_owned(), answer)
}

/// Runs every query over the inputs in `directory` and checks that the answers are those for `data`.
#[track_caller]
fn assert_answers(data: &Data, directory: &Path, options: &[&str]) {
    let names = queries();
    let names: Vec<_> = names.iter().map(|name| &**name).collect();
    let directory = ["--data", directory.to_str().expect("text")];
    let format = ["--format", "json", "--no-warm-up"];
    let runs = bench(&[&names, &directory[..], &format, options].concat());
    for (line, name) in runs.lines().zip(&names) {
        let expected = ((*name).to_owned(), oracle(name, data));
        assert!(expected.1.rows > 0, "{name} shows nothing");
        assert_eq!(reported(line), expected, "{options:?}");
    }
    assert_eq!(runs.lines().count(), names.len());
}

#[test]
fn answers_are_those_of_the_oracle_at_every_parallelism() {
    let directory = tempfile::tempdir().expect("a directory");
    let data = data(1, 0);
    data.write(directory.path(), "");
    for parallelism in ["1", "2", "3"] {
        assert_answers(&data, directory.path(), &["--parallelism", parallelism]);
    }
}

#[test]
fn disorder_up_to_the_jitter_changes_no_answer() {
    let directory = tempfile::tempdir().expect("a directory");
    let data = data(2, 3000);
    data.write(directory.path(), "_late");
    for parallelism in ["1", "2", "3"] {
        let options = [
            "--jitter-ms",
            "3000",
            "--suffix",
            "_late",
            "-p",
            parallelism,
        ];
        assert_answers(&data, directory.path(), &options);
    }
}

#[test]
fn limit_reads_the_first_records_of_every_input() {
    let directory = tempfile::tempdir().expect("a directory");
    let data = data(3, 0);
    data.write(directory.path(), "");
    let first = data.first(2500);
    for parallelism in ["1", "2"] {
        assert_answers(
            &first,
            directory.path(),
            &["--limit", "2500", "-p", parallelism],
        );
    }
}

#[test]
fn every_run_is_reported_and_the_warm_up_is_not() {
    let directory = tempfile::tempdir().expect("a directory");
    let data = data(4, 0);
    data.write(directory.path(), "");
    let path = directory.path().to_str().expect("text");
    let json = bench(&["q2", "--data", path, "--runs", "3", "--format", "json"]);
    let number = |line: &str| {
        let run: Value = serde_json::from_str(line).expect("JSON");
        run["run"].as_u64().expect("a number")
    };
    assert_eq!(json.lines().map(number).collect::<Vec<_>>(), [1, 2, 3]);
    let text = bench(&["q2", "keysum-1k", "--data", path]);
    let checksum = format!("{:016x}", oracle("q2", &data).checksum);
    let lines: Vec<_> = text.lines().collect();
    assert!(
        lines[0].starts_with("q2") && lines[0].ends_with(&checksum),
        "{text}"
    );
    assert!(lines[1].starts_with("keysum-1k"), "{text}");
    assert_eq!(lines.len(), 2);
}

/// Checks that the command fails with this exit code and one line that contains all of `parts`, and reports nothing.
#[track_caller]
fn assert_fails(arguments: &[&str], code: i32, parts: &[&str]) {
    let told = program::assert_fails(&[&["bench"], arguments].concat(), code, parts);
    assert_eq!(told, "", "{arguments:?}");
}

#[test]
fn input_that_is_missing_or_cut_off_is_named_with_the_cure() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().to_str().expect("text");
    let cure = format!("`thalweg generate --data {path}`");
    let file = |name: &str| {
        directory
            .path()
            .join(name)
            .to_str()
            .expect("text")
            .to_owned()
    };
    for (query, name) in [
        ("q0", "bids.bin"),
        ("q3", "persons.bin"),
        ("wordcount", "words.txt"),
    ] {
        let parts = [&*file(name), "does not exist", &cure];
        assert_fails(&[query, "--data", path], 1, &parts);
        assert_fails(&[query, "--data", path, "-p", "2"], 1, &parts);
    }
    data(5, 0).write(directory.path(), "");
    let auctions = file("auctions.bin");
    let cut = fs::read(&auctions).expect("the file is there").len() as u64 - 5;
    let opened = fs::File::options().write(true).open(&auctions);
    opened.and_then(|file| file.set_len(cut)).expect("cut off");
    let parts = [&*auctions, &cut.to_string(), "records of 48 bytes", &cure];
    assert_fails(&["q3", "--data", path], 1, &parts);
}

#[test]
fn generated_input_that_was_cut_between_records_or_mixed_up_is_named_with_the_cure() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().to_str().expect("text");
    let small = ["--bids", "1000", "--keys", "100", "--words-bytes", "2000"];
    program::succeed(&[&["generate", "--data", path], &small[..]].concat());
    let file = |name: &str| directory.path().join(name);
    let cut = |name: &str, length: u64| {
        let opened = fs::File::options().write(true).open(file(name));
        opened.and_then(|file| file.set_len(length)).expect("cut");
    };
    bench(&["q0", "--data", path]);
    cut("bids.bin", 32 * 500);
    fs::copy(file("bids.bin"), file("keys_1k.bin")).expect("copied");
    cut("words.txt", 1000);
    for (query, name) in [
        ("q0", "bids.bin"),
        ("keysum-1k", "keys_1k.bin"),
        ("wordcount", "words.txt"),
    ] {
        let parts = [name, "when it was generated", "--force"];
        assert_fails(&[query, "--data", path], 1, &parts);
    }
}

#[test]
fn input_without_sensible_records_is_named_with_the_cure() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().to_str().expect("text");
    let bids = directory.path().join("bids.bin");
    let cure = format!("`thalweg generate --data {path}`");
    let sensible = [0_u8; 32];
    for records in [[[0xA5; 32], sensible], [sensible, [0xA5; 32]]] {
        fs::write(&bids, records.concat()).expect("written");
        let parts = [bids.to_str().expect("text"), "times", &cure];
        assert_fails(&["q5", "--data", path], 1, &parts);
    }
}

#[test]
fn empty_input_is_named_with_the_cure() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().to_str().expect("text");
    fs::write(directory.path().join("bids_x10.bin"), "").expect("written");
    let query = ["q0", "--data", path, "--suffix", "_x10"];
    let cure = format!("`thalweg generate --data {path} --x10`");
    assert_fails(&query, 1, &["q0", path, "holds no records", &cure]);
}

#[test]
fn dropped_late_records_are_counted_on_standard_error() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().to_str().expect("text");
    data(6, 3000).write(directory.path(), "");
    let ended = program::run(&["bench", "q7", "--data", path, "--runs", "2"]);
    assert!(ended.status.success());
    let told = String::from_utf8(ended.stderr).expect("text");
    assert!(
        told.starts_with("q7: ") && told.contains("--jitter-ms"),
        "{told}"
    );
    assert_eq!(told.lines().count(), 1, "{told}");
}

#[test]
fn wrong_usage_is_told_apart() {
    assert_fails(&["q4711"], 2, &["q4711"]);
    assert_fails(&[], 2, &["required arguments"]);
    assert_fails(&["q0", "--parallelism", "0"], 2, &["--parallelism"]);
    assert_fails(&["q0", "--limit", "x"], 2, &["--limit"]);
}
