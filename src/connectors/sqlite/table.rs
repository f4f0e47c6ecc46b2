//! A database table that rows are written to, and the markers stored beside it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::types::ToSqlOutput;
use rusqlite::{
    Connection, ErrorCode, OptionalExtension, Transaction, TransactionBehavior, params_from_iter,
};

use crate::connectors::transaction::{OutboxTarget, TransactionError, Work};
use crate::operator::{BoxError, OpenContext, Outcome};
use crate::time::Timestamp;

use super::row::{SqlRow, take_value};

/// How long to wait for another subtask's transaction. All of them are short.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);
/// How long to wait before asking again, where SQLite itself does not wait.
const BUSY_PAUSE: Duration = Duration::from_millis(2);

/// A database could not be written to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SqliteError {
    /// SQLite returned an error.
    #[error("{}: could not {action}: {cause}", path.display())]
    Refused {
        /// The database file.
        path: PathBuf,
        /// What was attempted.
        action: &'static str,
        /// SQLite's error.
        cause: rusqlite::Error,
    },
    /// A row has more or fewer values than the sink has columns.
    #[error("a row of {found} values for {expected} columns: append one for each")]
    RowWidth {
        /// The number of columns.
        expected: usize,
        /// The number of values.
        found: usize,
    },
    /// The name cannot be that of a table or column.
    #[error("`{name}` is no name of a table or column: it is empty or has a zero byte")]
    Name {
        /// The name.
        name: String,
    },
}

/// The description of the table, shared by all subtasks.
#[derive(Clone, Debug)]
pub(super) struct Description {
    pub(super) path: Arc<Path>,
    pub(super) table: Arc<str>,
    pub(super) key: Arc<[Box<str>]>,
    pub(super) columns: Arc<[Box<str>]>,
    /// Distinguishes the markers of this sink from those of others.
    pub(super) name: Arc<str>,
}

/// One subtask's connection to a table. Rows are written on another thread.
#[derive(Debug)]
pub struct SqliteTable<F> {
    function: F,
    width: usize,
    database: Arc<Mutex<Database>>,
}

/// The connection and its statements.
#[derive(Debug)]
struct Database {
    description: Description,
    connection: Option<Connection>,
    upsert: String,
}

/// Quotes a name for SQL.
fn quoted(name: &str) -> Result<String, SqliteError> {
    if name.is_empty() || name.contains('\0') {
        let name = name.to_owned();
        return Err(SqliteError::Name { name });
    }
    Ok(format!("\"{}\"", name.replace('"', "\"\"")))
}

impl Description {
    /// The statement that writes a row, replacing any row with the same key.
    fn upsert(&self) -> Result<String, SqliteError> {
        let quote = |names: &[Box<str>]| -> Result<Vec<String>, SqliteError> {
            names.iter().map(|name| quoted(name)).collect()
        };
        let (key, columns) = (quote(&self.key)?, quote(&self.columns)?);
        let all = [&key[..], &columns[..]].concat();
        let sets: Vec<_> = columns
            .iter()
            .map(|c| format!("{c} = excluded.{c}"))
            .collect();
        let action = match sets.is_empty() {
            true => "NOTHING".to_owned(),
            false => format!("UPDATE SET {}", sets.join(", ")),
        };
        let values = vec!["?"; all.len()].join(", ");
        Ok(format!(
            "INSERT INTO {} ({}) VALUES ({values}) ON CONFLICT ({}) DO {action}",
            quoted(&self.table)?,
            all.join(", "),
            key.join(", "),
        ))
    }

    pub(super) fn width(&self) -> usize {
        self.key.len() + self.columns.len()
    }

    fn refused(&self, action: &'static str) -> impl Fn(rusqlite::Error) -> SqliteError + use<> {
        let path = self.path.to_path_buf();
        move |cause| SqliteError::Refused {
            path: path.clone(),
            action,
            cause,
        }
    }
}

impl<F> SqliteTable<F> {
    pub(super) fn new(description: Description, function: F) -> Self {
        SqliteTable {
            width: description.width(),
            function,
            database: Arc::new(Mutex::new(Database {
                description,
                connection: None,
                upsert: String::new(),
            })),
        }
    }

