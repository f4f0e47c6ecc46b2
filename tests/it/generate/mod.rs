//! `thalweg generate`: the same bytes for the same options, and never a partial file under its final name.

mod interrupted;

use std::fs;
use std::path::Path;

use tempfile::TempDir;
use xxhash_rust::xxh3::xxh3_64;

use crate::program::{assert_fails, succeed};

/// A temporary directory and its path as an argument.
fn directory() -> (TempDir, String) {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().to_str().expect("text").to_owned();
    (directory, path)
}

fn generate(data: &str, options: &[&str]) -> String {
    succeed(&[&["generate", "--data", data], options].concat())
}

/// The numbers of a file of records.
fn numbers(directory: &Path, name: &str) -> Vec<u64> {
    let bytes = fs::read(directory.join(name)).expect("the file is there");
    let (numbers, rest) = bytes.as_chunks::<8>();
    assert!(rest.is_empty(), "{name} ends in a part of a number");
    numbers.iter().map(|n| u64::from_le_bytes(*n)).collect()
}

/// The names in a directory, in order, but for the sizes that `bench` compares.
fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("a directory");
    let names = entries.map(|entry| entry.expect("an entry").file_name());
    let mut names: Vec<_> = names
        .map(|name| name.into_string().expect("text"))
        .filter(|name| name != ".sizes")
        .collect();
    names.sort_unstable();
    names
}

const SMALL: [&str; 6] = [
    "--bids",
    "10000",
    "--keys",
    "1000",
    "--words-bytes",
    "20000",
];

#[test]
fn bytes_are_those_of_the_specification() {
    // Pinned from a second, independent implementation of the specification.
    let pinned = [
        ("persons.bin", 0x1913_03d4_f9fe_a5d4),
        ("auctions.bin", 0xf24d_a969_6fb4_9f48),
        ("bids.bin", 0x04e9_eb87_105c_10aa),
        ("keys_1k.bin", 0xd950_5b72_d55b_e47e),
        ("keys_1m.bin", 0x7478_317b_47d4_5d94),
        ("keys_10m.bin", 0x7600_00fc_654b_9265),
        ("keys_zipf_1m.bin", 0x7a27_30b1_40f1_4574),
        ("words.txt", 0x308e_6bd8_d860_70aa),
        ("persons_j.bin", 0x8535_ab96_e525_a264),
        ("auctions_j.bin", 0xb3a7_8954_db96_8acf),
        ("bids_j.bin", 0x1bd6_6862_a70e_5459_u64),
    ];
    let (directory, path) = directory();
    let mut summary = generate(&path, &SMALL);
    let jitter = ["--jitter-ms", "100", "--suffix", "_j", "--only", "nexmark"];
    summary += &generate(&path, &[&SMALL[..], &jitter].concat());
    for (name, hash) in pinned {
        let bytes = fs::read(directory.path().join(name)).expect("the file is there");
        assert_eq!(xxh3_64(&bytes), hash, "{name}");
        let row = summary
            .lines()
            .find(|line| line.contains(&format!(" {name} ")));
        let row = row.expect("every file has a row");
        assert!(row.contains(&format!("{hash:016x}")), "{row}");
        assert!(row.trim_end().ends_with("written"), "{row}");
    }
    assert_eq!(names(directory.path()).len(), pinned.len());
}

#[test]
fn of_fifty_events_one_is_a_person_three_are_auctions_and_the_rest_bids() {
    let (directory, path) = directory();
    generate(&path, &["--bids", "46000", "--only", "nexmark", "--x10"]);
    let count = |name, fields| numbers(directory.path(), name).len() / fields;
    assert_eq!(count("persons.bin", 4), 1000);
    assert_eq!(count("auctions.bin", 6), 3000);
    assert_eq!(count("bids.bin", 4), 46_000);
    let all = numbers(directory.path(), "persons_x10.bin");
    assert_eq!(all.len(), 40_000);
    assert_eq!(all[..4000], numbers(directory.path(), "persons.bin"));
    let all = numbers(directory.path(), "auctions_x10.bin");
    assert_eq!(all.len(), 6 * 30_000);
    assert_eq!(all[..18_000], numbers(directory.path(), "auctions.bin"));

    // Ten thousand events per second.
    let bids = numbers(directory.path(), "bids.bin");
    let times = || bids.chunks(4).map(|bid| bid[3]);
    assert!(times().is_sorted());
    let duration = times().max().expect("bids") - times().min().expect("bids");
    assert_eq!(duration, 4_999);
}

