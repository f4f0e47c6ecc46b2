//! Tests of the CSV source: values, lines, policies, compressed files.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::connectors::file::Input;
use crate::connectors::test_chain::{self, Chain, cuts, emitted_in_attempts};
use crate::operator::{BoxError, OutputTag, Source, SourceReader, SourceStatus};
use crate::time::Timestamp;

type Pair = (String, Option<f64>);

fn pair(row: &CsvRow<'_>) -> Result<Pair, CsvError> {
    Ok((row.text("name")?.to_owned(), row.optional("delay")?))
}

fn file(text: impl AsRef<[u8]>) -> (tempfile::TempDir, PathBuf) {
    test_chain::file("flights.csv", text)
}

/// Everything a source emits until its end, or its error.
fn read<S: Source<Out: Clone + Send + Sized>>(source: &S) -> Result<Vec<S::Out>, BoxError> {
    let mut chain = Chain::new(S::Out::clone);
    let status = chain.try_drain(&mut source.reader(0, 1))?;
    assert_eq!(status, SourceStatus::Finished);
    Ok(chain.values())
}

/// The error message without the leading directory.
fn failure<T: Clone + Send + 'static>(
    text: impl AsRef<[u8]>,
    function: fn(&CsvRow<'_>) -> Result<T, CsvError>,
) -> String {
    let (dir, path) = file(text);
    let error = read(&CsvSource::file(path).records(function)).map(|rows| rows.len());
    let directory = format!("{}/", dir.path().display());
    error.unwrap_err().to_string().replace(&directory, "")
}

#[test]
fn rows_are_parsed_by_column_name_whatever_the_order_of_columns() {
    let (_dir, path) = file("delay,id,name\n1.5,1,\"a, b\"\nNA,2,c\n,3,d\n");
    let rows = read(&CsvSource::file(path).records(pair)).unwrap();
    let expected = [("a, b", Some(1.5)), ("c", None), ("d", None)];
    assert_eq!(rows, expected.map(|(name, delay)| (name.to_owned(), delay)));
}

#[test]
fn bad_value_names_file_line_column_and_value() {
    let text = "name,dep_delay\nx,1\n\"two\nlines\",2\ny,abc\n";
    let message = failure(text, |row| row.get::<f64>("dep_delay"));
    assert_eq!(
        message,
        "flights.csv, line 5, column `dep_delay`: `abc` is not a number (invalid float literal)"
    );
    let message = failure("n\n-1\n", |row| row.get::<u8>(0));
    assert_eq!(
        message,
        "flights.csv, line 2, column `n`: `-1` is not a number (invalid digit found in string)"
    );
}

#[test]
fn lines_are_right_with_any_line_end_and_with_blank_lines() {
    let line = |text: &str| failure(text, |row| row.get::<u8>("n").map(|_| ()));
    for (text, expected) in [
        ("n\r\n1\r\nx\r\n", 3),
        ("n\r\n1\r\n\r\n\r\nx", 5),
        ("n\n1\n\n\nx\n", 5),
        ("n\n1\nx", 3),
        ("n\nx", 2),
        ("n\n\"x\ny\"", 2),
    ] {
        let message = line(text);
        let place = format!("flights.csv, line {expected}, ");
        assert!(message.starts_with(&place), "{text:?}: {message}");
    }
}

#[test]
fn line_is_that_on_which_the_row_begins_whatever_its_lines_end_in_and_a_restore_keeps_it() {
    let gap = format!("1{}2\n", "\r\n\n".repeat(100_000));
    for (text, expected) in [
        ("0\n1\r\n2\n3\r\n\r\n4\r\n", &[1, 2, 3, 4, 6][..]),
        ("0\r\n1\n\n\r\n2", &[1, 2, 5]),
        ("\"0\n\"\r\n1\r\n2\r\n", &[1, 3, 4]),
        ("0\n\"1\n\n2\n", &[1, 2]),
        ("\u{feff}\n\n0\n", &[3]),
        (&gap, &[1, 200_001]),
    ] {
        let (_dir, path) = file(text);
        let source = CsvSource::file(path)
            .without_header()
            .records(|row| Ok((row.text(0)?.to_owned(), row.line())));
        let rows = read(&source).unwrap();
        let lines: Vec<_> = rows.iter().map(|(_, line)| *line).collect();
        assert_eq!(lines, expected, "{text:.99?}");
        let attempts: Vec<_> = rows
            .iter()
            .flat_map(|_| [(1, vec![1]), (1, vec![0])])
            .collect();
        assert_eq!(emitted_in_attempts(&source, Clone::clone, &attempts), rows);
    }
}

