//! `thalweg delays`: the program's results match those of a loop over the file, at every parallelism.

mod oracle;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;

use crate::program::{assert_fails, command, succeed, succeed_silently, succeed_telling};

use oracle::{Answers, answers};

const HOUR: i64 = 3600;

fn data(name: &str) -> PathBuf {
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    project.join("src/bin/thalweg/data").join(name)
}

fn month() -> PathBuf {
    data("flights-2013-01.csv.gz")
}

/// Checks that the results of a run are `answers`, byte for byte and in order.
#[track_caller]
fn assert_results(results: &str, answers: &Answers) {
    for (result, expected) in results.lines().zip(&answers.lines) {
        assert_eq!(result, expected);
    }
    assert_eq!(results.lines().count(), answers.lines.len());
}

#[test]
fn without_late_flights_the_results_are_the_group_by_of_the_file_at_every_parallelism() {
    let answers = answers(&month(), &data("airlines.csv"), 48 * HOUR);
    assert_eq!((answers.flights, answers.late), (27_004, 0));
    for parallelism in ["1", "2", "3", "8"] {
        let options = [
            "--out-of-orderness",
            "48h",
            "--format",
            "json",
            "--parallelism",
        ];
        let (results, summary) = succeed_telling(&[&options[..], &[parallelism]].concat());
        assert_results(&results, &answers);
        assert!(summary.contains("27,004 flights"), "{summary}");
        assert!(summary.contains("late      0 flights"), "{summary}");
    }
}

#[test]
fn late_flights_are_the_same_on_every_run_and_all_others_are_counted() {
    let answers = answers(&month(), &data("airlines.csv"), 16 * HOUR);
    assert_eq!(answers.counted + answers.late, answers.flights);
    assert_eq!(answers.late, 1_065);
    for parallelism in ["1", "2", "3", "8", "2"] {
        let (results, summary) = succeed_telling(&["delays", "--format=json", "-p", parallelism]);
        assert_results(&results, &answers);
        assert!(summary.contains("late      1,065 flights"), "{summary}");
    }
}

#[test]
#[ignore = "a year of flights is no part of the project: with the file of nycflights13, run \
            `THALWEG_FLIGHTS=…/flights.csv.gz cargo test --test it -- --ignored whole_year`"]
fn the_results_of_a_whole_year_are_its_group_by_too() {
    let path = std::env::var_os("THALWEG_FLIGHTS").map(PathBuf::from);
    let path = path.expect("`THALWEG_FLIGHTS` is the path of a file of flights");
    // The months are ordered by their names: 1, 10, 11, 12, 2 and so on.
    let answers = answers(&path, &data("airlines.csv"), 366 * 24 * HOUR);
    let path = path.to_str().expect("text");
    let options = [
        "--input",
        path,
        "--out-of-orderness",
        "366d",
        "--format",
        "json",
        "-p2",
    ];
    assert_results(&succeed(&options), &answers);
    assert_eq!(answers.late, 0);
}

/// The names of a directory's files, and their lines in order.
fn parts(directory: &Path) -> (Vec<String>, Vec<String>) {
    let entries = fs::read_dir(directory).expect("a directory");
    let entries: Vec<_> = entries.map(|entry| entry.expect("an entry")).collect();
    let names = entries
        .iter()
        .map(|entry| entry.file_name().to_string_lossy().into_owned());
    let texts = entries
        .iter()
        .map(|entry| fs::read_to_string(entry.path()).expect("text"));
    let mut lines: Vec<_> = texts
        .flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>())
        .collect();
    lines.sort_unstable();
    (names.collect(), lines)
}

fn sorted(text: &str) -> Vec<String> {
    let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
    lines.sort_unstable();
    lines
}

#[test]
fn part_files_hold_every_result_and_nothing_else_is_left() {
    let json = succeed(&["--format", "json"]);
    let csv = succeed(&["--format", "csv"]);
    for (format, expected) in [("json", &json), ("csv", &csv), ("table", &json)] {
        let directory = tempfile::tempdir().expect("a directory");
        let output = directory.path().join("made/by/the/job");
        let path = output.to_str().expect("text");
        let stdout = succeed(&["--output", path, "--format", format, "-p", "3"]);
        let (names, mut lines) = parts(&output);
        assert!(
            names.iter().all(|name| name.starts_with("part-")),
            "{names:?}"
        );
        assert!(names.len() > 1, "{names:?}");
        assert_eq!(stdout.is_empty(), format != "table");
        if format == "csv" {
            let header = csv.lines().next().expect("a header");
            lines.retain(|line| line != header);
            lines.push(header.to_owned());
            lines.sort_unstable();
        }
        assert_eq!(lines, sorted(expected), "{format}");
    }
}