#[test]
fn jitter_leaves_no_record_further_behind_and_loses_none() {
    let (directory, path) = directory();
    let options = ["--bids", "20000", "--only", "nexmark", "--seed", "9"];
    generate(&path, &options);
    let late = ["--jitter-ms", "250", "--suffix", "_late"];
    generate(&path, &[&options[..], &late].concat());
    for (kind, fields, time) in [("persons", 4, 3), ("auctions", 6, 4), ("bids", 4, 3)] {
        let read = |suffix: &str| numbers(directory.path(), &format!("{kind}{suffix}.bin"));
        let (sorted, late) = (read(""), read("_late"));
        let (mut newest, mut behind) = (0, 0);
        for record in late.chunks(fields) {
            newest = newest.max(record[time]);
            behind = behind.max(newest - record[time]);
        }
        assert!((200..=250).contains(&behind), "{kind}: {behind} ms behind");
        let multiset = |records: &[u64]| {
            let mut records: Vec<_> = records.chunks(fields).map(<[_]>::to_vec).collect();
            records.sort_unstable();
            records
        };
        assert_eq!(multiset(&late), multiset(&sorted), "{kind}");
    }
}

#[test]
fn second_run_checks_and_keeps_what_is_there() {
    let (directory, path) = directory();
    generate(&path, &SMALL);
    let modified = || {
        let files = names(directory.path()).into_iter();
        let files = files.map(|name| fs::metadata(directory.path().join(name)).expect("there"));
        let times = files.map(|file| file.modified().expect("a time"));
        times.collect::<Vec<_>>()
    };
    let before = modified();
    let summary = generate(&path, &SMALL);
    assert_eq!(summary.matches("unchanged").count(), 8, "{summary}");
    assert_eq!(modified(), before);

    let bids = || fs::read(directory.path().join("bids.bin")).expect("there");
    let old = bids();
    let other = [&SMALL[..], &["--seed", "43", "--only", "bids"]].concat();
    let arguments = [&["generate", "--data", &path], &other[..]].concat();
    assert_fails(&arguments, 1, &["bids.bin", "other data", "--force"]);
    assert_eq!(bids(), old);
    let summary = generate(&path, &[&other[..], &["--force"]].concat());
    assert_eq!(summary.matches("written").count(), 1, "{summary}");
    assert_ne!(bids(), old);
    assert_eq!(names(directory.path()).len(), 8);
}

#[test]
fn parts_are_made_alone_and_alike() {
    let (all, all_path) = directory();
    generate(&all_path, &SMALL);
    let parts = [
        ("persons", 1),
        ("auctions", 1),
        ("bids", 1),
        ("keys", 4),
        ("words", 1),
        ("nexmark", 3),
        ("words,persons", 2),
    ];
    for (part, files) in parts {
        let (some, path) = directory();
        generate(&path, &[&SMALL[..], &["--only", part]].concat());
        let names = names(some.path());
        assert_eq!(names.len(), files, "{part}: {names:?}");
        for name in names {
            let read = |directory: &TempDir| fs::read(directory.path().join(&name)).expect("there");
            assert_eq!(read(&some), read(&all), "{name}");
        }
    }
}

#[test]
fn empty_inputs_are_empty_files() {
    let (directory, path) = directory();
    generate(&path, &["--bids", "0", "--keys", "0", "--words-bytes", "0"]);
    for name in names(directory.path()) {
        let bytes = fs::read(directory.path().join(&name)).expect("there");
        assert!(bytes.is_empty(), "{name}");
    }
    assert_eq!(names(directory.path()).len(), 8);
}

#[test]
fn place_that_cannot_hold_the_files_is_named() {
    let (directory, path) = directory();
    let file = directory.path().join("file");
    fs::write(&file, "").expect("written");
    let file = file.to_str().expect("text");
    assert_fails(&["generate", "--data", file], 1, &[file, "not a directory"]);
    let inside = format!("{file}/data");
    assert_fails(&["generate", "--data", &inside], 1, &[&inside]);
    fs::create_dir(directory.path().join("persons.bin")).expect("made");
    let arguments = [&["generate", "--data", &path], &SMALL[..]].concat();
    assert_fails(&arguments, 1, &["persons.bin", "is a directory"]);

    assert_fails(&["generate", "--rate", "0"], 2, &["--rate", "0"]);
    assert_fails(&["generate", "--only", "cars"], 2, &["--only", "cars"]);
    assert_fails(&["generate", "--suffix", "a/b"], 2, &["--suffix", "slash"]);
    for arguments in [
        &["generate", "--suffix", "_x10"][..],
        &["generate", "--x10", "--suffix", "_x10"],
    ] {
        assert_fails(arguments, 2, &["_x10", "--x10 makes them"]);
    }
}
