//! `thalweg bench`: every query's rows match those of a loop over its input, at every parallelism.

mod auctions;
mod days;
mod tally;
mod text;

use std::fs;
use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use crate::program::succeed;

use tally::Tally;

/// The queries that are checked against the oracles here; [`crate::bench`] checks the others.
pub(crate) const QUERIES: [&str; 15] = [
    "q4", "q6", "q9", "q11", "q12", "q13", "q14", "q15", "q16", "q17", "q18", "q19", "q20", "q21",
    "q22",
];

/// A bid: auction, bidder, price, time.
type Bid = [u64; 4];

/// An auction: id, seller, category, initial bid, start, end.
type Auction = [u64; 6];

/// Generated files and their contents.
struct Inputs {
    directory: TempDir,
    jitter_ms: u64,
    bids: Vec<Bid>,
    auctions: Vec<Auction>,
}

impl Inputs {
    /// Generates `bids` bids at `rate` events per second, with disorder of up to `jitter_ms`.
    fn generate(bids: u64, rate: u64, jitter_ms: u64) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let number = |number: u64| number.to_string();
        succeed(&[
            "generate",
            "--only=nexmark",
            "--data",
            directory.path().to_str().expect("text"),
            "--bids",
            &number(bids),
            "--rate",
            &number(rate),
            "--jitter-ms",
            &number(jitter_ms),
        ]);
        Inputs {
            jitter_ms,
            bids: records(directory.path(), "bids.bin"),
            auctions: records(directory.path(), "auctions.bin"),
            directory,
        }
    }

    /// The options with which the program reads these files.
    fn options(&self) -> [String; 4] {
        let data = self.directory.path().to_str().expect("text");
        let jitter_ms = self.jitter_ms.to_string();
        [
            "--data".into(),
            data.into(),
            "--jitter-ms".into(),
            jitter_ms,
        ]
    }

    /// Checks that each query produces what its oracle says for these files.
    #[track_caller]
    fn assert_rows(&self, queries: &[(&str, usize, Tally)]) {
        let options = self.options();
        assert_rows(&options.each_ref().map(String::as_str), queries);
    }
}

/// Runs queries; returns the number of records that each has read, and the tally of its rows.
fn run(parallelism: u32, options: &[&str], queries: &[&str]) -> Vec<(u64, Tally)> {
    let parallelism = parallelism.to_string();
    let fixed = [
        "bench",
        "--format=json",
        "--no-warm-up",
        "-p",
        &*parallelism,
    ];
    let runs = succeed(&[&fixed[..], options, queries].concat());
    let reported = runs.lines().zip(queries).map(|(line, query)| {
        let run: Value = serde_json::from_str(line).expect("JSON");
        let name = run["query"].as_str().expect("text");
        assert_eq!(name.trim_end_matches("-strings"), *query);
        let records = run["records"].as_u64().expect("a number");
        (records, Tally::reported(&run))
    });
    let reported: Vec<_> = reported.collect();
    assert_eq!(reported.len(), queries.len());
    reported
}

/// Checks that each query reads the given number of records and produces the expected tally, at parallelism 1, 2 and
/// 3.
#[track_caller]
fn assert_rows(options: &[&str], queries: &[(&str, usize, Tally)]) {
    let names: Vec<_> = queries.iter().map(|(query, ..)| *query).collect();
    for parallelism in 1..=3 {
        let runs = run(parallelism, options, &names);
        for ((read, found), (query, records, expected)) in runs.into_iter().zip(queries) {
            let run = format!("{query} at parallelism {parallelism}");
            assert_eq!((read, found), (*records as u64, *expected), "{run}");
            assert!(expected.rows > 0, "{query} shows nothing");
        }
    }
}

/// The records of a file.
fn records<const N: usize>(directory: &Path, name: &str) -> Vec<[u64; N]> {
    let bytes = fs::read(directory.join(name)).expect("the file is there");
    let numbers = bytes.chunks_exact(8);
    let numbers: Vec<_> = numbers
        .map(|bytes| u64::from_le_bytes(bytes.try_into().expect("eight")))
        .collect();
    let (records, rest) = numbers.as_chunks::<N>();
    assert!(rest.is_empty(), "{name} ends in a part of a record");
    records.to_vec()
}
