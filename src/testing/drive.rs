//! Driving an operator through a script, in every way in which the runtime may.

use std::fmt::Debug;

use crate::operator::{Budget, OpenContext, OperatorError, Signal};
use crate::time::Timestamp;

use super::contract::open_context;
use super::tail::{Output, Pace, Tail};
use super::violation::{Fault, Phase, Violation};

/// A step of a script.
#[derive(Clone, Debug)]
pub(super) enum Step<E> {
    /// A record or a signal.
    Element(E),
    /// A batch ends, and the next one begins at this processing time.
    Time(Timestamp),
}

/// What the script's elements mean for the operator under test.
pub(super) trait Subject<E> {
    fn open(&mut self, cx: &OpenContext) -> Result<(), OperatorError>;
    fn begin(&mut self, now: Timestamp);
    fn prefetch(&self, element: &E);
    /// Which call an element is.
    fn phase(&self, element: &E) -> Phase;
    fn feed(&mut self, element: &E);
    fn ready(&self) -> bool;
    fn resume(&mut self, budget: &mut Budget);
    fn flush(&mut self);
    fn close(&mut self) -> Result<(), OperatorError>;
}

/// The control plane of a subject that is one operator.
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
        fn resume(&mut self, budget: &mut $crate::operator::Budget) {
            self.$operator.resume(budget);
        }
        fn flush(&mut self) {
            self.$operator.flush();
        }
        fn close(&mut self) -> Result<(), $crate::operator::OperatorError> {
            self.$operator.close()
        }
    };
}
pub(super) use subject_of;

/// One way of driving.
#[derive(Clone, Copy, Debug)]
struct Driving {
    name: &'static str,
    /// How many elements a batch has.
    batch: usize,
    budget: u32,
    pace: Pace,
}

const fn driving(name: &'static str, batch: usize, budget: u32, full: (u32, u32)) -> Driving {
    let (room, resumptions) = full;
    Driving {
        name,
        batch,
        budget,
        pace: Pace { room, resumptions },
    }
}

/// The ways of driving; the first one gives the results that all others must give.
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
];

/// How often an operator may be resumed before it counts as stuck.
const RESUMPTIONS_MAX: u32 = 100_000;

/// What a script expects of an operator.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    /// How many records and signals one callback may emit.
    pub(super) fan_out: u32,
    /// Watermarks depend on where batches end; records do not.
    pub(super) watermarks_by_batch: bool,
}

/// Drives what `build` makes in every way, and compares.
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
        let tail = Tail::new(driving.pace, rules.fan_out);
        let mut run = Run {
            subject: build(tail.clone()),
            tail,
            driving: *driving,
            rules,
            step: 0,
            begun: false,
            now: Timestamp(0),
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
            Some(expected) => compare(&outputs, expected, rules)
                .map_err(|fault| violation(script.len(), fault))?,
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
struct Run<E, O, S> {
    subject: S,
    tail: Tail<O>,
    driving: Driving,
    rules: Rules,
    step: usize,
    /// Whether the current batch was begun.
    begun: bool,
    now: Timestamp,
    records: std::marker::PhantomData<fn(&E)>,
}

impl<E, O: Debug + Send, S: Subject<E>> Run<E, O, S> {
    fn drive(&mut self, script: &[Step<E>]) -> Result<(), Fault> {
        self.tail.log().enter(Phase::Open);
        let opened = self.subject.open(&open_context());
        opened.map_err(|error| Fault::Failed(Phase::Open, error.to_string()))?;
        let mut fed = 0;
        for (step, what) in script.iter().enumerate() {
            self.step = step + 1;
            match what {
                Step::Time(now) => {
                    self.settle()?;
                    self.end_batch()?;
                    self.now = *now;
                    fed = 0;
                }
                Step::Element(element) => {
                    self.feed(element)?;
                    fed += 1;
                    if fed >= self.driving.batch {
                        self.end_batch()?;
                        fed = 0;
                    }
                }
            }
        }
        self.settle()?;
        self.end_batch()?;
        self.finish()
    }

    /// One call, and what went wrong in it.
    fn call(&mut self, phase: Phase, call: impl FnOnce(&mut S)) -> Result<(), Fault> {
        self.tail.log().enter(phase);
        call(&mut self.subject);
        self.tail.log().fault.take().map_or(Ok(()), Err)
    }

    /// Resumes until the operator takes input, in a batch that was begun.
    fn settle(&mut self) -> Result<(), Fault> {
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
            // One more: a signal that waited for the last firing.
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
        self.begun = false;
        self.call(Phase::Flush, Subject::flush)
    }

    /// Ends the chain's life and looks at what must have happened by then.
    fn finish(&mut self) -> Result<(), Fault> {
        while !self.subject.ready() {
            self.settle()?;
        }
        self.tail.log().enter(Phase::Close);
        let closed = self.subject.close();
        closed.map_err(|error| Fault::Failed(Phase::Close, error.to_string()))?;
        let mut log = self.tail.log();
        if let Some(fault) = log.fault.take() {
            return Err(fault);
        }
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
}
