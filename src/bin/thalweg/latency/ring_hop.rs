//! The floor: the same open loop from one thread to another through a bare ring, without a job.
//!
//! Two threads, each pinned to a core, which always spin regardless of the wait strategy of the job's workers: the
//! minimum cost of a hop on this machine, in the same minute. This crate's ring is compared with `rtrb`.

use std::hint::spin_loop;
use std::thread;

use core_affinity::CoreId;
use thalweg::record::FrameKind;
use thalweg::ring::{Consumer, Producer, RingOptions, ring};
use thalweg::time::Timestamp;

use crate::error::Failure;

use super::processor_time::ProcessorTime;
use super::recorder::{Latencies, Recorder};
use super::tick::Tick;
use super::trial::{Setup, Trial};

/// The size of the rings in bytes, the same as a job's own rings.
const RING_BYTES: usize = 128 * 1024;

/// The producing end of a ring.
trait Sender: Send {
    /// Writes a tick; `false` if there is no room.
    fn send(&mut self, tick: &Tick) -> bool;

    /// Makes what was written visible to the other end.
    fn publish(&mut self);
}

/// The consuming end of a ring.
trait Receiver: Send {
    /// Takes what is available; returns whether there was anything.
    fn receive(&mut self, recorder: &mut Recorder) -> bool;

    /// Whether the sender is gone and everything has been taken.
    fn is_closed(&mut self) -> bool;
}

impl Sender for Producer {
    #[inline(always)]
    fn send(&mut self, tick: &Tick) -> bool {
        self.push(
            FrameKind::RECORD,
            0,
            Timestamp::MIN,
            bytemuck::bytes_of(tick),
        )
        .is_ok()
    }

    #[inline(always)]
    fn publish(&mut self) {
        Producer::publish(self);
    }
}

impl Receiver for Consumer {
    #[inline(always)]
    fn receive(&mut self, recorder: &mut Recorder) -> bool {
        let mut any = false;
        for frame in self.read().frames() {
            let tick: &Tick = bytemuck::from_bytes(frame.payload);
            recorder.arrived(tick.due_nanos, tick.seq);
            any = true;
        }
        any
    }

    fn is_closed(&mut self) -> bool {
        Consumer::is_closed(self)
    }
}

impl Sender for rtrb::Producer<Tick> {
    #[inline(always)]
    fn send(&mut self, tick: &Tick) -> bool {
        self.push(*tick).is_ok()
    }

    fn publish(&mut self) {}
}

impl Receiver for rtrb::Consumer<Tick> {
    #[inline(always)]
    fn receive(&mut self, recorder: &mut Recorder) -> bool {
        let mut any = false;
        while let Ok(tick) = self.pop() {
            recorder.arrived(tick.due_nanos, tick.seq);
            any = true;
        }
        any
    }

    fn is_closed(&mut self) -> bool {
        self.is_abandoned() && self.is_empty()
    }
}

/// Measures a hop through this crate's ring.
///
/// # Errors
/// If a thread cannot be started.
pub(crate) fn measure_ring(setup: &Setup) -> Result<(Latencies, ProcessorTime), Failure> {
    let options = RingOptions::new()
        .capacity(RING_BYTES)
        .fixed_payload(size_of::<Tick>());
    let (producer, consumer) = ring(options);
    measure(setup, producer, consumer)
}

/// Measures a hop through `rtrb`.
///
/// # Errors
/// If a thread cannot be started.
pub(crate) fn measure_rtrb(setup: &Setup) -> Result<(Latencies, ProcessorTime), Failure> {
    let (producer, consumer) = rtrb::RingBuffer::new(RING_BYTES / size_of::<Tick>());
    measure(setup, producer, consumer)
}

fn measure<S: Sender, R: Receiver>(
    setup: &Setup,
    sender: S,
    receiver: R,
) -> Result<(Latencies, ProcessorTime), Failure> {
    let trial = Trial::begin(setup);
    let core = |index: usize| setup.cores.get(index % setup.cores.len().max(1)).copied();
    let refused =
        |error: std::io::Error| Failure::new(format_args!("cannot start a thread: {error}"));
    thread::scope(|scope| {
        let named = |name: &str| thread::Builder::new().name(name.to_owned());
        let receiving = named("receiver")
            .spawn_scoped(scope, || receive(&trial, receiver, core(1)))
            .map_err(refused)?;
        named("sender")
            .spawn_scoped(scope, || send(&trial, sender, core(0)))
            .map_err(refused)?;
        let time = trial.watch();
        let latencies = receiving
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        Ok((latencies, time))
    })
}

fn pin(core: Option<CoreId>) {
    if let Some(core) = core {
        core_affinity::set_for_current(core);
    }
}

/// Sends every tick when it is due; dropping the sender closes the ring.
fn send(trial: &Trial, mut sender: impl Sender, core: Option<CoreId>) {
    pin(core);
    let mut next = trial.schedule.first();
    while next.index < trial.schedule.count || !trial.may_end() {
        let now = trial.stopwatch.nanos();
        let first = next.index;
        while next.nanos <= now && next.index < trial.schedule.count {
            if !sender.send(&Tick::new(next.index, next.nanos)) {
                break;
            }
            next.advance();
        }
        if next.index != first {
            sender.publish();
        }
        spin_loop();
    }
}

/// Records incoming ticks until the ring is closed.
fn receive(trial: &Trial, mut receiver: impl Receiver, core: Option<CoreId>) -> Latencies {
    pin(core);
    let mut recorder = trial.recorder();
    while receiver.receive(&mut recorder) || !receiver.is_closed() {
        spin_loop();
    }
    recorder.into_latencies()
}