    fn database(&self) -> MutexGuard<'_, Database> {
        open(&self.database)
    }

    /// Opens the database, with commits that survive a power loss.
    pub(super) fn connect(&mut self) -> Result<(), SqliteError> {
        self.database().connect()
    }

    pub(super) fn disconnect(&mut self) {
        self.database().connection = None;
    }

    /// Returns the work of writing rows.
    pub(super) fn write(&self, rows: Vec<u8>) -> Work {
        let database = Arc::clone(&self.database);
        Box::new(move || open(&database).write(&rows, None))
    }

    /// Appends the row that the function makes from a record.
    pub(super) fn append<V: ?Sized>(&self, record: &V, rows: &mut Vec<u8>) -> Outcome
    where
        F: Fn(&V, &mut SqlRow<'_>),
    {
        let start = rows.len();
        let mut row = SqlRow::new(rows);
        (self.function)(record, &mut row);
        let (found, expected) = (row.count, self.width);
        if found != expected {
            rows.truncate(start);
            return Err(SqliteError::RowWidth { expected, found }.into());
        }
        Ok(())
    }
}

fn open(database: &Mutex<Database>) -> MutexGuard<'_, Database> {
    // A panic cannot leave an open transaction behind: it was rolled back.
    database.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Switches the database to its write-ahead log. SQLite does not wait here for a connection that is writing, such as
/// another subtask's that does the same: it only waits where the connection holds no lock itself.
fn write_ahead(connection: &Connection) -> rusqlite::Result<()> {
    let begun = Instant::now();
    loop {
        match connection.execute_batch("PRAGMA journal_mode = WAL") {
            Err(error)
                if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
                    && begun.elapsed() < BUSY_TIMEOUT =>
            {
                std::thread::sleep(BUSY_PAUSE);
            }
            outcome => return outcome,
        }
    }
}

impl Database {
    fn connect(&mut self) -> Result<(), SqliteError> {
        let failed = self.description.refused("open it");
        let connection = Connection::open(&self.description.path).map_err(&failed)?;
        connection.busy_timeout(BUSY_TIMEOUT).map_err(&failed)?;
        write_ahead(&connection).map_err(&failed)?;
        connection
            .execute_batch("PRAGMA synchronous = FULL")
            .map_err(&failed)?;
        self.upsert = self.description.upsert()?;
        // A statement that does not fit the table is reported before the first record.
        connection
            .prepare(&self.upsert)
            .map_err(self.description.refused("write rows to its table"))?;
        self.connection = Some(connection);
        Ok(())
    }