#[test]
fn rows_are_the_objects_and_the_table_shows_the_worst_of_them() {
    let json = succeed(&["--format", "json"]);
    let (csv, summary) = succeed_telling(&["--format", "csv"]);
    assert!(
        summary.contains("region 0") && summary.contains("latency"),
        "{summary}"
    );
    let mut rows = csv.lines();
    let header: Vec<_> = rows.next().expect("a header").split(',').collect();
    for (row, object) in rows.clone().zip(json.lines()) {
        let object: Value = serde_json::from_str(object).expect("JSON");
        for (column, field) in header.iter().zip(row.split(',')) {
            match &object[column] {
                Value::Null => assert_eq!(field, ""),
                Value::String(text) => assert_eq!(field, text),
                number => {
                    let number = number.as_f64().expect("a number");
                    let field: f64 = field.parse().expect("a number");
                    assert!((field - number).abs() < 1e-9, "{row}");
                }
            }
        }
    }
    assert_eq!(rows.count(), json.lines().count());

    let table = succeed_silently(&[]);
    assert!(table.starts_with("region 0: flights"), "{table}");
    assert!(table.contains("218.2 min"), "{table}");
    assert!(table.lines().count() < 50, "{table}");
}

#[test]
fn plan_is_printed_and_nothing_runs() {
    for parallelism in ["1", "2"] {
        let text = succeed(&["--plan", "text", "-p", parallelism]);
        assert!(text.starts_with("region 0: flights"), "{text}");
        assert!(!text.contains("records "), "{text}");
        let dot = succeed(&["--plan=dot", "-p", parallelism]);
        assert!(dot.starts_with("digraph"), "{dot}");
        let json = succeed(&["--plan", "json", "-p", parallelism]);
        let plan: Value = serde_json::from_str(&json).expect("JSON");
        assert_eq!(plan["nodes"][0]["name"], "flights");
    }
    assert_eq!(succeed(&["--plan"]), succeed(&["--plan", "text"]));
}

/// A file of flights with these rows: carrier, minute and delay.
fn flights(directory: &Path, rows: &[(&str, &str, &str)]) -> String {
    let mut text = String::from("carrier,origin,dep_time,dep_delay,minute,time_hour\n");
    for (carrier, minute, delay) in rows {
        text += &format!("{carrier},JFK,517,{delay},{minute},2013-01-01T10:00:00Z\n");
    }
    let path = directory.join("flights.csv");
    fs::write(&path, text).expect("written");
    path.to_str().expect("text").to_owned()
}

#[test]
fn bad_input_is_one_line_that_names_the_thing_and_the_cure() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().to_str().expect("text");
    assert_fails(&["--input", "no/such.csv"], 1, &["no/such.csv", "--input"]);
    assert_fails(&["--airlines", "none.csv"], 1, &["none.csv", "--airlines"]);
    assert_fails(&["--input", path], 1, &[path, "directory", "--input"]);
    let airlines = data("airlines.csv");
    let airlines = airlines.to_str().expect("text");
    assert_fails(
        &["--input", airlines],
        1,
        &[airlines, "no column `dep_time`", "`name`"],
    );
    let not_zipped = directory.path().join("flights.csv.gz");
    fs::copy(airlines, &not_zipped).expect("copied");
    let not_zipped = not_zipped.to_str().expect("text");
    assert_fails(
        &["--input", not_zipped],
        1,
        &[not_zipped, "not a gzip file"],
    );
    let occupied = format!("{airlines}/out");
    assert_fails(&["--output", &occupied], 1, &[&occupied]);

    let bad = [
        (("UA", "x", "1"), "`x` is not a number"),
        (("UA", "60", "1"), "`60` is over 59"),
        (("UA", "5", "soon"), "`soon` is not a number"),
        (("UNITED", "5", "1"), "`UNITED` is not a code"),
    ];
    for (row, reason) in bad {
        let path = flights(directory.path(), &[("UA", "1", "1"), row]);
        let parts = [&*path, "line 3", reason, "--malformed skip"];
        assert_fails(&["--input", &path], 1, &parts);
    }

    assert_fails(&["--parallelism", "0"], 2, &["'0'", "--parallelism"]);
    assert_fails(&["--rate", "0"], 2, &["--rate"]);
    assert_fails(&["--out-of-orderness", "48"], 2, &["48", "30m"]);
    assert_fails(&["--format", "xml"], 2, &["xml", "--format"]);
    assert_fails(&["--speed", "9"], 2, &["--speed"]);
}

