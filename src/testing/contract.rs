//! The contract of an operator with one input.

use std::borrow::Borrow;
use std::fmt::Debug;

use crate::metrics::MetricGroup;
use crate::operator::{Checkpointing, Lookahead, OpenContext, Push, Signal, SplitId, SubtaskInfo};
use crate::record::{KeyGroupAssignment, KeyHasher, MaxParallelism};
use crate::time::{Clock, ManualClock, Timestamp};

use super::drive::{Rules, Step, Subject, check, subject_of};
use super::tail::{Output, Tail};
use super::violation::{Phase, Violation};

/// A script of records of type `V` and signals, with the ways to drive an operator through it.
///
/// Every script ends as the runtime ends an input: with the maximum watermark and the end of input.
#[derive(Clone, Debug)]
#[must_use]
pub struct Contract<V: ToOwned + ?Sized> {
    script: Vec<Step<Element<V::Owned>>>,
    rules: Rules,
}

#[derive(Clone, Debug)]
enum Element<T> {
    Record(T, Timestamp),
    Signal(Signal),
}

impl<V: ToOwned + ?Sized> Contract<V> {
    /// An empty script.
    pub fn new() -> Self {
        Contract {
            script: Vec::new(),
            rules: Rules::DEFAULT,
        }
    }

    /// Adds a record with its timestamp; [`Timestamp::MIN`] for none.
    pub fn record(mut self, record: impl Into<V::Owned>, at: Timestamp) -> Self {
        let record = Element::Record(record.into(), at);
        self.script.push(Step::Element(record));
        self
    }

    /// Adds records with their timestamps.
    pub fn records(mut self, records: impl IntoIterator<Item = (V::Owned, Timestamp)>) -> Self {
        let step = |(record, at)| Step::Element(Element::Record(record, at));
        self.script.extend(records.into_iter().map(step));
        self
    }

    /// Adds a signal.
    pub fn signal(mut self, signal: Signal) -> Self {
        self.script.push(Step::Element(Element::Signal(signal)));
        self
    }

    /// Adds a watermark.
    pub fn watermark(self, at: Timestamp) -> Self {
        self.signal(Signal::Watermark(at))
    }

    /// Makes the input idle.
    pub fn idle(self) -> Self {
        self.signal(Signal::Idle)
    }

    /// Makes the input active again.
    pub fn active(self) -> Self {
        self.signal(Signal::Active)
    }

    /// Assigns the records that follow to this split.
    pub fn split(self, split: SplitId) -> Self {
        self.signal(Signal::Split(split))
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

    /// Declares that watermarks depend on where batches end, as those of a watermark generator do: they are not
    /// compared between the ways of driving.
    pub fn watermarks_by_batch(mut self) -> Self {
        self.rules.watermarks_by_batch = true;
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
    pub fn check<O, P>(&self, build: impl Fn(Tail<O>) -> P) -> Result<Vec<Output<O>>, Violation>
    where
        O: Clone + PartialEq + Debug + Send,
        P: Push<V>,
    {
        let mut script: Vec<Step<&Element<V::Owned>>> = Vec::new();
        let end = [Signal::Watermark(Timestamp::MAX), Signal::End].map(Element::Signal);
        script.extend(self.script.iter().map(|step| match step {
            Step::Element(element) => Step::Element(element),
            Step::Time(now) => Step::Time(*now),
        }));
        script.extend(end.iter().map(Step::Element));
        check(&script, self.rules, |tail| OneInput {
            operator: build(tail),
            hashes: false,
            record: std::marker::PhantomData::<fn(&V)>,
        })
    }
}

impl<V: ToOwned + ?Sized> Default for Contract<V> {
    fn default() -> Self {
        Self::new()
    }
}

/// An operator with one input under test.
struct OneInput<P, V: ?Sized> {
    operator: P,
    /// Whether the next record is pushed with its hash.
    hashes: bool,
    record: std::marker::PhantomData<fn(&V)>,
}

impl<T, P, V> Subject<&Element<T>> for OneInput<P, V>
where
    T: Borrow<V>,
    P: Push<V>,
    V: ?Sized,
{
    subject_of!(operator);

    fn prefetch(&self, element: &&Element<T>) {
        if let Element::Record(record, _) = element {
            let hash = self.operator.hash_ahead(record.borrow());
            self.operator.prefetch(hash, Lookahead::Far);
            self.operator.prefetch(hash, Lookahead::Near);
        }
    }

    fn phase(&self, element: &&Element<T>) -> Phase {
        match element {
            Element::Record(..) => Phase::Push,
            Element::Signal(_) => Phase::Signal,
        }
    }

    fn inputs(&self) -> usize {
        1
    }

    fn signal_of(&self, element: &&Element<T>) -> Option<(usize, Signal)> {
        match element {
            Element::Record(..) => None,
            Element::Signal(signal) => Some((0, *signal)),
        }
    }

    fn signal(&mut self, _input: usize, signal: Signal) {
        self.operator.signal(signal);
    }

    fn feed(&mut self, element: &&Element<T>) {
        match element {
            Element::Record(record, at) => {
                let record = record.borrow();
                // Alternates between both ways: they must have the same effect.
                self.hashes = !self.hashes;
                if self.hashes {
                    let hash = self.operator.hash_ahead(record);
                    self.operator.push_hashed(record, *at, hash);
                } else {
                    self.operator.push(record, *at);
                }
            }
            Element::Signal(signal) => self.operator.signal(*signal),
        }
    }
}

/// The context in which the operator is opened: the only subtask of a job called `contract`.
#[must_use]
pub fn open_context() -> OpenContext {
    let groups = MaxParallelism::default_for(1);
    OpenContext {
        subtask: SubtaskInfo {
            job: "contract".into(),
            vertex: "contract".into(),
            index: 0,
            parallelism: 1,
            attempt: 0,
        },
        metrics: MetricGroup::new(),
        hasher: KeyHasher::new(KeyGroupAssignment::Hash, groups),
        key_groups: groups.range(0, 1),
        waker: None,
        clock: Clock::Manual(ManualClock::new(Timestamp(0))),
        checkpointing: Checkpointing::default(),
    }
}