#[test]
fn u_feff_that_begins_a_row_is_kept_whatever_is_restored_where() {
    for text in [
        "\u{feff}1\n\u{feff}2\n\u{feff}3\n",
        "\u{feff}1\r\n\u{feff}2\r\n\u{feff}3",
    ] {
        let (_dir, path) = file(text);
        let source = CsvSource::file(path)
            .without_header()
            .records(|row| row.text(0).map(str::to_owned));
        let rows = ["1", "\u{feff}2", "\u{feff}3"];
        assert_eq!(read(&source).unwrap(), rows);
        let attempts = [1, 0, 0, 1, 0].map(|room| (1, vec![room]));
        let emitted = emitted_in_attempts(&source, Clone::clone, &attempts);
        assert_eq!(emitted, rows);
    }
}

#[test]
fn place_in_a_file_is_kept_by_a_restored_job_that_has_yet_to_read_from_it() {
    let (_dir, path) = file("1\r\n2");
    let source = CsvSource::file(path)
        .without_header()
        .records(|row| row.text(0).map(str::to_owned));
    let mut chain = Chain::new(String::clone);
    let mut left = Vec::new();
    for (room, rows) in [(1, 1), (0, 1), (1, 2), (0, 2)] {
        let mut reader = source.reader(0, 1);
        if !left.is_empty() {
            source.resume(&left).unwrap();
            reader.seek(&left, 1).unwrap();
        }
        chain.room = room;
        reader.open(&chain.cx()).unwrap();
        chain.poll(&mut reader);
        assert_eq!(chain.values(), ["1", "2"][..rows]);
        let before = std::mem::take(&mut left);
        reader.position(1, &mut left).unwrap();
        assert_eq!(before == left, room == 0);
    }
}

#[test]
fn each_kind_of_bad_row_is_said_in_its_own_words() {
    let get = |row: &CsvRow<'_>| row.get::<f64>("b");
    assert_eq!(
        failure("a,b\n1,\n", get),
        "flights.csv, line 2, column `b`: empty (read it with `optional` if it may be)"
    );
    assert_eq!(
        failure("a,b\n1,2,3\n", get),
        "flights.csv, line 2: 3 fields instead of 2"
    );
    assert_eq!(
        failure(b"a,b\n1,\xff\n", get),
        "flights.csv, line 2, column `b`: not valid UTF-8"
    );
    assert_eq!(
        failure("a,b\n1,2\n", |row| row.get::<f64>("c")),
        "flights.csv has no column `c`; it has `a`, `b`"
    );
    assert_eq!(
        failure("a,b\n1,2\n", |row| row.get::<f64>(2)),
        "flights.csv has no column at index 2; it has `a`, `b`"
    );
    assert_eq!(
        failure("a,b\n1,2\n", |row| Err::<(), _>(row.refuse("never"))),
        "flights.csv, line 2: never"
    );
    assert_eq!(
        failure(b"a,\xff\n1,2\n", get),
        "flights.csv, line 1: not valid UTF-8"
    );
}

const SOME_BAD: &str = "name,delay\na,1\nb,x\nc,2,3\nd,4\n";

#[test]
fn bad_rows_fail_by_default() {
    let message = failure(SOME_BAD, pair);
    assert!(message.starts_with("flights.csv, line 3, column `delay`"));
}

#[test]
fn quote_that_nothing_closes_is_an_error_that_names_its_line_and_skips_nothing() {
    let mut text = "name,delay\na,1\n\"b,2\n".to_owned();
    text.extend(std::iter::repeat_n(
        "c,3\n",
        (Input::RECORD_MAX / 3) as usize,
    ));
    let (_dir, path) = file(text);
    let source = CsvSource::file(&path)
        .records(pair)
        .malformed(Malformed::Skip);
    let message = read(&source).unwrap_err().to_string();
    assert!(
        message.contains("begins in line 3 does not end"),
        "{message}"
    );
}

