//! One run: without checkpoints, with them, or restored from the last one.

use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use thalweg::checkpoint::{RealStorage, inspect};
use thalweg::datastream::Environment;
use thalweg::operator::Sum;
use thalweg::runtime::{CheckpointEvent, CheckpointSize, Checkpoints, JobHandle, RestoreFrom};

use crate::bench::checksum::{Checksum, Total};
use crate::bench::stopwatch::Stopwatch;
use crate::error::Failure;
use crate::latency::Reading;

use super::keys::{Addition, Keys, one_more_of_each};
use super::memory::anonymous_bytes;
use super::options::{CheckpointOptions, Leg};
use super::source::{Changes, Shared};
use super::stops::{Stops, percentiles_of};

/// The interval at which the job's memory is sampled.
const LOOK: Duration = Duration::from_millis(20);

/// A completed checkpoint.
#[derive(Clone, Copy, Debug)]
struct Kept {
    checkpoint: u64,
    at: Instant,
    duration: Duration,
    size: CheckpointSize,
    file_bytes: u64,
}

type AllKept = Arc<Mutex<Vec<Kept>>>;

/// The job and the state it shares with its driver.
struct Draft {
    env: Environment,
    rows: Checksum,
    shared: Arc<Shared>,
    kept: AllKept,
    keys: Keys,
}

impl Draft {
    fn new(options: &CheckpointOptions, leg: Leg, directory: &Path) -> Self {
        let kept = AllKept::default();
        let mut env = Environment::new()
            .parallelism(options.parallelism)
            .workers(options.parallelism);
        if leg != Leg::Plain {
            env = env.checkpoints(checkpoints(options, directory, &kept));
        }
        if leg == Leg::Restore {
            env = env.restore(RestoreFrom::Latest);
        }
        let keys = Keys::new(options.keys, options.change);
        let shared = Arc::new(Shared::default());
        let rows = Checksum::new(&Stopwatch::default());
        let changes = Changes {
            keys,
            duration: Duration::from_secs(options.seconds),
            shared: Arc::clone(&shared),
        };
        let sums = env.source("changes", changes).uid("changes");
        sums.key_by(|addition: &Addition| addition[0])
            .expected_keys(options.keys as usize)
            .aggregate_with(Sum::of(|addition: &Addition| addition[1]), |key, sum| {
                [*key, sum]
            })
            .uid("sums")
            .sink("rows", rows.clone())
            .uid("rows");
        Draft {
            env,
            rows,
            shared,
            kept,
            keys,
        }
    }
}

fn checkpoints(options: &CheckpointOptions, directory: &Path, kept: &AllKept) -> Checkpoints {
    let (kept, place) = (Arc::clone(kept), directory.to_owned());
    Checkpoints::every(options.interval)
        .to(directory)
        .retained(2)
        .observed_by(move |event| {
            let CheckpointEvent::Completed {
                checkpoint,
                duration,
                size,
            } = event
            else {
                return;
            };
            let kept_now = Kept {
                checkpoint: *checkpoint,
                at: Instant::now(),
                duration: *duration,
                size: *size,
                file_bytes: file_bytes(&place, *checkpoint),
            };
            let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
            kept.push(kept_now);
        })
}

/// The size in bytes of the segments written for a checkpoint; 0 if it cannot be read.
fn file_bytes(directory: &Path, checkpoint: u64) -> u64 {
    let storage = RealStorage::existing(directory).ok();
    let manifest = storage.and_then(|storage| inspect::inspect(&storage, checkpoint).ok());
    let segments = manifest.map_or_else(Vec::new, |manifest| manifest.segments);
    let own = segments
        .iter()
        .filter(|segment| segment.checkpoint == checkpoint);
    own.map(|segment| segment.length).sum()
}

/// Performs the run and reports on it.
///
/// # Errors
/// If the job fails or its rows are wrong.
pub(super) fn run(
    options: &CheckpointOptions,
    leg: Leg,
    directory: &Path,
) -> Result<Value, Failure> {
    let draft = Draft::new(options, leg, directory);
    match leg {
        Leg::Plain | Leg::Kept => change(options, leg, &draft),
        Leg::Restore => restore(&draft),
    }
}

