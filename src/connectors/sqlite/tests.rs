//! Tests of the SQLite sinks: one row per key, and each row written once.

use std::path::Path;

use rusqlite::Connection;

use super::*;
use crate::connectors::test_chain::{CommitTasks, checkpointed_context, restored_context};
use crate::operator::{Prepared, Sink, SinkWriter};
use crate::time::Timestamp;

type Total = (u32, i64);

/// A database with a log of how often each row of the table was written.
fn database(path: &Path) -> Connection {
    let connection = Connection::open(path).unwrap();
    connection
        .execute_batch(
            "CREATE TABLE totals (id INTEGER PRIMARY KEY, \"the sum\" INTEGER);
             CREATE TABLE log (id INTEGER, sum INTEGER);
             CREATE TRIGGER a AFTER INSERT ON totals BEGIN
                 INSERT INTO log VALUES (new.id, new.\"the sum\"); END;
             CREATE TRIGGER b AFTER UPDATE ON totals BEGIN
                 INSERT INTO log VALUES (new.id, new.\"the sum\"); END;",
        )
        .unwrap();
    connection
}

fn rows(connection: &Connection, query: &str) -> Vec<Total> {
    let mut statement = connection.prepare(query).unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
    rows.unwrap().map(Result::unwrap).collect()
}

fn sink(
    path: &Path,
) -> SqliteSink<Total, impl Fn(&Total, &mut SqlRow<'_>) + Clone + Send + Sync + 'static> {
    SqliteSink::upsert(path, "totals", ["id"], ["the sum"]).records(|total: &Total, row| {
        row.integer(total.0.into()).integer(total.1);
    })
}

fn write<W: SinkWriter<Total>>(writer: &mut W, totals: &[Total]) {
    for total in totals {
        writer.write(total, Timestamp::MIN).unwrap();
    }
}

fn prepare<W: SinkWriter<Total>>(writer: &mut W, checkpoint: u64) -> Vec<Vec<u8>> {
    let mut prepared = Prepared::default();
    writer.prepare(checkpoint, &mut prepared).unwrap();
    prepared.transactions().to_vec()
}

const TOTALS: &str = "SELECT id, \"the sum\" FROM totals ORDER BY id";
const LOG: &str = "SELECT id, sum FROM log ORDER BY rowid";

#[test]
fn a_row_replaces_the_one_with_its_key_however_often_it_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("totals.db");
    let connection = database(&path);
    for _ in 0..2 {
        let mut writers = [sink(&path).writer(0, 2), sink(&path).writer(1, 2)];
        for (index, writer) in (0..).zip(&mut writers) {
            writer.open(&checkpointed_context(index, 2, true)).unwrap();
            write(writer, &[(index, 1), (index, 2), (7 + index, 3)]);
        }
        for writer in &mut writers {
            prepare(writer, 1);
            SinkWriter::<Total>::close(writer).unwrap();
        }
    }
    assert_eq!(rows(&connection, TOTALS), [(0, 2), (1, 2), (7, 3), (8, 3)]);
}

#[test]
fn every_row_is_written_once_whether_or_not_the_notice_was_heard() {
    for heard in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("totals.db");
        let connection = database(&path);
        let mut writer = sink(&path).exactly_once("totals").writer(0, 1);
        writer.open(&checkpointed_context(0, 1, true)).unwrap();
        write(&mut writer, &[(1, 1), (1, 2)]);
        let kept = prepare(&mut writer, 1);
        write(&mut writer, &[(9, 9)]);
        assert!(rows(&connection, LOG).is_empty());
        if heard {
            writer.commit(1).unwrap();
            assert_eq!(rows(&connection, LOG), [(1, 1), (1, 2)]);
        }
        drop(writer);
        for _ in 0..2 {
            let mut writer = sink(&path).exactly_once("totals").writer(0, 1);
            writer.open(&restored_context(0, 1, 1)).unwrap();
            writer.recover(kept.clone()).unwrap();
            assert_eq!(rows(&connection, LOG), [(1, 1), (1, 2)]);
        }
        let mut writer = sink(&path).exactly_once("totals").writer(0, 1);
        writer.open(&restored_context(0, 1, 1)).unwrap();
        write(&mut writer, &[(1, 3)]);
        writer.finish().unwrap();
        prepare(&mut writer, 2);
        writer.commit(2).unwrap();
        assert_eq!(rows(&connection, TOTALS), [(1, 3)]);
        assert_eq!(rows(&connection, LOG).len(), 3);
    }
}

#[test]
fn a_job_that_starts_anew_forgets_the_markers_of_the_one_before() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("totals.db");
    let connection = database(&path);
    for (subtasks, records) in [(3, 10), (1, 20)] {
        for index in 0..subtasks {
            let mut writer = (sink(&path).exactly_once("totals")).writer(index, subtasks);
            let cx = checkpointed_context(index, subtasks, true);
            writer.open(&cx).unwrap();
            write(&mut writer, &[(index, records)]);
            prepare(&mut writer, 1);
            writer.commit(1).unwrap();
        }
    }
    assert_eq!(rows(&connection, LOG), [(0, 10), (1, 10), (2, 10), (0, 20)]);
    let markers = rows(&connection, "SELECT lane, epoch FROM thalweg_markers");
    assert_eq!(markers, [(0, 1)], "none of a subtask that is gone");
}

