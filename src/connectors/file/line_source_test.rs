//! Tests of the line source, both initially and after a restore.

use super::*;
use crate::connectors::test_chain::{Chain, cuts, emitted_in_attempts, file};
use crate::operator::{Signal, SourceReader, SourceStatus};
use crate::time::{Timestamp, millis, secs};
use proptest::prelude::*;
use std::fs;

fn chain() -> Chain<str, String> {
    Chain::new(str::to_owned)
}

#[test]
fn lines_come_without_their_ends_and_the_position_counts_bytes() {
    let (_dir, path) = file("lines.txt", "one\ntwo\r\n\nlast");
    let mut chain = chain();
    let mut reader = LineSource::file(&path).reader(0, 1);
    chain.room = 2;
    reader.open(&chain.cx()).unwrap();
    assert_eq!(chain.poll(&mut reader), SourceStatus::More);
    let mut positions = Vec::new();
    reader.position(1, &mut positions).unwrap();
    let place = FilesLeft::of(&positions).unwrap().begun[0].place;
    assert_eq!((place.offset, place.lines), (9, 2));
    chain.room = usize::MAX;
    assert_eq!(chain.poll(&mut reader), SourceStatus::Finished);
    assert_eq!(chain.values(), ["one", "two", "", "last"]);
    assert!(chain.signals().is_empty());
}

#[test]
fn carriage_return_without_a_newline_belongs_to_its_line() {
    let (_dir, path) = file("lines.txt", "a\r\nb\rc\n\r\r\nlast\r");
    let mut chain = chain();
    chain.drain(&mut LineSource::file(&path).reader(0, 1));
    assert_eq!(chain.values(), ["a", "b\rc", "\r", "last\r"]);
}

#[test]
fn line_that_is_no_text_is_named() {
    let (_dir, path) = file("lines.txt", b"one\n\xff\n");
    let error = chain().try_drain(&mut LineSource::file(&path).reader(0, 1));
    let message = error.unwrap_err().to_string();
    assert!(
        message.ends_with("lines.txt, line 2: not valid UTF-8"),
        "{message}"
    );
}

#[test]
fn files_of_a_directory_are_splits_shared_by_the_readers() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["a", "b", "c"] {
        fs::write(dir.path().join(name), format!("{name}1\n{name}2\n")).unwrap();
    }
    let source = LineSource::directory(dir.path());
    source.start().unwrap();
    let mut readers = [source.reader(0, 2), source.reader(1, 2)];
    let mut chains = [chain(), chain()];
    chains[0].room = 3;
    readers[0].open(&chains[0].cx()).unwrap();
    assert_eq!(chains[0].poll(&mut readers[0]), SourceStatus::More);
    chains[1].drain(&mut readers[1]);
    chains[0].room = usize::MAX;
    assert_eq!(chains[0].poll(&mut readers[0]), SourceStatus::Finished);
    let mut all = [chains[0].values(), chains[1].values()].concat();
    all.sort();
    assert_eq!(all, ["a1", "a2", "b1", "b2", "c1", "c2"]);
    assert_eq!(chains[1].values().len(), 2);
    let [Signal::Split(a), Signal::SplitEnd(b)] = *chains[1].signals() else {
        panic!("{:?}", chains[1].signals());
    };
    assert_eq!(a, b);
}

#[test]
fn watched_directory_is_read_for_ever_and_changed_files_again_in_full() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a"), "a1\n").unwrap();
    let source = LineSource::watch(dir.path(), secs(1));
    assert!(!source.is_bounded());
    source.start().unwrap();
    let mut reader = source.reader(0, 1);
    let mut chain = chain();
    let idle = |s| SourceStatus::Idle(Some(Timestamp::from_secs(s)));
    assert_eq!(chain.try_drain(&mut reader).unwrap(), idle(1));
    fs::write(dir.path().join("a"), "a1\na2\n").unwrap();
    chain.clock.advance(secs(1));
    assert_eq!(chain.poll(&mut reader), idle(2));
    assert_eq!(chain.values(), ["a1", "a1", "a2"]);
}

