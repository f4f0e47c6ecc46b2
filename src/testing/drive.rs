//! Drives an operator through a script, in every way in which the runtime may.

use std::fmt::Debug;

use crate::checkpoint::{Restored, SnapshotOutput};
use crate::operator::{Budget, Checkpointing, OpenContext, OperatorError, Signal};
use crate::time::Timestamp;

use super::contract::open_context;
use super::restoring::{Checkpoints, Taken, sort_ties};
use super::tail::{Output, Pace, Tail};
use super::violation::{Fault, Phase, Violation};

/// A step of a script.
#[derive(Clone, Debug)]
pub(super) enum Step<E> {
    /// A record or a signal.
    Element(E),
    /// Ends the batch and begins the next one at this processing time.
    Time(Timestamp),
}

/// The operator under test: how a script's elements are fed to it.
pub(super) trait Subject<E> {
    fn open(&mut self, cx: &OpenContext) -> Result<(), OperatorError>;
    fn begin(&mut self, now: Timestamp);
    fn prefetch(&self, element: &E);
    /// The call that feeds an element.
    fn phase(&self, element: &E) -> Phase;
    fn feed(&mut self, element: &E);
    /// How many inputs the operator has.
    fn inputs(&self) -> usize;
    /// The signal in an element, if it is one, and its input.
    fn signal_of(&self, element: &E) -> Option<(usize, Signal)>;
    /// Feeds a signal to one input.
    fn signal(&mut self, input: usize, signal: Signal);
    fn snapshot(&mut self, out: &mut SnapshotOutput<'_>) -> bool;
    fn ready(&self) -> bool;
    fn takes_barrier(&self) -> bool;
    fn resume(&mut self, budget: &mut Budget);
    fn flush(&mut self);
    fn close(&mut self) -> Result<(), OperatorError>;
}

/// The control calls of a subject that is one operator.
macro_rules! subject_of {
    ($operator:ident) => {
        fn open(
            &mut self,
            cx: &$crate::operator::OpenContext,
        ) -> Result<(), $crate::operator::OperatorError> {
            self.$operator.open(cx)
        }
        fn begin(&mut self, now: $crate::time::Timestamp) {
            self.$operator.begin(now);
        }
        fn ready(&self) -> bool {
            self.$operator.ready()
        }
        fn takes_barrier(&self) -> bool {
            self.$operator.takes_barrier()
        }
        fn resume(&mut self, budget: &mut $crate::operator::Budget) {
            self.$operator.resume(budget);
        }
        fn flush(&mut self) {
            self.$operator.flush();
        }
        fn snapshot(&mut self, out: &mut $crate::checkpoint::SnapshotOutput<'_>) -> bool {
            self.$operator.snapshot(out)
        }
        fn close(&mut self) -> Result<(), $crate::operator::OperatorError> {
            self.$operator.close()
        }
    };
}
pub(super) use subject_of;

/// A way of driving.
#[derive(Clone, Copy, Debug)]
pub(super) struct Driving {
    name: &'static str,
    /// How many elements a batch has.
    batch: usize,
    budget: u32,
    pace: Pace,
    /// How checkpoints are taken and restored.
    pub(super) checkpoints: Option<Checkpoints>,
}

const fn driving(name: &'static str, batch: usize, budget: u32, full: (u32, u32)) -> Driving {
    let (room, resumptions) = full;
    Driving {
        name,
        batch,
        budget,
        pace: Pace { room, resumptions },
        checkpoints: None,
    }
}

impl Driving {
    const fn checkpoints(mut self, interval: usize, slice: usize, life: usize) -> Self {
        self.checkpoints = Some(Checkpoints {
            interval,
            slice,
            life,
            overtake: false,
            tells_late: false,
        });
        self
    }

    const fn overtaking(mut self) -> Self {
        if let Some(checkpoints) = &mut self.checkpoints {
            checkpoints.overtake = true;
        }
        self
    }

    const fn telling_late(mut self) -> Self {
        if let Some(checkpoints) = &mut self.checkpoints {
            checkpoints.tells_late = true;
        }
        self
    }