#[test]
fn a_job_that_is_behind_what_a_former_subtask_wrote_is_told_so() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("totals.db");
    let _connection = database(&path);
    let mut former = sink(&path).exactly_once("totals").writer(3, 4);
    former.open(&checkpointed_context(3, 4, true)).unwrap();
    write(&mut former, &[(1, 1)]);
    prepare(&mut former, 9);
    former.commit(9).unwrap();
    let open = |index, name| {
        let mut writer = sink(&path).exactly_once(name).writer(index, 2);
        writer.open(&restored_context(index, 2, 8))
    };
    let error = open(1, "totals").unwrap_err().to_string();
    assert!(error.contains("checkpoint 9 of subtask 3"), "{error}");
    open(0, "totals").unwrap();
    open(1, "another name").unwrap();
}

#[test]
fn table_that_does_not_fit_and_row_of_another_width_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("totals.db");
    let mut writer = sink(&path).writer(0, 1);
    let error = writer
        .open(&checkpointed_context(0, 1, true))
        .unwrap_err()
        .to_string();
    assert!(error.contains("no such table: totals"), "{error}");
    database(&path);
    let narrow = SqliteSink::upsert(&path, "totals", ["id"], ["the sum"]);
    let narrow = narrow.records(|total: &Total, row| {
        row.integer(total.1);
    });
    let mut writer = narrow.writer(0, 1);
    writer.open(&checkpointed_context(0, 1, true)).unwrap();
    let error = writer
        .write(&(1, 1), Timestamp::MIN)
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("a row of 1 values for 2 columns"),
        "{error}"
    );
}

#[test]
fn a_database_that_another_connection_writes_to_is_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("totals.db");
    let connection = database(&path);
    // Before the database has a write-ahead log, as when several subtasks open a new one.
    connection.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut writer = sink(&path).exactly_once("totals").writer(0, 1);
    let opening = std::thread::spawn(move || writer.open(&checkpointed_context(0, 1, true)));
    std::thread::sleep(std::time::Duration::from_millis(50));
    connection.execute_batch("COMMIT").unwrap();
    opening.join().unwrap().unwrap();
}

#[test]
fn values_of_every_type_arrive() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("values.db");
    let connection = Connection::open(&path).unwrap();
    connection
        .execute("CREATE TABLE v (k TEXT PRIMARY KEY, a, b, c)", [])
        .unwrap();
    let sink = SqliteSink::upsert(&path, "v", ["k"], ["a", "b", "c"]);
    let sink = sink.records(|text: &str, row| {
        row.text(text).real(1.5).blob(&[0, 1]).null();
    });
    let mut writer = sink.writer(0, 1);
    SinkWriter::<str>::open(&mut writer, &checkpointed_context(0, 1, false)).unwrap();
    writer.write("it's", Timestamp::MIN).unwrap();
    SinkWriter::<str>::finish(&mut writer).unwrap();
    let row: (String, f64, Vec<u8>, Option<i64>) = connection
        .query_row("SELECT * FROM v", [], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        })
        .unwrap();
    assert_eq!(row, ("it's".to_owned(), 1.5, vec![0, 1], None));
}

/// A writer that has prepared its first checkpoint, with one row that is not written yet.
fn with_rows_under_way(path: &Path) -> (impl SinkWriter<Total>, CommitTasks, Prepared) {
    let (mut writer, tasks) = (sink(path).writer(0, 1), CommitTasks::default());
    writer.open(&tasks.context(true)).unwrap();
    write(&mut writer, &[(1, 1)]);
    let mut prepared = Prepared::default();
    writer.prepare(1, &mut prepared).unwrap();
    (writer, tasks, prepared)
}

#[test]
fn rows_are_written_elsewhere_and_a_checkpoint_and_records_wait_for_them() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("totals.db");
    let connection = database(&path);
    let (mut writer, tasks, mut prepared) = with_rows_under_way(&path);
    assert!(SinkWriter::<Total>::ready(&writer));
    write(&mut writer, &[(1, 2)]);
    prepare(&mut writer, 2);
    assert!(!SinkWriter::<Total>::ready(&writer), "two are under way");
    assert!(rows(&connection, TOTALS).is_empty(), "none on this thread");
    let mut work = prepared.take_work();
    let completion = std::thread::spawn(move || work.remove(0)().unwrap());
    std::thread::sleep(std::time::Duration::from_millis(20));
    assert!(!completion.is_finished());
    tasks.run();
    completion.join().unwrap();
    assert!(SinkWriter::<Total>::ready(&writer));
    assert_eq!(rows(&connection, LOG), [(1, 1), (1, 2)], "in order");
    prepared = Prepared::default();
    writer.prepare(3, &mut prepared).unwrap();
    assert!(
        prepared.take_work().is_empty(),
        "nothing is left to wait for"
    );
}

#[test]
fn checkpoint_whose_rows_cannot_be_written_is_not_complete_and_the_subtask_fails() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("totals.db");
    let connection = database(&path);
    let (mut writer, tasks, mut prepared) = with_rows_under_way(&path);
    connection.execute_batch("DROP TABLE totals").unwrap();
    assert_eq!(tasks.run(), [true]);
    // Whichever of them the job learns of first.
    let failed = [
        SinkWriter::<Total>::flush(&mut writer),
        prepared.take_work().remove(0)(),
    ];
    for failed in failed {
        let error = failed.unwrap_err().to_string();
        let cause = "totals.db: could not write a row: no such table: totals";
        assert!(error.contains(cause), "{error}");
    }
}