#[test]
fn watched_file_that_is_removed_before_it_is_opened_is_left_out() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a");
    fs::write(&path, "a1\n").unwrap();
    let watched = LineSource::watch(dir.path(), secs(1));
    let once = LineSource::directory(dir.path());
    watched.start().unwrap();
    once.start().unwrap();
    fs::remove_file(&path).unwrap();
    let status = chain().try_drain(&mut watched.reader(0, 1)).unwrap();
    assert!(matches!(status, SourceStatus::Idle(_)));
    let error = chain().try_drain(&mut once.reader(0, 1)).unwrap_err();
    assert!(error.to_string().contains("does not exist"));
}

#[test]
fn watched_file_that_changes_before_it_is_opened_is_read_once() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a"), "a1\n").unwrap();
    let source = LineSource::watch(dir.path(), secs(1));
    source.start().unwrap();
    fs::write(dir.path().join("a"), "a1\na2\n").unwrap();
    let (mut chain, mut reader) = (chain(), source.reader(0, 1));
    for _ in 0..3 {
        chain.try_drain(&mut reader).unwrap();
        chain.clock.advance(secs(1));
    }
    assert_eq!(chain.values(), ["a1", "a2"]);
}

#[test]
fn file_that_is_read_only_once_is_not_missed_though_it_was_gone_or_empty_when_it_was_found() {
    let dir = tempfile::tempdir().unwrap();
    let [gone, empty] = ["gone", "empty"].map(|name| dir.path().join(name));
    fs::write(&gone, "").unwrap();
    fs::write(&empty, "").unwrap();
    let source = LineSource::watch_new(dir.path(), secs(1));
    source.start().unwrap();
    fs::remove_file(&gone).unwrap();
    let (mut chain, mut reader) = (chain(), source.reader(0, 1));
    let mut turn = |texts: [&str; 2]| {
        for (path, text) in [&gone, &empty].into_iter().zip(texts) {
            fs::write(path, text).unwrap();
        }
        chain.clock.advance(secs(1));
        chain.try_drain(&mut reader).unwrap();
        chain.values()
    };
    assert!(turn(["", ""]).is_empty());
    let mut seen = turn(["g\n", "e\n"]);
    seen.sort();
    assert_eq!(seen, ["e", "g"]);
    assert_eq!(turn(["more\n", "more\n"]).len(), 2, "once");
}

#[test]
fn line_without_an_end_does_not_fill_the_memory() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a");
    fs::write(&path, "a1\n").unwrap();
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(1 << 40).unwrap();
    let source = LineSource::file(&path);
    source.start().unwrap();
    let mut chain = chain();
    let error = chain.try_drain(&mut source.reader(0, 1)).unwrap_err();
    assert!(error.to_string().contains("begins in line 2 does not end"));
    assert_eq!(chain.values(), ["a1"]);
}

/// A reader's remaining work.
fn positions<R: SourceReader>(reader: &mut R) -> Vec<Vec<u8>> {
    let mut positions = Vec::new();
    reader.position(1, &mut positions).unwrap();
    positions
}

proptest! {
    #[test]
    fn every_line_of_a_directory_is_read_once_whatever_is_restored_where(
        sizes in prop::collection::vec(0..40_usize, 0..12), attempts in cuts(),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let mut all = Vec::new();
        for (number, size) in sizes.iter().enumerate() {
            let lines: Vec<_> = (0..*size).map(|line| format!("{number:02}-{line:02}")).collect();
            fs::write(dir.path().join(format!("{number:02}")), lines.join("\r\n")).unwrap();
            all.extend(lines);
        }
        let source = LineSource::directory(dir.path());
        let emitted = emitted_in_attempts(&source, str::to_owned, &attempts);
        prop_assert_eq!(emitted, all);
    }
}