#[test]
fn a_file_without_rows_is_refused_unless_its_header_has_every_column() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("rows.csv");
    let path = path.to_str().expect("text");
    for option in ["--input", "--airlines"] {
        fs::write(path, "").expect("written");
        assert_fails(&[option, path], 1, &[path, "empty", "name the columns"]);
    }
    let of_flights = "carrier,origin,dep_time,dep_delay,minute,time_hour";
    for (option, header) in [("--input", of_flights), ("--airlines", "carrier,name")] {
        for column in header.split(',') {
            let others: Vec<_> = header.split(',').filter(|other| *other != column).collect();
            fs::write(path, others.join(",")).expect("written");
            let missing = format!("no column `{column}`");
            assert_fails(&[option, path], 1, &[path, &missing]);
        }
    }
    fs::write(path, of_flights).expect("written");
    let (results, summary) = succeed_telling(&["--input", path, "--format", "json"]);
    assert_eq!(results, "");
    assert!(summary.contains("0 flights"), "{summary}");
}

#[test]
fn malformed_rows_are_left_out_and_counted_if_asked() {
    let directory = tempfile::tempdir().expect("a directory");
    let rows = [("UA", "1", "3"), ("UA", "x", "9"), ("ZZ", "2", "NA")];
    let path = flights(directory.path(), &rows);
    let (results, summary) =
        succeed_telling(&["--input", &path, "--malformed", "skip", "--format", "json"]);
    assert!(summary.contains("malformed 1 rows"), "{summary}");
    let results: Vec<Value> = results
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(results.len(), 3);
    assert_eq!(results[0]["max_departure_delay_minutes"], 3);
    // A carrier not listed in the second file, with no departed flights.
    assert_eq!(
        (&results[1]["key"], &results[1]["name"]),
        (&"ZZ".into(), &Value::Null)
    );
    assert_eq!(results[1]["mean_departure_delay_minutes"], Value::Null);
    assert_eq!(results[2]["flights"], 2);

    let names = directory.path().join("names.csv");
    std::fs::write(&names, "carrier,name\nUNITED,No code\nUA,United\n").expect("a file");
    let names = names.to_str().expect("text");
    let (_, summary) = succeed_telling(&[
        "--input",
        &path,
        "--airlines",
        names,
        "--malformed",
        "skip",
        "--format",
        "json",
    ]);
    assert!(summary.contains("malformed 2 rows"), "{summary}");
}

#[test]
fn closed_pipe_is_no_error() {
    for format in ["json", "table"] {
        let mut command = command(&["--format", format]);
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("starts");
        let stdout = child.stdout.take().expect("piped");
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line).expect("a line");
        assert!(!line.is_empty());
        let output = child.wait_with_output().expect("ends");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{stderr}");
        assert!(!stderr.contains("error"), "{stderr}");
    }
}

#[test]
fn files_are_written_though_nobody_reads_the_standard_output() {
    let directory = tempfile::tempdir().expect("a directory");
    let out = directory.path().join("out");
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let mut command = command(&["--output", out.to_str().expect("text")]);
    let status = command.stdout(writer).stderr(Stdio::null()).status();
    assert!(status.expect("starts").success());
    assert!(std::fs::read_dir(&out).expect("written").count() > 0);
}

#[test]
fn rate_is_kept_and_plain_files_are_read() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = flights(directory.path(), &[("UA", "1", "1"); 21]);
    let started = std::time::Instant::now();
    let results = succeed(&["--input", &path, "--rate", "100", "--format", "json"]);
    assert!(started.elapsed().as_millis() >= 200);
    assert!(
        results.contains(r#""key":"UA","name":"United Air Lines Inc.""#),
        "{results}"
    );
    assert!(results.contains(r#""flights":21,"#), "{results}");
}