    /// Runs a closure in one transaction.
    fn transact(
        &mut self,
        action: &'static str,
        run: impl FnOnce(&Transaction<'_>, &str) -> Result<(), BoxError>,
    ) -> Outcome {
        let failed = self.description.refused(action);
        let connection = self.connection.as_mut().ok_or("the database is not open")?;
        let transaction = connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(&failed)?;
        run(&transaction, &self.upsert)?;
        Ok(transaction.commit().map_err(failed)?)
    }

    /// Writes rows and, in the same transaction, a marker that `lane` is written up to an epoch.
    fn write(&mut self, rows: &[u8], marker: Option<(u32, u64)>) -> Outcome {
        let (width, failed) = (
            self.description.width(),
            self.description.refused("write a row"),
        );
        let name = Arc::clone(&self.description.name);
        self.transact("write rows", |transaction, upsert| {
            upsert_rows(transaction, upsert, width, rows, &failed)?;
            if let Some((lane, epoch)) = marker {
                let marker = (&*name, lane, epoch.cast_signed());
                transaction.execute(SET_MARKER, marker).map_err(failed)?;
            }
            Ok(())
        })
    }

    fn marker(&self, lane: u32) -> Result<u64, BoxError> {
        let connection = self.connection.as_ref().ok_or("the database is not open")?;
        let epoch = connection
            .query_row(READ_MARKER, (&*self.description.name, lane), |row| {
                row.get::<_, i64>(0)
            })
            .optional()
            .map_err(self.description.refused("read a marker"))?;
        Ok(epoch.map_or(0, i64::cast_unsigned))
    }

    fn furthest(&self, index: u32, parallelism: u32) -> Result<Option<(u32, u64)>, BoxError> {
        let connection = self.connection.as_ref().ok_or("the database is not open")?;
        let furthest = connection
            .query_row(
                FURTHEST_MARKER,
                (&*self.description.name, parallelism, index),
                |row| Ok((row.get(0)?, row.get::<_, i64>(1)?)),
            )
            .optional()
            .map_err(self.description.refused("read the markers"))?;
        Ok(furthest.map(|(lane, epoch)| (lane, epoch.cast_unsigned())))
    }

    fn forget(&mut self, index: u32, parallelism: u32) -> Outcome {
        let name = Arc::clone(&self.description.name);
        let failed = self.description.refused("remove markers");
        self.transact("remove markers", |transaction, _| {
            transaction
                .execute(FORGET_MARKERS, (&*name, parallelism, index))
                .map_err(failed)?;
            Ok(())
        })
    }
}

fn upsert_rows(
    transaction: &Transaction<'_>,
    upsert: &str,
    width: usize,
    mut rows: &[u8],
    failed: &impl Fn(rusqlite::Error) -> SqliteError,
) -> Outcome {
    let mut statement = transaction.prepare_cached(upsert).map_err(failed)?;
    let mut values = Vec::with_capacity(width);
    while !rows.is_empty() {
        values.clear();
        for _ in 0..width {
            let value = take_value(&mut rows).ok_or_else(TransactionError::unrecoverable)?;
            values.push(ToSqlOutput::Borrowed(value));
        }
        statement
            .execute(params_from_iter(&values))
            .map_err(failed)?;
    }
    Ok(())
}

const CREATE_MARKERS: &str = "CREATE TABLE IF NOT EXISTS thalweg_markers \
    (sink TEXT NOT NULL, lane INTEGER NOT NULL, epoch INTEGER NOT NULL, PRIMARY KEY (sink, lane)) \
    WITHOUT ROWID";
const READ_MARKER: &str = "SELECT epoch FROM thalweg_markers WHERE sink = ? AND lane = ?";
const FURTHEST_MARKER: &str = "SELECT lane, epoch FROM thalweg_markers WHERE sink = ? AND lane % ? = ? \
    ORDER BY epoch DESC LIMIT 1";
const FORGET_MARKERS: &str = "DELETE FROM thalweg_markers WHERE sink = ? AND lane % ? = ?";
const SET_MARKER: &str = "INSERT INTO thalweg_markers (sink, lane, epoch) VALUES (?, ?, ?) \
    ON CONFLICT (sink, lane) DO UPDATE SET epoch = excluded.epoch";

impl<V, F> OutboxTarget<V> for SqliteTable<F>
where
    V: ?Sized + 'static,
    F: Fn(&V, &mut SqlRow<'_>) + Send + 'static,
{
    fn open(&mut self, _cx: &OpenContext) -> Outcome {
        let mut database = self.database();
        database.connect()?;
        let failed = (database.description).refused("create its table of markers");
        database.transact("create its table of markers", |transaction, _| {
            transaction.execute(CREATE_MARKERS, []).map_err(failed)?;
            Ok(())
        })
    }

    fn encode(&mut self, record: &V, _at: Timestamp, output: &mut Vec<u8>) -> Outcome {
        self.append(record, output)
    }

    fn marker(&mut self, lane: u32) -> Result<u64, BoxError> {
        self.database().marker(lane)
    }

    fn furthest(&mut self, index: u32, parallelism: u32) -> Result<Option<(u32, u64)>, BoxError> {
        self.database().furthest(index, parallelism)
    }

    fn forget(&mut self, index: u32, parallelism: u32) -> Outcome {
        self.database().forget(index, parallelism)
    }

    fn deliver(&mut self, lane: u32, epoch: u64, output: Arc<Vec<u8>>) -> Result<Work, BoxError> {
        let database = Arc::clone(&self.database);
        Ok(Box::new(move || {
            open(&database).write(&output, Some((lane, epoch)))
        }))
    }

    fn close(&mut self) -> Outcome {
        self.disconnect();
        Ok(())
    }
}