#[test]
fn skipped_rows_are_counted() {
    let (_dir, path) = file(SOME_BAD);
    let source = CsvSource::file(path)
        .records(pair)
        .malformed(Malformed::Skip);
    let mut chain = Chain::new(|(name, _): &Pair| name.clone());
    chain.drain(&mut source.reader(0, 1));
    assert_eq!(chain.values(), ["a", "d"]);
    assert_eq!(chain.metrics.total("malformed_rows"), 2);
}

#[test]
fn bad_rows_go_to_the_side_output() {
    let (_dir, path) = file(SOME_BAD);
    let tag = OutputTag::new("malformed");
    let policy = Malformed::SideOutput(tag.clone());
    let source = CsvSource::file(path).records(pair).malformed(policy);
    let mut chain = Chain::new(|(name, _): &Pair| name.clone());
    let side = chain.take_side(&tag);
    chain.drain(&mut source.reader(0, 1));
    assert_eq!(chain.values(), ["a", "d"]);
    let side = side.lock().unwrap();
    let rows = side.iter().map(|(row, _)| (row.line, &*row.row));
    assert_eq!(rows.collect::<Vec<_>>(), [(3, "b,x"), (4, "c,2,3")]);
    assert!(side[1].0.reason.ends_with("line 4: 3 fields instead of 2"));
    assert_eq!(chain.metrics.total("malformed_rows"), 2);
}

#[test]
fn missing_column_fails_whatever_the_policy() {
    let (_dir, path) = file(SOME_BAD);
    let source = CsvSource::file(path).records(|row| row.get::<u8>("nmae"));
    let error = read(&source.malformed(Malformed::Skip)).unwrap_err();
    assert!(error.to_string().contains("has no column `nmae`"));
}

#[test]
fn file_full_of_bad_rows_yields_to_the_worker() {
    let text = format!("n\n{}", "x\n".repeat(10_000));
    let (_dir, path) = file(text);
    let source = CsvSource::file(path).records(|row| row.get::<u8>("n"));
    let mut reader = source.malformed(Malformed::Skip).reader(0, 1);
    let mut chain = Chain::new(u8::clone);
    reader.open(&chain.cx()).unwrap();
    assert_eq!(chain.poll(&mut reader), SourceStatus::More);
    let read = chain.metrics.total("malformed_rows");
    assert!((1..10_000).contains(&read), "{read}");
}

#[test]
fn options_change_header_delimiter_and_nulls() {
    let (_dir, path) = file("a;-\nb;7\n");
    let source = CsvSource::file(path)
        .without_header()
        .delimiter(b';')
        .nulls(["-"])
        .records(|row| Ok((row.text(0)?.to_owned(), row.optional::<u8>(1)?)));
    let rows = read(&source).unwrap();
    assert_eq!(rows, [("a".to_owned(), None), ("b".to_owned(), Some(7))]);
}

#[test]
fn compressed_file_is_read_as_its_content_even_in_several_members() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("flights.csv.GZ");
    let mut out = fs::File::create(&path).unwrap();
    for text in ["name,delay\na,1\n", "b,2\n"] {
        let mut member = flate2::write::GzEncoder::new(&mut out, flate2::Compression::fast());
        member.write_all(text.as_bytes()).unwrap();
        member.finish().unwrap();
    }
    let names = |row: &CsvRow<'_>| row.text("name").map(str::to_owned);
    assert_eq!(
        read(&CsvSource::file(&path).records(names)).unwrap(),
        ["a", "b"]
    );

    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..whole.len() - 9]).unwrap();
    let error = read(&CsvSource::file(&path).records(names)).unwrap_err();
    let message = error.to_string();
    for part in ["flights.csv.GZ: could not read it", "cut off"] {
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn file_that_is_compressed_by_name_alone_says_so() {
    for text in [
        "",
        "a\n",
        "name,delay\nlong enough for a header of gzip,1\n",
    ] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("flights.csv.gz");
        fs::write(&path, text).unwrap();
        let message = read(&CsvSource::file(&path).records(pair))
            .unwrap_err()
            .to_string();
        let start = format!("{}: could not read it: ", path.display());
        assert!(message.starts_with(&start), "{message}");
        assert!(message.contains("not a gzip file"), "{message}");
    }
}

#[test]
fn bare_header_and_an_empty_file_that_needs_none_have_no_rows() {
    for text in ["name,delay\n", "name,delay"] {
        let (_dir, path) = file(text);
        let source = CsvSource::file(path).columns(["delay", "name"]);
        assert!(read(&source.records(pair)).unwrap().is_empty());
    }
    let (_dir, path) = file("");
    let source = CsvSource::file(path).without_header();
    assert!(read(&source.records(pair)).unwrap().is_empty());
}

