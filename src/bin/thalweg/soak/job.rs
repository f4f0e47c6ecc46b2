//! How the job is built and run.

use std::path::PathBuf;

use thalweg::connectors::{FileSink, Generator};
use thalweg::datastream::{Environment, Stream};
use thalweg::operator::{Sum, Tumbling};
use thalweg::runtime::Pipe;
use thalweg::time::{Monotonous, millis};

use crate::error::Failure;

use super::intervals::{Event, INTERVAL_MS, Intervals, at_ms};
use super::options::SoakOptions;

/// The number of keys.
const KEYS: u64 = 100;
/// The number of records with the same time.
const RECORDS_PER_MS: u64 = 10;

/// Runs the job.
///
/// # Errors
/// If it fails.
pub(crate) fn run(options: &SoakOptions) -> Result<(), Failure> {
    let env = Environment::new().parallelism(options.parallelism);
    let env = options.recovery.apply(env)?;
    let mut records = Generator::new(event).count(options.records);
    if let Some(rate) = options.rate {
        records = records.rate(rate);
    }
    let events = env.source("events", records).uid("events");
    let events = events.timestamps(Monotonous, |event| at_ms(event[2]));
    if options.windows {
        let [timed, windowed] = events.fork();
        by_timers(timed, options.output.join("timers"));
        by_windows(windowed, options.output.join("windows"));
    } else {
        by_timers(events, options.output.join("timers"));
    }
    env.execute("soak")?;
    Ok(())
}

/// The record with an index: always the same.
fn event(index: u64) -> Event {
    let mixed = index.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(32);
    [mixed % KEYS, mixed >> 40, index / RECORDS_PER_MS]
}

fn by_timers(events: Stream<impl Pipe<Out = Event>>, output: PathBuf) {
    let parts = FileSink::lines(output).with(|row: &[u64; 5], f| write!(f, "{row:?}"));
    events
        .key_by(|event| event[0])
        .process(Intervals::default())
        .name("intervals")
        .uid("intervals")
        .sink("timer rows", parts)
        .uid("timer-rows");
}

fn by_windows(events: Stream<impl Pipe<Out = Event>>, output: PathBuf) {
    let parts = FileSink::lines(output).with(|row: &[u64; 3], f| write!(f, "{row:?}"));
    events
        .key_by(|event| event[0])
        .window(Tumbling::of(millis(INTERVAL_MS)))
        .aggregate_with(Sum::of(|event: &Event| event[1]), |key, window, sum| {
            [*key, window.end.0.cast_unsigned() / 1_000_000, sum]
        })
        .name("windows")
        .uid("windows")
        .sink("window rows", parts)
        .uid("window-rows");
}