    fn restores(&self) -> bool {
        self.checkpoints
            .is_some_and(|checkpoints| checkpoints.life > 0)
    }
}

/// The ways of driving; all must give the same results as the first one.
const DRIVINGS: &[Driving] = &[
    driving("record by record", 1, 1024, (0, 0)),
    driving("in batches of three", 3, 1024, (0, 0)),
    driving("in one batch", usize::MAX, 1024, (0, 0)),
    driving("with an output full after every element", 1, 1024, (1, 1)),
    driving("with a slow output and a budget of 1", 3, 1, (1, 2)),
    driving(
        "in one batch with an output full after every third element",
        usize::MAX,
        2,
        (3, 1),
    ),
    driving("with a barrier after every element", 1, 1024, (0, 0)).checkpoints(1, 1024, 0),
    driving("restored after every element", 1, 1024, (0, 0)).checkpoints(1, 3, 1),
    driving(
        "restored after every element, before its inputs have watermarks",
        1,
        1024,
        (0, 0),
    )
    .checkpoints(1, 3, 1)
    .telling_late(),
    driving(
        "restored to a checkpoint some elements ago",
        3,
        1024,
        (0, 0),
    )
    .checkpoints(2, 3, 7),
    driving(
        "restored some elements later, in one batch with a slow output",
        usize::MAX,
        1,
        (1, 2),
    )
    .checkpoints(3, 1, 5),
    driving(
        "restored after every element, with barriers that overtake a full output",
        2,
        1024,
        (1, 2),
    )
    .checkpoints(1, 3, 1)
    .overtaking(),
    driving(
        "restored some elements later, with barriers that overtake a slow output",
        3,
        1,
        (1, 2),
    )
    .checkpoints(1, 3, 4)
    .overtaking(),
];

/// How often an operator may be resumed before it counts as stuck.
pub(super) const RESUMPTIONS_MAX: u32 = 100_000;

/// What a script expects of an operator.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    /// How many records and signals one callback may emit.
    pub(super) fan_out: u32,
    /// Watermarks depend on where batches end, but records do not.
    pub(super) watermarks_by_batch: bool,
    /// The operator keeps its state in checkpoints.
    pub(super) restores: bool,
    /// A restored operator may emit results with equal timestamps in another order.
    pub(super) ties_in_any_order: bool,
}

impl Rules {
    pub(super) const DEFAULT: Self = Rules {
        fan_out: 8,
        watermarks_by_batch: false,
        restores: false,
        ties_in_any_order: false,
    };
}

/// Drives the operators that `build` makes in every way, and compares the results.
pub(super) fn check<E, O, S>(
    script: &[Step<E>],
    rules: Rules,
    build: impl Fn(Tail<O>) -> S,
) -> Result<Vec<Output<O>>, Violation>
where
    S: Subject<E>,
    O: Clone + PartialEq + Debug + Send,
{
    let mut expected: Option<Vec<Output<O>>> = None;
    for driving in DRIVINGS {
        if driving.restores() && !rules.restores {
            continue;
        }
        let tail = Tail::new(driving.pace, rules.fan_out);
        let mut run = Run {
            subject: build(tail.clone()),
            build: &build,
            tail,
            driving: *driving,
            rules,
            step: 0,
            begun: false,
            now: Timestamp(0),
            fed: 0,
            taken: Taken::new(),
            records: std::marker::PhantomData,
        };
        let violation = |step, fault| Violation {
            driving: driving.name,
            step,
            fault,
        };
        let driven = run.drive(script);
        driven.map_err(|fault| violation(run.step, fault))?;
        let outputs = std::mem::take(&mut run.tail.log().outputs);
        match &expected {
            None => expected = Some(outputs),
            Some(expected) => {
                let compared = if driving.restores() && rules.ties_in_any_order {
                    let expected = sort_ties(expected.clone());
                    compare(&sort_ties(outputs), &expected, rules)
                } else {
                    compare(&outputs, expected, rules)
                };
                compared.map_err(|fault| violation(script.len(), fault))?;
            }
        }
    }
    Ok(expected.unwrap_or_default())
}

/// Finds the first difference.
fn compare<O>(found: &[Output<O>], expected: &[Output<O>], rules: Rules) -> Result<(), Fault>
where
    O: PartialEq + Debug,
{
    let counts = |output: &&Output<O>| {
        let of_batch = matches!(
            output,
            Output::Signal(Signal::Watermark(_) | Signal::Idle | Signal::Active)
        );
        !(rules.watermarks_by_batch && of_batch)
    };
    let (mut found, mut expected) = (found.iter().filter(counts), expected.iter().filter(counts));
    for place in 0.. {
        let (left, right) = (found.next(), expected.next());
        if left != right {
            let shown = |output: Option<&Output<O>>| match output {
                Some(output) => format!("{output:?}"),
                None => "missing".to_owned(),
            };
            return Err(Fault::Differs {
                place,
                found: shown(left),
                expected: shown(right),
            });
        }
        if left.is_none() {
            break;
        }
    }
    Ok(())
}

