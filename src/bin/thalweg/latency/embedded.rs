//! The job inside a program: from a client's push into an inlet to its poll of an outlet.
//!
//! One client thread does both, like a service with an event loop: it repeatedly pushes what is due and polls for
//! results. On two cores that is also the only fair setup: the worker has one core and the client the other. With a
//! thread for each direction, three would share two cores, and only the scheduler's time slices of milliseconds would
//! be measured. So the path measured is client → worker → client, two hops, with both times read on one thread.
//!
//! The client never sleeps, however the workers wait: nothing wakes a thread that polls an outlet.

use std::hint::spin_loop;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use core_affinity::CoreId;
use thalweg::connectors::{Inlet, InletError, Outlet, inlet, outlet};

use crate::error::Failure;

use super::dataflow::{Shape, draw};
use super::processor_time::ProcessorTime;
use super::recorder::{Latencies, Recorder};
use super::schedule::Due;
use super::stopwatch::Stopwatch;
use super::tick::{Counted, Tick};
use super::trial::{Setup, Trial};

/// The size of the inlet and the outlet in bytes, the same as a job's own rings.
const RING_BYTES: usize = 128 * 1024;

/// Measures from the due time of a tick until the client receives its count, with `workers` workers.
///
/// # Errors
/// The job's error.
pub(crate) fn measure(setup: &Setup, workers: u32) -> Result<(Latencies, ProcessorTime), Failure> {
    let trial = Trial::begin(setup);
    let (ticks, source) = inlet::<Tick>(RING_BYTES);
    let (counts, sink) = outlet::<Counted>(RING_BYTES);
    let shape = match workers {
        1 => Shape::Fused,
        _ => Shape::Hop { workers },
    };
    let job = draw(source, sink, shape, setup.wait).spawn("latency")?;
    let client = Client {
        ticks: Some(ticks),
        counts,
        next: trial.schedule.first(),
        count: trial.schedule.count,
        let_go: Arc::clone(&trial.let_go),
        recorder: trial.recorder(),
        stopwatch: trial.stopwatch,
    };
    let client = start(client, core_behind(&setup.cores, workers))?;
    let time = trial.watch();
    let latencies = client
        .join()
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    job.wait()?;
    Ok((latencies, time))
}

/// The core after those of the job's workers, if there is one; otherwise a shared one.
fn core_behind(cores: &[CoreId], workers: u32) -> Option<CoreId> {
    cores.get(workers as usize % cores.len().max(1)).copied()
}

fn start(mut client: Client, core: Option<CoreId>) -> Result<JoinHandle<Latencies>, Failure> {
    let builder = thread::Builder::new().name("client".to_owned());
    let started = builder.spawn(move || {
        if let Some(core) = core {
            core_affinity::set_for_current(core);
        }
        while client.turn() {
            spin_loop();
        }
        client.recorder.into_latencies()
    });
    started.map_err(|error| Failure::new(format_args!("cannot start a thread: {error}")))
}

/// The program around the job.
struct Client {
    /// Dropped when everything has been pushed: the end of the job's input.
    ticks: Option<Inlet<Tick>>,
    counts: Outlet<Counted>,
    next: Due,
    count: u64,
    /// Whether the input may end.
    let_go: Arc<AtomicBool>,
    recorder: Recorder,
    stopwatch: Stopwatch,
}

impl Client {
    /// Pushes what is due and takes what is available; returns whether there may be more.
    fn turn(&mut self) -> bool {
        if let Some(ticks) = &mut self.ticks {
            let now = self.stopwatch.nanos();
            while self.next.nanos <= now && self.next.index < self.count {
                match ticks.push(&Tick::new(self.next.index, self.next.nanos)) {
                    Ok(()) => self.next.advance(),
                    // Backpressure: the tick stays due while time passes.
                    Err(InletError::Full) => break,
                    // The job has ended; its handle knows why.
                    Err(_) => return false,
                }
            }
            if self.next.index == self.count && self.let_go.load(Ordering::Relaxed) {
                self.ticks = None;
            }
        }
        let recorder = &mut self.recorder;
        self.counts
            .poll(|counted, _at| recorder.arrived(counted.due_nanos, counted.count));
        self.ticks.is_some() || !self.counts.is_finished()
    }
}