fn change(options: &CheckpointOptions, leg: Leg, draft: &Draft) -> Result<Value, Failure> {
    let shared = &draft.shared;
    let memory_before = anonymous_bytes();
    let job = draft.env.spawn("checkpoint")?;
    while shared.prefilled.load(Ordering::Acquire) < options.parallelism {
        if job.status().is_terminal() {
            job.wait()?;
            return Err(Failure::new("the job has ended before it was to"));
        }
        sleep(Duration::from_millis(1));
    }
    let state = anonymous_bytes().saturating_sub(memory_before);
    if leg == Leg::Kept {
        job.checkpoint()?;
    }
    let reading = Reading::now();
    shared.go.store(true, Ordering::Release);
    let peak = watch(&job).saturating_sub(memory_before);
    let ended = job.wait()?;
    let processor_time = Reading::now().since(&reading);

    let found = shared.found();
    let (Some(stops), Some((begin, end))) = (&found.stops, found.span) else {
        return Err(Failure::new("no change was emitted"));
    };
    let (_, expected) = draft.keys.expected(&found.ends);
    check(draft.rows.total(&ended), expected)?;
    let seconds = (end - begin).as_secs_f64();
    Ok(json!({
        "leg": leg.name(),
        "changes": found.changes,
        "seconds": seconds,
        "changes_per_second": found.changes as f64 / seconds,
        "stops": stops.gaps(),
        "turns": stops.turns(),
        "state_bytes": state,
        "peak_bytes": peak.max(state),
        "steal": processor_time.steal,
        "waited": processor_time.waited(),
        "checkpoints": kept_between(&draft.kept, stops, begin, end),
    }))
}

/// Waits for the job to end; returns the peak memory use.
fn watch(job: &JobHandle) -> u64 {
    let mut peak = 0;
    while !job.status().is_terminal() {
        peak = peak.max(anonymous_bytes());
        sleep(LOOK);
    }
    peak
}

/// The checkpoints taken while sums changed, and their stops.
fn kept_between(kept: &AllKept, stops: &Stops, begin: Instant, end: Instant) -> Value {
    let kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
    let began = |kept: &Kept| kept.at.checked_sub(kept.duration).unwrap_or(begin);
    let within: Vec<&Kept> = (kept.iter())
        .filter(|kept| began(kept) >= begin && kept.at <= end)
        .collect();
    let longest = |kept: &Kept| stops.longest(began(kept), kept.at);
    let each = within.iter().map(|kept| {
        json!({
            "checkpoint": kept.checkpoint,
            "duration_ms": kept.duration.as_secs_f64() * 1e3,
            "entries": kept.size.entries,
            "bytes": kept.size.bytes,
            "file_bytes": kept.file_bytes,
            "longest_stop_us": longest(kept).as_secs_f64() * 1e6,
        })
    });
    let sum = |of: fn(&Kept) -> u64| within.iter().map(|kept| of(kept)).sum::<u64>();
    let own_bytes = sum(|kept| kept.size.entries) * size_of::<Addition>() as u64;
    let ratio = |bytes: u64| (own_bytes > 0).then(|| bytes as f64 / own_bytes as f64);
    json!({
        "count": within.len(),
        "stops": percentiles_of(within.iter().map(|kept| longest(kept))),
        "bytes_per_own_byte": ratio(sum(|kept| kept.file_bytes)),
        "each": each.collect::<Vec<_>>(),
    })
}

fn restore(draft: &Draft) -> Result<Value, Failure> {
    let begin = Instant::now();
    let job = draft.env.spawn("checkpoint")?;
    let opened = begin.elapsed();
    let ended = job.wait()?;
    let found = draft.shared.found();
    let Some(first) = found.first_record else {
        return Err(Failure::new("there was no checkpoint to go on from"));
    };
    let (sums, _) = draft.keys.expected(&found.ends);
    check(draft.rows.total(&ended), one_more_of_each(&sums))?;
    Ok(json!({
        "leg": Leg::Restore.name(),
        "to_first_record_ms": (first - begin).as_secs_f64() * 1e3,
        "of_it_opening_ms": opened.as_secs_f64() * 1e3,
        "keys": sums.len(),
    }))
}

fn check(found: Total, expected: Total) -> Result<(), Failure> {
    if found == expected {
        return Ok(());
    }
    Err(Failure::new(format_args!(
        "the rows are wrong: {found:?} instead of {expected:?}"
    )))
}