/// One run through the script.
pub(super) struct Run<'a, E, O, S> {
    pub(super) subject: S,
    pub(super) build: &'a dyn Fn(Tail<O>) -> S,
    pub(super) tail: Tail<O>,
    pub(super) driving: Driving,
    pub(super) rules: Rules,
    step: usize,
    /// Whether `begin` has been called for the current batch.
    pub(super) begun: bool,
    pub(super) now: Timestamp,
    /// How many elements of the current batch have been fed.
    pub(super) fed: usize,
    /// Checkpoints that were taken.
    pub(super) taken: Taken,
    records: std::marker::PhantomData<fn(&E)>,
}

impl<E, O: Debug + Send, S: Subject<E>> Run<'_, E, O, S> {
    fn drive(&mut self, script: &[Step<E>]) -> Result<(), Fault> {
        self.open(None)?;
        let mut at = 0;
        while let Some(what) = script.get(at) {
            at += 1;
            self.step = at;
            match what {
                Step::Time(now) => {
                    self.settle()?;
                    self.end_batch()?;
                    self.now = *now;
                }
                Step::Element(element) => {
                    if self.subject.signal_of(element).is_some() {
                        self.settle()?;
                        self.tell()?;
                    }
                    self.feed(element)?;
                    self.fed += 1;
                    if self.fed >= self.driving.batch {
                        self.end_batch()?;
                    }
                }
            }
            if let Some(checkpoints) = self.driving.checkpoints {
                at = self.checkpoint(checkpoints, script, at)?;
            }
        }
        self.settle()?;
        self.tell()?;
        self.end_batch()?;
        self.finish()
    }

    /// Opens the operator, restoring it from a checkpoint if there is one.
    pub(super) fn open(&mut self, restored: Option<Restored>) -> Result<(), Fault> {
        self.tail.log().enter(Phase::Open);
        let opened = self.subject.open(&OpenContext {
            checkpointing: Checkpointing {
                enabled: self.rules.restores && self.driving.checkpoints.is_some(),
                restored,
                ..Checkpointing::default()
            },
            ..open_context()
        });
        opened.map_err(|error| Fault::Failed(Phase::Open, error.to_string()))
    }

    /// Makes one call and returns the fault in it, if any.
    pub(super) fn call(&mut self, phase: Phase, call: impl FnOnce(&mut S)) -> Result<(), Fault> {
        self.tail.log().enter(phase);
        call(&mut self.subject);
        self.tail.log().fault.take().map_or(Ok(()), Err)
    }

    /// Resumes the operator until it accepts input in a batch that has begun.
    pub(super) fn settle(&mut self) -> Result<(), Fault> {
        for _ in 0..RESUMPTIONS_MAX {
            if self.subject.ready() {
                if self.begun {
                    return Ok(());
                }
                self.begun = true;
                let now = self.now;
                self.call(Phase::Begin, |subject| subject.begin(now))?;
                continue;
            }
            let budget = self.driving.budget;
            self.call(Phase::Resume, |subject| {
                subject.resume(&mut Budget::new(budget));
            })?;
            let count = self.tail.log().emitted;
            // One more, for a signal that waited for the last firing.
            if count > budget.saturating_add(1).saturating_mul(self.rules.fan_out) {
                return Err(Fault::OverBudget { budget, count });
            }
            self.call(Phase::Flush, Subject::flush)?;
        }
        Err(Fault::Stuck)
    }

    fn feed(&mut self, element: &E) -> Result<(), Fault> {
        self.settle()?;
        self.call(Phase::Prefetch, |subject| subject.prefetch(element))?;
        let phase = self.subject.phase(element);
        self.call(phase, |subject| subject.feed(element))
    }

    fn end_batch(&mut self) -> Result<(), Fault> {
        (self.begun, self.fed) = (false, 0);
        self.call(Phase::Flush, Subject::flush)
    }

    /// Ends the input and checks what must have happened by then.
    fn finish(&mut self) -> Result<(), Fault> {
        while !self.subject.ready() {
            self.settle()?;
        }
        self.close()?;
        let log = self.tail.log();
        let calls = [
            (Phase::Open, log.calls.open == 1),
            (Phase::Begin, log.calls.begin > 0),
            (Phase::Flush, log.calls.flush > 0),
            (Phase::Close, log.calls.close == 1),
        ];
        if let Some((phase, _)) = calls.into_iter().find(|(_, held)| !held) {
            return Err(Fault::NotPassedOn(phase));
        }
        if log.ended { Ok(()) } else { Err(Fault::NoEnd) }
    }

    pub(super) fn close(&mut self) -> Result<(), Fault> {
        self.tail.log().enter(Phase::Close);
        let closed = self.subject.close();
        closed.map_err(|error| Fault::Failed(Phase::Close, error.to_string()))?;
        self.tail.log().fault.take().map_or(Ok(()), Err)
    }
}
