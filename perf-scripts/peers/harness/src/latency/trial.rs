//! A trial: one run of a peer's job at a rate, checked and reported.

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::options::{Options, usage};
use super::processor_time::ProcessorTime;
use super::recorder::{Latencies, Recorder};
use super::run_json;
use super::schedule::Schedule;
use super::stopwatch::Stopwatch;
use super::tick::{Ticks, sum_of_counts};

/// From building the job to its first record: enough for all threads to start.
const START_DELAY_NANOS: i64 = 200_000_000;

/// A peer's job for `latency`.
#[derive(Clone, Copy, Debug)]
pub struct Latency {
    /// How it is set up, for the reader of the report.
    pub setting: &'static str,
    /// Threads that source, count and sink have.
    pub workers: u32,
    /// Runs it to its end.
    pub run: fn(&Trial),
}

/// One run: what its source, its sink and its clock share.
#[derive(Clone, Debug)]
pub struct Trial {
    schedule: Schedule,
    stopwatch: Stopwatch,
    let_go: Arc<AtomicBool>,
    unsent: Arc<AtomicU64>,
    seen: Arc<Mutex<Latencies>>,
}

impl Trial {
    fn begin(options: Options) -> Self {
        let stopwatch = Stopwatch::start();
        let start = stopwatch.nanos() + START_DELAY_NANOS;
        Trial {
            schedule: Schedule::new(start, options.rate, options.warm_up, options.seconds),
            stopwatch,
            let_go: Arc::default(),
            unsent: Arc::default(),
            seen: Arc::new(Mutex::new(Latencies::new())),
        }
    }

    /// What the job's one source hands on.
    pub fn ticks(&self) -> Ticks {
        let (let_go, unsent) = (self.let_go.clone(), self.unsent.clone());
        Ticks::new(&self.schedule, self.stopwatch, let_go, unsent)
    }

    /// What a sink instance tells of its records.
    pub fn arrivals(&self) -> Arrivals {
        let recorder = Recorder::new(self.stopwatch, self.schedule.recorded_from_nanos());
        Arrivals { recorder }
    }

    /// A sink instance has seen the end of input, and this.
    pub fn end(&self, arrivals: Arrivals) {
        let mut seen = self.seen.lock().expect("nobody panics holding it");
        seen.merge(&arrivals.recorder.into_latencies());
    }

    /// Sleeps until every record was due, then lets the source end; gives what the processors did meanwhile.
    fn watch(&self) -> ProcessorTime {
        let time = ProcessorTime::while_recorded(&self.schedule, self.stopwatch);
        self.let_go.store(true, Ordering::Relaxed);
        time
    }

    /// Whether every record that was handed on has arrived and was counted right.
    fn check(&self, seen: &Latencies) -> Result<(), String> {
        let sent = self.schedule.count - self.unsent.load(Ordering::Relaxed);
        let expected = sum_of_counts(sent);
        if (seen.records, seen.checksum) == (sent, expected) {
            return Ok(());
        }
        Err(format!(
            "{} of {sent} records arrived, and add up to {} instead of {expected}",
            seen.records, seen.checksum
        ))
    }
}

/// What a sink instance has seen.
#[derive(Clone, Debug)]
pub struct Arrivals {
    recorder: Recorder,
}

impl Arrivals {
    /// A count has arrived, for a record that was due at `due_nanos`.
    #[inline(always)]
    pub fn arrived(&mut self, due_nanos: i64, count: u64) {
        self.recorder.arrived(due_nanos, count);
    }
}

/// `latency` of a peer, with the arguments after that word.
pub(crate) fn main(system: &str, latency: Latency, arguments: &[String]) -> ExitCode {
    if arguments
        .iter()
        .any(|word| word == "-h" || word == "--help")
    {
        println!("{}", usage(system));
        return ExitCode::SUCCESS;
    }
    let options = match Options::parse(arguments) {
        Ok(options) => options,
        Err(error) => {
            eprintln!("{system}: {error}\n\n{}", usage(system));
            return ExitCode::from(2);
        }
    };
    match measure(system, latency, options) {
        Ok(found) => {
            println!("{found}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{system}: latency: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(system: &str, latency: Latency, options: Options) -> Result<Value, String> {
    let clock_reading_nanos = Stopwatch::start().reading_nanos();
    let trial = Trial::begin(options);
    let time = std::thread::scope(|scope| {
        let watching = scope.spawn(|| trial.watch());
        (latency.run)(&trial);
        watching.join().expect("it only sleeps and reads")
    });
    let seen = trial.seen.lock().expect("nobody panics holding it");
    trial.check(&seen)?;
    let mut run = run_json::run(system, latency.workers, &seen, &time);
    let unsent = trial.unsent.load(Ordering::Relaxed);
    run.insert("unsent".to_owned(), json!(unsent));
    run.insert("setting".to_owned(), json!(latency.setting));
    run.insert("clock_reading_nanos".to_owned(), json!(clock_reading_nanos));
    Ok(Value::Object(run))
}
