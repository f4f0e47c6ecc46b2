//! The contract of an operator with two inputs.

use std::borrow::Borrow;
use std::fmt::Debug;
use std::marker::PhantomData;

use crate::operator::{Lookahead, Signal, TwoInput};
use crate::time::Timestamp;

use super::drive::{Rules, Step, Subject, check, subject_of};
use super::tail::{Output, Tail};
use super::violation::{Phase, Violation};

/// A script of records of types `A` and `B` and signals of either input.
///
/// Every script ends with the maximum watermark and the end of the first input, then of the second.
#[derive(Clone, Debug)]
#[must_use]
pub struct TwoInputContract<A: ToOwned + ?Sized, B: ToOwned + ?Sized> {
    script: Vec<Step<Element<A::Owned, B::Owned>>>,
    rules: Rules,
}

#[derive(Clone, Debug)]
enum Element<A, B> {
    First(A, Timestamp),
    Second(B, Timestamp),
    Signal(usize, Signal),
}

impl<A: ToOwned + ?Sized, B: ToOwned + ?Sized> TwoInputContract<A, B> {
    /// An empty script.
    pub fn new() -> Self {
        TwoInputContract {
            script: Vec::new(),
            rules: Rules::DEFAULT,
        }
    }

    fn element(mut self, element: Element<A::Owned, B::Owned>) -> Self {
        self.script.push(Step::Element(element));
        self
    }

    /// Adds a record of the first input.
    pub fn first(self, record: impl Into<A::Owned>, at: Timestamp) -> Self {
        self.element(Element::First(record.into(), at))
    }

    /// Adds a record of the second input.
    pub fn second(self, record: impl Into<B::Owned>, at: Timestamp) -> Self {
        self.element(Element::Second(record.into(), at))
    }

    /// Adds a signal of input 0 or 1.
    pub fn signal(self, input: usize, signal: Signal) -> Self {
        self.element(Element::Signal(input, signal))
    }

    /// Adds a watermark of input 0 or 1.
    pub fn watermark(self, input: usize, at: Timestamp) -> Self {
        self.signal(input, Signal::Watermark(at))
    }

    /// Ends the batch and begins the next one at this processing time.
    pub fn time(mut self, now: Timestamp) -> Self {
        self.script.push(Step::Time(now));
        self
    }

    /// Sets how many records and signals one firing or signal may cause. Default: 8.
    pub fn fan_out(mut self, records: u32) -> Self {
        self.rules.fan_out = records;
        self
    }

    /// Declares that the operator keeps all of its state in checkpoints: it is then also restored between any two
    /// elements.
    pub fn restores(mut self) -> Self {
        self.rules.restores = true;
        self
    }

    /// Declares that a restored operator may emit results with equal timestamps in another order, as timers due at the
    /// same time do.
    pub fn ties_in_any_order(mut self) -> Self {
        self.rules.ties_in_any_order = true;
        self
    }

    /// Drives one operator made by `build`, in front of an output, in each way of driving. Returns the output when
    /// driven record by record.
    ///
    /// # Errors
    /// The first [`Violation`].
    pub fn check<O, T>(&self, build: impl Fn(Tail<O>) -> T) -> Result<Vec<Output<O>>, Violation>
    where
        O: Clone + PartialEq + Debug + Send,
        T: TwoInput<A, B>,
    {
        let last = Signal::Watermark(Timestamp::MAX);
        let end = [(0, last), (0, Signal::End), (1, last), (1, Signal::End)]
            .map(|(input, signal)| Element::Signal(input, signal));
        let mut script: Vec<Step<&Element<A::Owned, B::Owned>>> = Vec::new();
        script.extend(self.script.iter().map(|step| match step {
            Step::Element(element) => Step::Element(element),
            Step::Time(now) => Step::Time(*now),
        }));
        script.extend(end.iter().map(Step::Element));
        check(&script, self.rules, |tail| BothInputs {
            operator: build(tail),
            records: PhantomData::<fn(&A, &B)>,
        })
    }
}

impl<A: ToOwned + ?Sized, B: ToOwned + ?Sized> Default for TwoInputContract<A, B> {
    fn default() -> Self {
        Self::new()
    }
}

/// An operator with two inputs under test.
struct BothInputs<T, A: ?Sized, B: ?Sized> {
    operator: T,
    records: PhantomData<fn(&A, &B)>,
}

impl<T, A, B, C, D> Subject<&Element<C, D>> for BothInputs<T, A, B>
where
    T: TwoInput<A, B>,
    A: ?Sized,
    B: ?Sized,
    C: Borrow<A>,
    D: Borrow<B>,
{
    subject_of!(operator);

    fn prefetch(&self, element: &&Element<C, D>) {
        match element {
            Element::First(record, _) => {
                let hash = self.operator.hash_first(record.borrow());
                self.operator.prefetch(hash, Lookahead::Far);
            }
            Element::Second(record, _) => {
                let hash = self.operator.hash_second(record.borrow());
                self.operator.prefetch(hash, Lookahead::Near);
            }
            Element::Signal(..) => {}
        }
    }

    fn phase(&self, element: &&Element<C, D>) -> Phase {
        match element {
            Element::First(..) | Element::Second(..) => Phase::Push,
            Element::Signal(..) => Phase::Signal,
        }
    }

    fn inputs(&self) -> usize {
        2
    }

    fn signal_of(&self, element: &&Element<C, D>) -> Option<(usize, Signal)> {
        match element {
            Element::First(..) | Element::Second(..) => None,
            Element::Signal(input, signal) => Some((*input, *signal)),
        }
    }

    fn signal(&mut self, input: usize, signal: Signal) {
        self.operator.signal_from(input, signal);
    }

    fn feed(&mut self, element: &&Element<C, D>) {
        match element {
            Element::First(record, at) => self.operator.push_first(record.borrow(), *at),
            Element::Second(record, at) => self.operator.push_second(record.borrow(), *at),
            Element::Signal(input, signal) => self.operator.signal_from(*input, *signal),
        }
    }
}
