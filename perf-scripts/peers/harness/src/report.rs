//! The clock and the report: one line of JSON for every run.

use std::io::Write;
use std::process::ExitCode;
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use crate::digest::Digest;
use crate::input::Inputs;
use crate::latency::{self, Latency};
use crate::options::{Options, usage};

/// What one run of a query came to.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    /// Records read from all inputs.
    pub records: u64,
    /// The rows of all sinks.
    pub digest: Digest,
    /// From the first record's read to the last sink's end of input.
    pub wall: Duration,
    /// The process's CPU time in user mode meanwhile.
    pub user: Duration,
    /// The process's CPU time in the kernel meanwhile.
    pub system: Duration,
}

/// Wall and CPU time since a start.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch {
    started: Instant,
    cpu: (Duration, Duration),
}

impl Stopwatch {
    /// Starts now.
    pub fn start() -> Self {
        Stopwatch {
            cpu: cpu_time(),
            started: Instant::now(),
        }
    }

    /// What has gone by, with the answer it went into.
    pub fn stop(&self, records: usize, digest: Digest) -> Outcome {
        self.stop_after(self.started.elapsed(), records, digest)
    }

    /// The same, where the wall time was taken elsewhere.
    pub fn stop_after(&self, wall: Duration, records: usize, digest: Digest) -> Outcome {
        let (user, system) = cpu_time();
        Outcome {
            records: records as u64,
            digest,
            wall,
            user: user.saturating_sub(self.cpu.0),
            system: system.saturating_sub(self.cpu.1),
        }
    }
}

/// The clock of an engine whose sources and sinks run on its own threads: from the first source's first
/// read to the last sink's end of input.
#[derive(Debug, Default)]
pub struct Clock {
    started: OnceLock<Stopwatch>,
    ended: Mutex<(Digest, Option<Outcome>)>,
}

impl Clock {
    /// A source instance reads its first record.
    pub fn start(&self) {
        self.started.get_or_init(Stopwatch::start);
    }

    /// A sink instance has seen the end of input, and this.
    pub fn end(&self, digest: Digest) {
        let mut ended = self.ended.lock().expect("nobody panics holding it");
        ended.0.merge(digest);
        let whole = ended.0;
        ended.1 = self.started.get().map(|stopwatch| stopwatch.stop(0, whole));
    }

    /// What it came to, once the engine has stopped.
    pub fn outcome(&self, records: usize) -> Outcome {
        let ended = self.ended.lock().expect("nobody panics holding it");
        let outcome = ended.1.expect("a source has started and a sink has ended");
        let records = records as u64;
        Outcome { records, ..outcome }
    }
}

/// The CPU time of all threads of this process: in user mode and in the kernel.
fn cpu_time() -> (Duration, Duration) {
    // SAFETY: all-zero bytes are a valid `rusage`, and the call writes only there.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_SELF, &mut usage);
        usage
    };
    let duration = |time: libc::timeval| {
        Duration::from_secs(time.tv_sec as u64) + Duration::from_micros(time.tv_usec as u64)
    };
    (duration(usage.ru_utime), duration(usage.ru_stime))
}

/// A variant of a query: its name, and how to run it once.
pub type Variant = (&'static str, fn(&Options, &'static Inputs) -> Outcome);

/// A peer's `main`: parses the command line, maps the inputs, runs, reports. `variants` answers with
/// the ways this peer has of running the query, none where it has none; `latency` is its job for
/// that command, if it has one.
pub fn main(
    system: &str,
    variants: impl Fn(&Options) -> Vec<Variant>,
    latency: Option<Latency>,
) -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let (Some(job), Some("latency")) = (latency, arguments.first().map(String::as_str)) {
        return latency::main(system, job, &arguments[1..]);
    }
    if arguments
        .iter()
        .any(|argument| argument == "-h" || argument == "--help")
    {
        println!("{}", usage(system, latency.is_some()));
        return ExitCode::SUCCESS;
    }
    let prepared = Options::parse(arguments)
        .and_then(|options| Inputs::open(&options).map(|inputs| (options, inputs)));
    let (options, inputs) = match prepared {
        Ok(prepared) => prepared,
        Err(error) => {
            eprintln!("{system}: {error}\n\n{}", usage(system, latency.is_some()));
            return ExitCode::from(2);
        }
    };
    // Engines' threads may read them as long as the process lives.
    let inputs: &'static Inputs = Box::leak(Box::new(inputs));
    let asked = |name: &str| options.variant.as_deref().is_none_or(|asked| asked == name);
    let mut ran = false;
    for (name, run) in variants(&options) {
        if !asked(name) {
            continue;
        }
        ran = true;
        for _ in 0..options.warmup {
            run(&options, inputs);
        }
        for _ in 0..options.runs {
            print(system, name, &options, &run(&options, inputs));
        }
    }
    if !ran {
        let query = options.query.name();
        eprintln!(
            "{system}: {query} is not written for parallelism {}",
            options.parallelism
        );
        return ExitCode::from(3);
    }
    ExitCode::SUCCESS
}

fn print(system: &str, variant: &str, options: &Options, outcome: &Outcome) {
    let seconds = outcome.wall.as_secs_f64();
    let records = outcome.records as f64;
    let nanoseconds = |time: Duration| time.as_secs_f64() * 1e9 / records.max(1.0);
    println!(
        "{{\"system\":\"{system}\",\"variant\":\"{variant}\",\"query\":\"{}\",\"parallelism\":{},\
         \"records\":{},\"rows\":{},\"seconds\":{seconds:.6},\"records_per_second\":{:.0},\
         \"user_cpu_ns_per_record\":{:.3},\"system_cpu_ns_per_record\":{:.3},\
         \"checksum\":\"{:016x}\"}}",
        options.query.name(),
        options.parallelism,
        outcome.records,
        outcome.digest.rows,
        records / seconds,
        nanoseconds(outcome.user),
        nanoseconds(outcome.system),
        outcome.digest.checksum,
    );
    // A line is there when its run is over, whoever reads it.
    let _ = std::io::stdout().flush();
}