#[test]
fn files_that_were_begun_are_read_in_turns_each_under_its_own_watermark() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["a", "b"] {
        let lines = (0..1000).map(|line| format!("{name}{line:03}\n"));
        fs::write(dir.path().join(name), lines.collect::<String>()).unwrap();
    }
    let source = LineSource::directory(dir.path());
    source.start().unwrap();
    let (mut chain, mut left) = (chain(), Vec::new());
    for index in 0..2 {
        let mut reader = source.reader(index, 2);
        chain.room = 500;
        reader.open(&chain.cx()).unwrap();
        while chain.room > 0 {
            chain.poll(&mut reader);
        }
        left.extend(positions(&mut reader));
    }
    chain.take();
    chain.room = usize::MAX;
    source.resume(&left).unwrap();
    let mut reader = source.reader(0, 1);
    reader.seek(&left, 2).unwrap();
    assert_eq!(chain.poll(&mut reader), SourceStatus::More);
    assert_eq!(chain.poll(&mut reader), SourceStatus::More);
    let lines = chain.values();
    assert!(lines.contains(&"a500".into()) && lines.contains(&"b500".into()));
    assert!(lines.len() < 1000);
    let splits = chain.signals().iter().rev();
    let [Signal::Split(second), Signal::Split(first)] = splits.take(2).collect::<Vec<_>>()[..]
    else {
        panic!("{:?}", chain.signals());
    };
    assert_ne!(first, second);
    chain.drain(&mut reader);
    assert_eq!(chain.values().len(), 1000);
}

#[test]
fn file_that_appears_after_the_start_of_a_bounded_source_is_not_read_by_a_restored_job() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["a", "b"] {
        fs::write(dir.path().join(name), format!("{name}1\n")).unwrap();
    }
    let source = LineSource::directory(dir.path());
    source.start().unwrap();
    let (mut chain, mut reader) = (chain(), source.reader(0, 1));
    chain.room = 1;
    chain.poll(&mut reader);
    fs::write(dir.path().join("c"), "c1\n").unwrap();
    let left = positions(&mut reader);
    chain.room = usize::MAX;
    source.resume(&left).unwrap();
    let mut reader = source.reader(0, 1);
    reader.seek(&left, 1).unwrap();
    chain.drain(&mut reader);
    assert_eq!(chain.values(), ["a1", "b1"]);
}

#[test]
fn file_that_was_completed_before_it_was_opened_is_resumed_by_a_restored_job() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a");
    fs::write(&path, "a1\n").unwrap();
    let source = LineSource::directory(dir.path());
    source.start().unwrap();
    fs::write(&path, "a1\na2\na3\n").unwrap();
    let (mut chain, mut reader) = (chain(), source.reader(0, 1));
    chain.room = 1;
    chain.poll(&mut reader);
    let left = positions(&mut reader);
    chain.room = usize::MAX;
    source.resume(&left).unwrap();
    let mut reader = source.reader(0, 1);
    reader.seek(&left, 1).unwrap();
    chain.drain(&mut reader);
    assert_eq!(chain.values(), ["a1", "a2", "a3"]);
}

#[test]
fn begun_file_that_was_changed_or_is_gone_is_an_error_and_a_watched_one_is_read_anew() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a");
    let old = "a1\na2\n";
    for (new, expected) in [
        (Some("b1\nb2\nb3\n"), "a was changed since"),
        (None, "does not exist"),
    ] {
        for source in [
            LineSource::directory(dir.path()),
            LineSource::watch(dir.path(), secs(1)),
        ] {
            fs::write(&path, old).unwrap();
            source.start().unwrap();
            let (mut chain, mut reader) = (chain(), source.reader(0, 1));
            chain.room = 1;
            chain.poll(&mut reader);
            let left = positions(&mut reader);
            match new {
                Some(text) => fs::write(&path, text).unwrap(),
                None => fs::remove_file(&path).unwrap(),
            }
            chain.room = usize::MAX;
            source.resume(&left).unwrap();
            let mut reader = source.reader(0, 1);
            reader.seek(&left, 1).unwrap();
            match chain.try_drain(&mut reader) {
                Err(error) => assert!(error.to_string().contains(expected), "{error}"),
                Ok(status) => {
                    assert!(matches!(status, SourceStatus::Idle(_)));
                    let anew = if new.is_some() { 3 } else { 0 };
                    assert_eq!(chain.values().len(), 1 + anew);
                }
            }
        }
    }
}

