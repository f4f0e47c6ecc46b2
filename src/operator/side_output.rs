//! Side outputs: additional streams that an operator emits by tag, besides its main one.

use std::any::Any;
use std::marker::PhantomData;
use std::sync::Arc;

use crate::checkpoint::SnapshotOutput;
use crate::record::KeyHash;
use crate::time::Timestamp;

use super::{
    Budget, FanOut, OpenContext, Operator, OperatorError, Push, Signal, SourcePace, earlier,
    look_through, pass_on,
};

/// Names a side output and its record type. Clones name the same output.
///
/// Records emitted to a tag are dropped if its output is not connected; if it is connected several times, every
/// connection has all of them.
pub struct OutputTag<T: ?Sized> {
    name: Arc<str>,
    record: PhantomData<fn(&T)>,
}

impl<T: ?Sized> OutputTag<T> {
    /// Creates a tag called `name`; two tags denote the same output if their names are equal.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        OutputTag {
            name: name.into(),
            record: PhantomData,
        }
    }

    /// Returns the tag's name.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }
}

impl<T: ?Sized> Clone for OutputTag<T> {
    fn clone(&self) -> Self {
        OutputTag {
            name: Arc::clone(&self.name),
            record: PhantomData,
        }
    }
}

impl<T: ?Sized> std::fmt::Debug for OutputTag<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("OutputTag").field(&self.name).finish()
    }
}

/// A side output's chain, its record type hidden until a tag of that type asks for it.
trait SideChain: Operator {
    fn as_any(&mut self) -> &mut dyn Any;

    fn into_any(self: Box<Self>) -> Box<dyn Any>;
}

/// A boxed chain that takes records of type `T`.
struct TypedChain<T: ?Sized>(Box<dyn Push<T>>);

impl<T: ?Sized + 'static> Operator for TypedChain<T> {
    pass_on!(0: all);
}

impl<T: ?Sized + 'static> SideChain for TypedChain<T> {
    fn as_any(&mut self) -> &mut dyn Any {
        self
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

/// The connected side outputs of one operator, by tag name.
#[derive(Default)]
pub struct SideOutputs {
    chains: Vec<(Arc<str>, Box<dyn SideChain>)>,
}

impl std::fmt::Debug for SideOutputs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list()
            .entries(self.chains.iter().map(|(name, _)| name))
            .finish()
    }
}

impl SideOutputs {
    /// Returns whether no output is connected.
    #[inline(always)]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.chains.is_empty()
    }

    fn each(&mut self) -> impl Iterator<Item = &mut dyn SideChain> {
        self.chains.iter_mut().map(|(_, chain)| &mut **chain as _)
    }

    /// Connects the output called `name` to `chain`, in addition to those that it is connected to.
    ///
    /// # Panics
    /// If it is connected to a chain of another record type: graphs are checked for that.
    pub fn connect<T: ?Sized + 'static>(&mut self, name: Arc<str>, chain: Box<dyn Push<T>>) {
        let known = self.chains.iter().position(|(other, _)| *other == name);
        let chain = match known.map(|index| self.chains.remove(index).1.into_any()) {
            None => chain,
            Some(before) => {
                let before = before.downcast::<TypedChain<T>>();
                let before = before.expect("all who take a side output take the same type");
                Box::new(FanOut::new(vec![before.0, chain]))
            }
        };
        self.chains.push((name, Box::new(TypedChain(chain))));
    }

    /// Returns the chain connected to `tag`, if any.
    ///
    /// # Panics
    /// If an output of the same name is connected with another record type.
    #[inline]
    pub fn get<T: ?Sized + 'static>(&mut self, tag: &OutputTag<T>) -> Option<&mut dyn Push<T>> {
        let (_, chain) = self.chains.iter_mut().find(|(name, _)| *name == tag.name)?;
        let typed = chain.as_any().downcast_mut::<TypedChain<T>>();
        let typed = typed.unwrap_or_else(|| {
            panic!(
                "side output `{}` is taken with another record type",
                tag.name
            )
        });
        Some(&mut *typed.0)
    }

    /// Emits `record` to the output `tag`; drops it if that output is not connected.
    #[inline]
    pub fn push<T: ?Sized + 'static>(&mut self, tag: &OutputTag<T>, record: &T, at: Timestamp) {
        if let Some(chain) = self.get(tag) {
            chain.push(record, at);
        }
    }
}

