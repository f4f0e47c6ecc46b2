//! Thalweg: an embeddable, single-node stateful dataflow kernel with Flink's DataStream semantics.
//!
//! A job is drawn lazily by a typed builder ([`datastream`]) and run by `execute`, `spawn` or, step by
//! step, on the caller's own thread. Neighbouring operators are *fused* into one loop at compile time;
//! what remains are *regions*, each run as parallel *subtasks* by *workers*, threads pinned to cores.
//! Between regions records travel through lock-free rings and are read there in place. Keyed state is
//! owned by the subtask that owns the key group: no locks, no sharing.
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
//! A module names only itself and modules below it; a test holds this.
//!
//! | floor | what it is | what is absent |
//! |---|---|---|
//! | [`testing`] | a harness for operators and functions, the kernel's own and yours; nothing names it | threads, rings |
//! | [`prelude`] | the names that most jobs use | logic |
//! | [`connectors`] | sources and sinks: the world | the graph, the runtime |
//! | [`datastream`] | the API: it draws graphs | logic |
//! | [`runtime`] | what runs: subtasks, workers, jobs. The only floor that starts a job's threads | user-facing types |
//! | [`graph`] | what will run where, as data: stream graph, job graph, execution graph | threads, files, user code |
//! | [`operator`] | what is computed: operators, nested into one another at compile time | threads, rings, files, clocks |
//! | [`checkpoint`] | state made durable: snapshots, and what comes back from them | operators, rings, threads |
//! | [`state`] | what is remembered, per key: tables, timers | files, threads (but for those that prepare memory) |
//! | [`ring`] | how frames cross cores; how workers wait | operators; it never blocks by itself |
//! | [`record`] | what travels, as bytes: forms, frames, keys, key groups | dependence on the process; bytes are the platform's, and checkpoints refuse those of another |
//! | [`time`] | event time as pure values; the one clock | threads, sleeping |
//! | [`metrics`] | numbers that every floor may count | locks on a write |
//!
//! Below all of them is `seeded_bugs`, a constant in every build but the one in which tests are tested.

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
