//! Jobs that read and write files: each line is read once and each row is visible once, however often the job is
//! killed and at whatever parallelism it resumes.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use thalweg::checkpoint::{HeapStorage, Storage};
use thalweg::operator::Source;
use thalweg::prelude::*;
use thalweg::runtime::Step;

const LINES: u64 = 1_500;
const KEYS: u64 = 11;

/// Running counts of the numbers in lines by key, into part files.
fn running_counts<S: Source<Out = str>>(
    source: S,
    parallelism: u32,
    storage: &Arc<dyn Storage>,
    output: &Path,
) -> Environment {
    let env = Environment::new()
        .parallelism(parallelism)
        .ring_capacity(2048)
        .checkpoints(Checkpoints::on_request().to_storage(Arc::clone(storage)))
        .restore(RestoreFrom::Latest);
    let rows = FileSink::lines(output);
    env.source("lines", source)
        .map(|line: &str| line.parse::<u64>().expect("a number"))
        .key_by(|n| n % KEYS)
        .aggregate_with(Count, |key, count| [*key, count])
        .uid("counts")
        .sink(
            "parts",
            rows.with(|row: &[u64; 2], f| write!(f, "{} {}", row[0], row[1])),
        );
    env
}

/// The visible part files.
fn parts(output: &Path) -> BTreeMap<String, String> {
    let mut parts = BTreeMap::new();
    for entry in fs::read_dir(output).into_iter().flatten() {
        let path = entry.expect("an entry").path();
        let name = path
            .file_name()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        if !name.starts_with('.') {
            parts.insert(name, fs::read_to_string(path).expect("text"));
        }
    }
    parts
}

fn xorshift(random: &mut u64) -> u64 {
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    *random
}

/// Runs the job, kills it several times, and finally lets it finish.
fn survives<S: Source<Out = str>>(make: impl Fn() -> S, seeds: std::ops::Range<u64>) {
    let of_key = |key: u64| (1..=(LINES - key).div_ceil(KEYS)).map(move |n| format!("{key} {n}"));
    let mut expected: Vec<String> = (0..KEYS).flat_map(of_key).collect();
    expected.sort();
    for seed in seeds {
        let mut random = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let dir = tempfile::tempdir().expect("a directory");
        let output = dir.path().join("out");
        let storage: Arc<dyn Storage> = Arc::new(HeapStorage::new());
        let (mut kills, mut finished, mut seen) = (0, false, BTreeMap::new());
        while !finished {
            let parallelism = [1, 2, 3, 8][(xorshift(&mut random) % 4) as usize];
            let env = running_counts(make(), parallelism, &storage, &output);
            let job = env.stepper("counts", ManualClock::new(Timestamp(0)));
            let mut job = job
                .expect("a job")
                .seeded(random)
                .batch(1 + (random % 64) as u32);
            let steps = if kills < 5 {
                xorshift(&mut random) % 60
            } else {
                u64::MAX
            };
            for _ in 0..steps {
                if xorshift(&mut random).is_multiple_of(5) {
                    job.checkpoint();
                }
                if job.step().expect("nothing fails") == Step::Finished {
                    finished = true;
                    break;
                }
            }
            drop(job);
            kills += 1;
            let now = parts(&output);
            let same = seen.iter().all(|(name, text)| now.get(name) == Some(text));
            assert!(same, "seed {seed}: what was visible has changed");
            seen = now;
        }
        let mut rows: Vec<String> = Vec::new();
        seen.values()
            .for_each(|text| rows.extend(text.lines().map(str::to_owned)));
        rows.sort();
        assert!(rows == expected, "seed {seed}, {kills} attempts");
    }
}

#[test]
fn each_line_of_a_directory_is_counted_once_however_often_the_job_is_killed() {
    let dir = tempfile::tempdir().expect("a directory");
    for file in 0..7 {
        let lines = (0..LINES)
            .filter(|n| n % 7 == file)
            .map(|n| format!("{n}\n"));
        fs::write(dir.path().join(file.to_string()), lines.collect::<String>()).expect("a file");
    }
    survives(|| LineSource::directory(dir.path()), 1..9);
}

#[test]
fn each_line_of_a_mapped_file_is_counted_once_however_often_the_job_is_killed() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("numbers.txt");
    let lines = (0..LINES).map(|n| format!("{n}\n"));
    fs::write(&path, lines.collect::<String>()).expect("a file");
    survives(|| LineBlocks::file(&path).block(100), 1..9);
}

#[test]
fn job_whose_directory_of_part_files_is_gone_fails_for_good() {
    let directory = tempfile::tempdir().expect("a directory");
    let out = directory.path().join("out");
    let storage: Arc<dyn Storage> = Arc::new(HeapStorage::new());
    let env_of = |parallelism: u32| {
        let checkpoints = Checkpoints::on_request().to_storage(Arc::clone(&storage));
        let env = Environment::new()
            .parallelism(parallelism)
            .workers(1)
            .restart(RestartStrategy::fixed(3, millis(1)))
            .restore(RestoreFrom::Latest)
            .checkpoints(checkpoints);
        // One subtask has all the records, and so the only part file.
        env.source("numbers", Sequence::new(0..1_000))
            .filter(|n| *n < 400)
            .sink("out", FileSink::lines(&out));
        env
    };
    env_of(2).execute("numbers").expect("it finishes");
    std::fs::remove_dir_all(&out).expect("it was there");
    for _ in 0..2 {
        let error = env_of(2)
            .execute("numbers")
            .expect_err("its output is gone");
        assert!(error.to_string().contains("is lost"), "{error}");
    }
}

#[test]
fn restored_job_that_watches_for_new_files_reads_none_again() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = |name: &str| directory.path().join(name);
    let storage: Arc<dyn Storage> = Arc::new(HeapStorage::new());
    let seen = Collected::new();
    let step_to_idle = |seconds: i64, restore| {
        let checkpoints = Checkpoints::on_request().to_storage(Arc::clone(&storage));
        let env = Environment::new().restore(restore).checkpoints(checkpoints);
        env.source("lines", LineSource::watch_new(directory.path(), secs(1)))
            .sink("seen", seen.sink_with(|line: &str, _| line.to_owned()));
        let clock = ManualClock::new(Timestamp::from_secs(seconds));
        let mut job = env.stepper("lines", clock).expect("a job");
        job.run().expect("it runs");
        job.checkpoint();
        assert_eq!(job.run().expect("it runs"), Step::Idle);
        assert!(job.completed_checkpoint().is_some());
        seen.take()
    };
    fs::write(file("a"), "one\n").expect("a file");
    assert_eq!(step_to_idle(0, RestoreFrom::Nothing), ["one"]);
    fs::write(file("a"), "one\ntwo\n").expect("a file");
    fs::write(file("b"), "three\n").expect("a file");
    assert_eq!(step_to_idle(10, RestoreFrom::Latest), ["three"]);
    fs::remove_file(file("a")).expect("it is there");
    assert!(step_to_idle(20, RestoreFrom::Latest).is_empty());
    fs::write(file("a"), "four\n").expect("a file");
    assert!(step_to_idle(30, RestoreFrom::Latest).is_empty());
}