#[test]
fn file_that_lacks_its_header_fails_whatever_the_policy_and_the_cure_is_named() {
    for text in ["", "\n\r\n"] {
        let (_dir, path) = file(text);
        let source = CsvSource::file(&path).records(pair);
        let error = read(&source.malformed(Malformed::Skip)).unwrap_err();
        let expected = CsvError::NoHeader {
            file: path.as_path().into(),
        };
        assert_eq!(error.downcast_ref(), Some(&expected));
        assert!(error.to_string().contains("`without_header()`"), "{error}");
    }
}

#[test]
fn column_that_is_asked_of_the_header_is_missed_without_any_row() {
    let (_dir, path) = file("name,dep_delay\n");
    let source = CsvSource::file(path)
        .columns(["name", "delay"])
        .records(pair);
    let message = read(&source).unwrap_err().to_string();
    let expected = "flights.csv has no column `delay`; it has `name`, `dep_delay`";
    assert!(message.ends_with(expected), "{message}");
}

#[test]
fn empty_file_under_a_watched_path_is_read_once_it_is_written() {
    let (_dir, path) = file("");
    let source = CsvSource::watch(&path, Duration::from_millis(1)).records(pair);
    let mut reader = source.reader(0, 1);
    let mut chain = Chain::new(|(name, _): &Pair| name.clone());
    reader.open(&chain.cx()).unwrap();
    let status = chain.poll(&mut reader);
    assert!(matches!(status, SourceStatus::Idle(_)), "{status:?}");
    fs::write(&path, "name,delay\na,1\n").unwrap();
    chain.clock.set(Timestamp::from_secs(1));
    chain.poll(&mut reader);
    assert_eq!(chain.values(), ["a"]);
}

#[test]
fn missing_file_fails_the_start_and_the_opening() {
    let source = CsvSource::file("nowhere/flights.csv").records(pair);
    let message = "The provided file path nowhere/flights.csv does not exist.";
    assert_eq!(source.start().unwrap_err().to_string(), message);
    assert_eq!(read(&source).unwrap_err().to_string(), message);
}

proptest! {
    #[test]
    fn what_a_writer_quotes_is_read_back(
        rows in prop::collection::vec(("[a-c,\"\r\n ]{0,6}", "[a-c,\"\r\n ]{0,6}"), 0..20),
    ) {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(["a", "b"]).unwrap();
        for (a, b) in &rows {
            writer.write_record([a, b]).unwrap();
        }
        let (_dir, path) = file(writer.into_inner().unwrap());
        let found = read(&CsvSource::file(path).records(|row| {
            Ok((row.text("a")?.to_owned(), row.text("b")?.to_owned()))
        }));
        prop_assert_eq!(found.unwrap(), rows);
    }
}

proptest! {
    #[test]
    fn every_row_is_read_once_with_its_line_whatever_is_restored_where(
        rows in prop::collection::vec("[a-c,\"\r\n ]{0,6}", 0..60),
        attempts in cuts(),
        (crlf, compressed, header) in any::<(bool, bool, bool)>(),
    ) {
        let mut writer = csv::WriterBuilder::new();
        if crlf {
            writer.terminator(csv::Terminator::CRLF);
        }
        let mut writer = writer.from_writer(Vec::new());
        if header {
            writer.write_record(["n", "text"]).unwrap();
        }
        for (number, text) in rows.iter().enumerate() {
            writer.write_record([&format!("{number:02}"), text]).unwrap();
        }
        let mut bytes = writer.into_inner().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(if compressed { "rows.csv.gz" } else { "rows.csv" });
        if compressed {
            let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            out.write_all(&bytes).unwrap();
            bytes = out.finish().unwrap();
        }
        fs::write(&path, bytes).unwrap();
        let mut source = CsvSource::directory(dir.path());
        if !header {
            source = source.without_header();
        }
        let source = source.records(|row| {
            Ok((row.text(0)?.to_owned(), row.text(1)?.to_owned(), row.line()))
        });
        let expected = read(&source).unwrap();
        prop_assert_eq!(expected.len(), rows.len());
        prop_assert_eq!(emitted_in_attempts(&source, Clone::clone, &attempts), expected);
    }
}
