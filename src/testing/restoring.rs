//! Driving with checkpoints: a barrier between any two elements, and operators that are restored.
//!
//! ```text
//! elements   1   2   3   4   5   6   7 ✗            5   6   7   8 …
//! barriers         ▲       ▲       ▲          restored to ▲
//! snapshots        └ slices ┘└ slices ┘└ never written
//! ```
//! Output after the checkpoint's barrier is discarded, and the input from there on is fed again. The new operator is
//! sent the watermark and the status of every input, as the upstream operators would: first of all, or only before the
//! next signal, because upstream operators that are restored, too, may have records before they have a watermark.

use std::fmt::Debug;

use crate::checkpoint::{MemorySnapshot, Restored, SnapshotOutput, StateReport};
use crate::operator::{Barrier, Signal};
use crate::time::Timestamp;

use super::drive::{RESUMPTIONS_MAX, Run, Step, Subject};
use super::tail::{Output, Passed};
use super::violation::{Fault, Phase};

/// Scripts up to this length are restored as often as the way of driving specifies; longer ones proportionally less
/// often.
const SCRIPT_MAX: usize = 150;

/// How checkpoints are taken while an operator is driven, and when it fails.
#[derive(Clone, Copy, Debug)]
pub(super) struct Checkpoints {
    /// A barrier follows after this many elements.
    pub(super) interval: usize,
    /// How many entries a slice of a snapshot has; one slice is written after each element.
    pub(super) slice: usize,
    /// The operator is discarded after this many elements; 0: never.
    pub(super) life: usize,
    /// Whether barriers overtake: they arrive while the output is full, if the operator accepts them then.
    pub(super) overtake: bool,
    /// Whether a restored operator learns of the watermarks of its inputs only before the next signal.
    pub(super) tells_late: bool,
}

/// A complete checkpoint: what was written, the position in the script, and the output so far.
struct Complete {
    restored: Restored,
    position: usize,
    passed: Passed,
}

/// A checkpoint whose snapshot is still being written.
#[derive(Clone, Copy)]
struct Pending {
    position: usize,
    passed: Passed,
}

/// The checkpoints of a run.
pub(super) struct Taken {
    memory: MemorySnapshot,
    reports: Vec<StateReport>,
    checkpoint: u64,
    pending: Option<Pending>,
    complete: Option<Complete>,
    /// Elements, and checkpoints begun and completed, in the life of this operator.
    lived: usize,
    begun: usize,
    completed: usize,
    /// What a restored operator has not been told yet of its inputs.
    untold: Vec<Told>,
}

impl Taken {
    pub(super) fn new() -> Self {
        Taken {
            memory: MemorySnapshot::new(1),
            reports: Vec::new(),
            checkpoint: 0,
            pending: None,
            complete: None,
            lived: 0,
            begun: 0,
            completed: 0,
            untold: Vec::new(),
        }
    }
}

/// The last known status of an input.
#[derive(Clone, Copy, Default)]
struct Told {
    watermark: Option<Timestamp>,
    idle: bool,
    ended: bool,
}

