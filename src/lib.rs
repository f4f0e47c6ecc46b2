//! Thalweg: an embeddable, single-node stateful dataflow kernel with Flink's DataStream semantics.
//!
//! A typed builder ([`datastream`]) describes a job lazily; `execute` and `spawn` run it on threads of their own,
//! a stepper drives it step by step on the caller's thread. Adjacent operators are *fused* into one loop at
//! compile time; what remains are *regions*, each run as parallel *subtasks* by *workers*, threads pinned to
//! cores. Between regions, records travel through lock-free rings and are read there in place. Keyed state
//! belongs to the subtask that owns the key group: no locks, no sharing.
//!
//! ```
//! use thalweg::prelude::*;
//!
//! let env = Environment::new().parallelism(2);
//! let hourly = Collected::new();
//! env.source("readings", Collection::of((0..7_200u64).map(|s| [s % 3, s])))
//!     .timestamps(Monotonous, |reading| Timestamp::from_secs(reading[1] as i64))
//!     .key_by(|reading| reading[0])
//!     .window(Tumbling::of(hours(1)))
//!     .aggregate_with(Count, |sensor, _window, count| (*sensor, count))
//!     .sink("hourly", hourly.sink());
//! env.execute("readings per sensor and hour")?;
//!
//! assert_eq!(hourly.take().len(), 6);
//! # Ok::<(), JobError>(())
//! ```
//!
//! # Floors
//!
//! The crate is layered: a module on one floor names only itself and modules on floors below. A test enforces this.
//!
//! | floor | what it is | what is absent |
//! |---|---|---|
//! | [`testing`] | a test harness for operators and functions, built-in or yours; no floor uses it | threads, rings |
//! | [`prelude`] | the names that most jobs use | logic |
//! | [`connectors`] | sources and sinks: the outside world | the graph, the runtime |
//! | [`datastream`] | the API: it builds graphs | logic |
//! | [`runtime`] | execution: subtasks, workers, jobs. The only floor that starts a job's threads | user-facing types |
//! | [`graph`] | what will run where, as data: stream graph, job graph, execution graph | threads, files, user code |
//! | [`operator`] | computation: operators, nested into one another at compile time | threads, rings, files, clocks |
//! | [`checkpoint`] | durable state: snapshots, and restoring from them | operators, rings, threads |
//! | [`state`] | state per key: tables, timers | files, threads (except those that prepare memory) |
//! | [`ring`] | how frames cross cores; how workers wait | operators; it never blocks by itself |
//! | [`record`] | records as bytes: forms, frames, keys, key groups | dependence on the process; bytes are the platform's, and checkpoints refuse those of another |
//! | [`time`] | event time as pure values; the one clock | threads, sleeping |
//! | [`metrics`] | counters and gauges for every floor | locks on a write |
//!
//! Below all of them is `seeded_bugs`, a constant in every build except the one that tests the tests.

pub mod checkpoint;
pub mod connectors;
pub mod datastream;
pub mod graph;
pub mod metrics;
pub mod operator;
pub mod prelude;
pub mod record;
pub mod ring;
pub mod runtime;
mod seeded_bugs;
pub mod state;
pub mod testing;
pub mod time;

/// The README's examples, compiled and run as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;