#[test]
fn watched_file_that_was_finished_is_not_read_again_by_a_restored_job() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["a", "b"] {
        fs::write(dir.path().join(name), format!("{name}1\n")).unwrap();
    }
    let source = LineSource::watch(dir.path(), secs(1));
    source.start().unwrap();
    let (mut chain, mut reader) = (chain(), source.reader(0, 1));
    chain.try_drain(&mut reader).unwrap();
    fs::write(dir.path().join("c"), "c1\n").unwrap();
    let left = positions(&mut reader);
    source.resume(&left).unwrap();
    let mut readers = [source.reader(0, 2), source.reader(1, 2)];
    let mut told = Vec::new();
    for reader in &mut readers {
        reader.seek(&left, 1).unwrap();
        chain.try_drain(reader).unwrap();
        told.extend(positions(reader));
    }
    assert_eq!(chain.values(), ["a1", "b1", "c1"]);
    assert_eq!(FilesLeft::of(&told).unwrap().finished.len(), 3);
}

#[test]
fn rate_is_kept() {
    let (_dir, path) = file("lines.txt", "1\n2\n3\n");
    let mut reader = LineSource::file(&path).rate(1000).reader(0, 1);
    let mut chain = chain();
    let at = |ms| SourceStatus::Idle(Some(Timestamp::from_millis(ms)));
    assert_eq!(chain.try_drain(&mut reader).unwrap(), at(1));
    chain.clock.advance(millis(1));
    assert_eq!(chain.poll(&mut reader), at(2));
    assert_eq!(chain.values(), ["1", "2"]);
    chain.clock.advance(millis(5));
    assert_eq!(chain.poll(&mut reader), SourceStatus::Finished);
}

#[test]
fn rate_is_kept_in_total_however_few_readers_have_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let lines = "x\n".repeat(1000);
    fs::write(dir.path().join("a"), &lines).unwrap();
    let source = LineSource::directory(dir.path()).rate(1000);
    source.start().unwrap();
    let (mut chain, mut readers) = (chain(), [0, 1, 2, 3].map(|index| source.reader(index, 4)));
    for ms in 0..100 {
        chain.clock.set(Timestamp::from_millis(ms));
        for reader in &mut readers {
            chain.poll(reader);
        }
        assert_eq!(chain.values().len(), ms as usize + 1);
    }
}

#[test]
fn rate_is_shared_equally_by_the_readers_that_have_a_file() {
    let dir = tempfile::tempdir().unwrap();
    for (name, lines) in [("a", 1000), ("b", 1000), ("c", 10)] {
        fs::write(dir.path().join(name), format!("{name}\n").repeat(lines)).unwrap();
    }
    let source = LineSource::directory(dir.path()).rate(1000);
    source.start().unwrap();
    let (mut chain, mut readers) = (chain(), [0, 1, 2].map(|index| source.reader(index, 3)));
    // Once a millisecond, then after a pause for which they have to make up.
    for ms in (0..200).chain(400..600) {
        chain.clock.set(Timestamp::from_millis(ms));
        for reader in &mut readers {
            chain.poll(reader);
        }
        let values = chain.values();
        let [a, b, c] = ["a", "b", "c"].map(|name| values.iter().filter(|v| *v == name).count());
        assert!(a.abs_diff(b) <= 3, "{a} and {b} at {ms}");
        assert!(
            (a + b + c).abs_diff(ms as usize) <= 4,
            "{a}, {b}, {c} at {ms}"
        );
    }
}

#[test]
fn empty_directory_finishes_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut chain = chain();
    chain.drain(&mut LineSource::directory(dir.path()).reader(0, 1));
    assert!(chain.values().is_empty());
}