impl<E, O: Debug + Send, S: Subject<E>> Run<'_, E, O, S> {
    /// Called after an element: writes more of a snapshot, takes a checkpoint, or fails the operator. Returns the
    /// position in the script at which to continue.
    pub(super) fn checkpoint(
        &mut self,
        checkpoints: Checkpoints,
        script: &[Step<E>],
        at: usize,
    ) -> Result<usize, Fault> {
        let stride = 1 + script.len() / SCRIPT_MAX;
        self.taken.lived += 1;
        if self.taken.pending.is_some() {
            self.write(checkpoints.slice)?;
        }
        let (told, _) = self.told(&script[..at]);
        let is_due = self
            .taken
            .lived
            .is_multiple_of(checkpoints.interval * stride);
        if is_due && !told.iter().all(|input| input.ended) {
            self.write_all(checkpoints.slice)?;
            self.barrier(checkpoints.overtake, &told, at)?;
        }
        let life = checkpoints.life * stride;
        if life > 0 && self.taken.lived >= life && self.taken.begun > 0 {
            return self.fail(checkpoints, script);
        }
        Ok(at)
    }

    /// Feeds a barrier to every input, and checks that it comes out.
    fn barrier(&mut self, overtake: bool, told: &[Told], position: usize) -> Result<(), Fault> {
        self.taken.checkpoint += 1;
        self.taken.begun += 1;
        let checkpoint = self.taken.checkpoint;
        if self.snapshot(1)? {
            return Err(Fault::WrittenEarly(checkpoint));
        }
        let mut options = [0, Barrier::WHOLE][checkpoint as usize % 2];
        if overtake {
            options |= Barrier::UNALIGNED;
        }
        let barrier = Signal::Barrier(Barrier {
            checkpoint,
            options,
        });
        let mut settles = !overtake || !self.begun;
        for (input, _) in told.iter().enumerate().filter(|(_, told)| !told.ended) {
            settles |= !self.subject.takes_barrier();
            if settles {
                self.settle()?;
            }
            self.call(Phase::Signal, |subject| subject.signal(input, barrier))?;
        }
        if settles {
            self.settle()?;
        }
        let log = self.tail.log();
        let passed: Vec<Passed> = (log.barriers.iter().copied())
            .filter(|passed| passed.checkpoint == checkpoint)
            .collect();
        let [passed] = *passed else {
            let count = passed.len();
            return Err(Fault::Barrier { checkpoint, count });
        };
        self.taken.pending = Some(Pending { position, passed });
        Ok(())
    }

    /// Calls `snapshot` once; returns its result.
    fn snapshot(&mut self, slice: usize) -> Result<bool, Fault> {
        self.tail.log().enter(Phase::Snapshot);
        let taken = &mut self.taken;
        let mut out = SnapshotOutput::new(
            taken.checkpoint,
            0,
            &mut taken.memory,
            &mut taken.reports,
            slice,
        );
        let done = self.subject.snapshot(&mut out);
        let mut log = self.tail.log();
        if log.calls.snapshot == 0 {
            return Err(Fault::NotPassedOn(Phase::Snapshot));
        }
        log.fault.take().map_or(Ok(done), Err)
    }

    /// Writes one slice of what the last barrier froze; returns whether that was the last one.
    fn write(&mut self, slice: usize) -> Result<bool, Fault> {
        let done = self.snapshot(slice)?;
        if done && let Some(Pending { position, passed }) = self.taken.pending.take() {
            let taken = &mut self.taken;
            let reports = std::mem::take(&mut taken.reports);
            let written = taken.memory.complete(taken.checkpoint, 0, &reports);
            written.map_err(|error| Fault::Failed(Phase::Snapshot, error.to_string()))?;
            taken.completed += 1;
            taken.complete = Some(Complete {
                restored: taken.memory.restored(),
                position,
                passed,
            });
        }
        Ok(done)
    }

    fn write_all(&mut self, slice: usize) -> Result<(), Fault> {
        for _ in 0..RESUMPTIONS_MAX {
            if self.taken.pending.is_none() || self.write(slice)? {
                return Ok(());
            }
        }
        Err(Fault::NeverWritten(self.taken.checkpoint))
    }

    /// Discards the operator and restores a new one from the last complete checkpoint. Returns its position.
    fn fail(&mut self, checkpoints: Checkpoints, script: &[Step<E>]) -> Result<usize, Fault> {
        if self.taken.completed == 0 {
            self.write_all(checkpoints.slice)?;
        }
        self.close()?;
        let taken = &mut self.taken;
        taken.memory.abort();
        taken.reports.clear();
        taken.pending = None;
        (taken.lived, taken.begun, taken.completed) = (0, 0, 0);
        let complete = taken
            .complete
            .take()
            .ok_or(Fault::NeverWritten(taken.checkpoint))?;
        let passed = complete.passed;
        self.tail.log().rewind(passed);
        self.subject = (self.build)(self.tail.clone());
        (self.begun, self.fed) = (false, 0);
        let (told, now) = self.told(&script[..complete.position]);
        self.now = now;
        self.open(Some(complete.restored))?;
        // An input that has ended gets no barriers, which the operator must know.
        let waits = checkpoints.tells_late && !told.iter().any(|told| told.ended);
        self.taken.untold = told;
        if !waits {
            self.tell()?;
        }
        Ok(complete.position)
    }

    /// Sends a restored operator what the upstream operators knew of every input, if it has not been told yet. It must
    /// have settled if it has been fed.
    pub(super) fn tell(&mut self) -> Result<(), Fault> {
        let told = std::mem::take(&mut self.taken.untold);
        if told.is_empty() {
            return Ok(());
        }
        let before = self.tail.log().before_telling();
        for (input, told) in told.iter().enumerate() {
            let signals = [
                told.watermark.map(Signal::Watermark),
                told.idle.then_some(Signal::Idle),
                told.ended.then_some(Signal::End),
            ];
            for signal in signals.into_iter().flatten() {
                self.settle()?;
                self.call(Phase::Signal, |subject| subject.signal(input, signal))?;
            }
        }
        self.settle()?;
        let records = self.tail.log().after_telling(before);
        // The end of an input makes a function emit the same records again.
        match records.first() {
            Some(record) if !told.iter().any(|told| told.ended) => {
                Err(Fault::Repeated(format!("{record:?}")))
            }
            _ => Ok(()),
        }
    }

    /// The status of every input and the processing time after these steps.
    fn told(&self, steps: &[Step<E>]) -> (Vec<Told>, Timestamp) {
        let mut told = vec![Told::default(); self.subject.inputs()];
        let mut now = Timestamp(0);
        for step in steps {
            match step {
                Step::Time(time) => now = *time,
                Step::Element(element) => {
                    let Some((input, signal)) = self.subject.signal_of(element) else {
                        continue;
                    };
                    match signal {
                        Signal::Watermark(at) => told[input].watermark = Some(at),
                        Signal::Idle => told[input].idle = true,
                        Signal::Active => told[input].idle = false,
                        Signal::End => told[input].ended = true,
                        _ => {}
                    }
                }
            }
        }
        (told, now)
    }
}

/// Sorts adjacent results with equal timestamps into a canonical order.
pub(super) fn sort_ties<O: Debug>(mut outputs: Vec<Output<O>>) -> Vec<Output<O>> {
    let time = |output: &Output<O>| match output {
        Output::Record(_, at) | Output::Side(.., at) => Some(*at),
        Output::Signal(_) => None,
    };
    let is_tie = |a: &Output<O>, b: &Output<O>| time(a).is_some() && time(a) == time(b);
    for ties in outputs.chunk_by_mut(is_tie) {
        ties.sort_by_cached_key(|output| format!("{output:?}"));
    }
    outputs
}
