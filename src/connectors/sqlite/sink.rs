//! The SQLite sinks: idempotent upserts, and exactly-once writes.

use std::fmt;
use std::marker::PhantomData;
use std::path::Path;

use crate::connectors::transaction::{Outbox, OutboxTarget};
use crate::operator::{CommitQueue, OpenContext, Outcome, Prepared, Sink, SinkWriter};
use crate::time::Timestamp;

use super::row::SqlRow;
use super::table::{Description, SqliteTable};

/// The size in bytes at which a writer writes its buffered rows.
const ROWS_BYTES: usize = 256 * 1024;
/// The number of pending transactions at which no more records are accepted.
const WRITES_MAX: u64 = 2;

/// An *upsert* sink: writes every record as a row of a table in an SQLite database. A row replaces the one with the
/// same primary key.
///
/// The table must exist, and its key columns must be a primary key or unique. Rows with the same key must come from
/// one subtask (`key_by` the key), or updates may overtake one another.
///
/// Rows are written in one transaction when enough have accumulated, at each barrier, and at the end, but never on a
/// worker: a checkpoint completes once its rows are in the database, and if the database is slow, records wait. After
/// a failure, rows since the last checkpoint are written again, which leaves the table in the same final state: at
/// least once, and idempotent. Readers may meanwhile see values go back; if that matters, or if triggers count rows,
/// use [`exactly_once`](SqliteSink::exactly_once).
///
/// ```
/// use thalweg::connectors::SqliteSink;
///
/// let sink = SqliteSink::upsert("totals.db", "totals", ["word"], ["count"]).records(
///     |total: &(String, i64), row| {
///         row.text(&total.0).integer(total.1);
///     },
/// );
/// ```
#[derive(Clone)]
#[must_use]
pub struct SqliteSink<V: ?Sized = (), F = ()> {
    description: Description,
    function: F,
    record: PhantomData<fn(&V)>,
}

impl SqliteSink {
    /// Writes to `table` in the database at `path`, whose columns are those of the `key` followed by the other
    /// `columns`.
    pub fn upsert<S: Into<Box<str>>, T: Into<Box<str>>>(
        path: impl AsRef<Path>,
        table: &str,
        key: impl IntoIterator<Item = S>,
        columns: impl IntoIterator<Item = T>,
    ) -> Self {
        SqliteSink {
            description: Description {
                path: path.as_ref().into(),
                table: table.into(),
                key: key.into_iter().map(Into::into).collect(),
                columns: columns.into_iter().map(Into::into).collect(),
                name: table.into(),
            },
            function: (),
            record: PhantomData,
        }
    }

    /// Writes the values that `function` appends for every record, those of the key first.
    pub fn records<V, F>(self, function: F) -> SqliteSink<V, F>
    where
        V: ?Sized,
        F: Fn(&V, &mut SqlRow<'_>) + Clone + Send + Sync + 'static,
    {
        SqliteSink {
            description: self.description,
            function,
            record: PhantomData,
        }
    }
}

impl<V, F> SqliteSink<V, F>
where
    V: ?Sized + 'static,
    F: Fn(&V, &mut SqlRow<'_>) + Clone + Send + Sync + 'static,
{
    /// Writes every row exactly once: when the checkpoint that contains it completes, in one transaction with a
    /// marker row in the table `thalweg_markers`. `name` distinguishes the markers of this sink from those of others
    /// in the same database; it must stay the same when the job resumes.
    pub fn exactly_once(
        self,
        name: &str,
    ) -> Outbox<impl Fn(u32, u32) -> SqliteTable<F> + Clone + Send + Sync + 'static> {
        let (mut description, function) = (self.description, self.function);
        description.name = name.into();
        Outbox::new::<SqliteTable<F>>(move |_index, _parallelism| {
            SqliteTable::new(description.clone(), function.clone())
        })
    }
}

impl<V: ?Sized, F> fmt::Debug for SqliteSink<V, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteSink")
            .field("description", &self.description)
            .finish_non_exhaustive()
    }
}

impl<V, F> Sink<V> for SqliteSink<V, F>
where
    V: ?Sized + 'static,
    F: Fn(&V, &mut SqlRow<'_>) + Clone + Send + Sync + 'static,
{
    type Writer = SqliteWriter<F>;

    fn writer(&self, _index: u32, _parallelism: u32) -> SqliteWriter<F> {
        SqliteWriter {
            table: SqliteTable::new(self.description.clone(), self.function.clone()),
            rows: Vec::new(),
            writes: CommitQueue::default(),
        }
    }
}

/// Writes the rows of one subtask of an [`SqliteSink`].
#[derive(Debug)]
pub struct SqliteWriter<F> {
    table: SqliteTable<F>,
    /// The rows of the next transaction.
    rows: Vec<u8>,
    /// The transactions of earlier rows.
    writes: CommitQueue,
}

impl<F> SqliteWriter<F> {
    fn write_out(&mut self) -> Outcome {
        self.writes.check()?;
        if !self.rows.is_empty() {
            let work = self.table.write(std::mem::take(&mut self.rows));
            self.writes.send(work)?;
        }
        Ok(())
    }
}

impl<V, F> SinkWriter<V> for SqliteWriter<F>
where
    V: ?Sized + 'static,
    F: Fn(&V, &mut SqlRow<'_>) + Send + 'static,
{
    fn open(&mut self, cx: &OpenContext) -> Outcome {
        self.writes = CommitQueue::new(cx);
        Ok(self.table.connect()?)
    }

    #[inline]
    fn write(&mut self, record: &V, _at: Timestamp) -> Outcome {
        self.table.append(record, &mut self.rows)
    }

    #[inline]
    fn ready(&self) -> bool {
        self.writes.under_way() < WRITES_MAX
    }

    fn takes_barrier(&self) -> bool {
        true
    }

    fn resume(&mut self) -> Outcome {
        self.writes.check()
    }

    fn flush(&mut self) -> Outcome {
        if self.rows.len() >= ROWS_BYTES {
            return self.write_out();
        }
        self.writes.check()
    }

    fn prepare(&mut self, _checkpoint: u64, prepared: &mut Prepared) -> Outcome {
        self.write_out()?;
        if let Some(work) = self.writes.until_done() {
            prepared.before_completion(work);
        }
        Ok(())
    }

    fn finish(&mut self) -> Outcome {
        self.write_out()
    }

    fn close(&mut self) -> Outcome {
        // The job does not end before its writes are done.
        let written = self.writes.wait();
        let closed = OutboxTarget::<V>::close(&mut self.table);
        written.and(closed)
    }
}