/// The outputs of an operator: the main one, fused, and the side outputs, boxed. Control calls go to all of them.
#[derive(Debug)]
pub struct Outputs<D> {
    /// The next operator in the chain.
    pub main: D,
    /// The connected side outputs.
    pub sides: SideOutputs,
}

impl<D> Outputs<D> {
    /// Creates outputs with the main output `main` and no side output.
    pub fn new(main: D) -> Self {
        Outputs {
            main,
            sides: SideOutputs::default(),
        }
    }
}

/// Calls every chain, in the order in which they were connected. Not generic over a chain, so that it is
/// compiled only once.
impl Operator for SideOutputs {
    fn open(&mut self, cx: &OpenContext) -> Result<(), OperatorError> {
        self.each().try_for_each(|chain| chain.open(cx))
    }

    fn begin(&mut self, now: Timestamp) {
        self.each().for_each(|chain| chain.begin(now));
    }

    fn signal(&mut self, signal: Signal) {
        self.each().for_each(|chain| chain.signal(signal));
    }

    fn ready(&self) -> bool {
        self.chains.iter().all(|(_, chain)| chain.ready())
    }

    fn takes_barrier(&self) -> bool {
        self.chains.iter().all(|(_, chain)| chain.takes_barrier())
    }

    fn source_pace(&self) -> SourcePace {
        self.chains
            .iter()
            .map(|(_, chain)| chain.source_pace())
            .collect()
    }

    fn resume(&mut self, budget: &mut Budget) {
        self.each().for_each(|chain| chain.resume(budget));
    }

    fn flush(&mut self) {
        self.each().for_each(|chain| chain.flush());
    }

    fn deadline(&self) -> Option<Timestamp> {
        let chains = self.chains.iter();
        chains.fold(None, |soonest, (_, chain)| {
            earlier(soonest, chain.deadline())
        })
    }

    fn snapshot(&mut self, out: &mut SnapshotOutput<'_>) -> bool {
        let mut all = true;
        for chain in self.each() {
            all &= chain.snapshot(out);
        }
        all
    }

    fn close(&mut self) -> Result<(), OperatorError> {
        let mut closed = Ok(());
        for chain in self.each() {
            closed = closed.and(chain.close());
        }
        closed
    }
}

impl<D: Operator> Operator for Outputs<D> {
    fn open(&mut self, cx: &OpenContext) -> Result<(), OperatorError> {
        self.sides.open(cx)?;
        self.main.open(cx)
    }

    fn begin(&mut self, now: Timestamp) {
        self.main.begin(now);
        self.sides.begin(now);
    }

    fn signal(&mut self, signal: Signal) {
        self.main.signal(signal);
        self.sides.signal(signal);
    }

    #[inline(always)]
    fn ready(&self) -> bool {
        self.main.ready() && (self.sides.is_empty() || self.sides.ready())
    }

    fn takes_barrier(&self) -> bool {
        self.main.takes_barrier() && self.sides.takes_barrier()
    }

    fn source_pace(&self) -> SourcePace {
        self.main.source_pace().and(self.sides.source_pace())
    }

    fn resume(&mut self, budget: &mut Budget) {
        self.main.resume(budget);
        self.sides.resume(budget);
    }

    fn flush(&mut self) {
        self.main.flush();
        self.sides.flush();
    }

    fn deadline(&self) -> Option<Timestamp> {
        earlier(self.main.deadline(), self.sides.deadline())
    }

    fn event_time(&self) -> Option<Timestamp> {
        self.main.event_time()
    }

    fn snapshot(&mut self, out: &mut SnapshotOutput<'_>) -> bool {
        let main = self.main.snapshot(out);
        self.sides.snapshot(out) && main
    }

    fn close(&mut self) -> Result<(), OperatorError> {
        let main = self.main.close();
        main.and(self.sides.close())
    }
}

impl<V: ?Sized, D: Push<V>> Push<V> for Outputs<D> {
    #[inline(always)]
    fn push(&mut self, record: &V, at: Timestamp) {
        self.main.push(record, at);
    }

    look_through!(main: V);

    #[inline(always)]
    fn push_hashed(&mut self, record: &V, at: Timestamp, hash: KeyHash) {
        self.main.push_hashed(record, at, hash);
    }
}
