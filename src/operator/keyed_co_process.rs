//! `process` on two connected keyed streams: shared keyed state, shared timers.
//!
//! Both inputs have the same key type, so one subtask owns a key for both. The inputs are not ordered
//! relative to each other; the watermark is the lower of the two.

use std::borrow::Borrow;
use std::marker::PhantomData;
use std::sync::Arc;

use crate::checkpoint::{OperatorState, RestoredState, SnapshotOutput};
use crate::record::{Key, KeyHash, KeySelector};
use crate::time::{Combiner, Timestamp};

use super::inputs::Inputs;
use super::keyed_services::{KeyedFunction, KeyedOpenContext, KeyedServices, keyed_function};
use super::{
    Budget, KeyedProcessContext, Lookahead, MultiInput, OpenContext, Operator, OperatorError,
    Outcome, Outputs, ProcessContext, Push, Signal, TimeDomain, TwoInput,
};

/// A function of the records of two keyed inputs, with state and timers for the current key.
pub trait KeyedCoProcessFunction<K: Key + ?Sized, A: ?Sized, B: ?Sized>: Send + 'static {
    /// The type of the results.
    type Out: ?Sized + 'static;

    /// Prepares the function and registers its state.
    ///
    /// # Errors
    /// In this and all other methods, an error fails the subtask.
    fn open(&mut self, cx: &mut KeyedOpenContext<'_, K>) -> Outcome {
        let _ = cx;
        Ok(())
    }

    /// Processes a record of the first input.
    ///
    /// # Errors
    /// Fails the subtask.
    fn process_first(
        &mut self,
        record: &A,
        cx: &mut impl KeyedProcessContext<K, Self::Out>,
    ) -> Outcome;

    /// Processes a record of the second input.
    ///
    /// # Errors
    /// Fails the subtask.
    fn process_second(
        &mut self,
        record: &B,
        cx: &mut impl KeyedProcessContext<K, Self::Out>,
    ) -> Outcome;

    /// A timer of the current key is due: see
    /// [`KeyedProcessFunction::on_timer`](super::KeyedProcessFunction::on_timer).
    ///
    /// # Errors
    /// Fails the subtask.
    fn on_timer(
        &mut self,
        at: Timestamp,
        domain: TimeDomain,
        cx: &mut impl KeyedProcessContext<K, Self::Out>,
    ) -> Outcome {
        let _ = (at, domain, cx);
        Ok(())
    }

    /// The end of the first input; the second may continue. There is no current key. Called only once, even if the job
    /// resumes from a checkpoint taken after it, unless more of that input has arrived since, or it had not ended for
    /// all subtasks by then; the same goes for [`end_second`](Self::end_second).
    ///
    /// # Errors
    /// Fails the subtask.
    fn end_first(&mut self, cx: &mut impl ProcessContext<Self::Out>) -> Outcome {
        let _ = cx;
        Ok(())
    }

    /// The end of the second input; the first may continue. There is no current key.
    ///
    /// # Errors
    /// Fails the subtask.
    fn end_second(&mut self, cx: &mut impl ProcessContext<Self::Out>) -> Outcome {
        let _ = cx;
        Ok(())
    }

    /// Called at a barrier: hands over the function's non-keyed state. See [`OperatorState`].
    ///
    /// # Errors
    /// Fails the subtask.
    fn snapshot(&mut self, state: &mut OperatorState) -> Outcome {
        let _ = state;
        Ok(())
    }

    /// Restores the function's non-keyed state: called after [`open`](Self::open) if the job resumes from a
    /// checkpoint.
    ///
    /// # Errors
    /// Fails the subtask.
    fn restore(&mut self, state: &RestoredState<'_>) -> Outcome {
        let _ = state;
        Ok(())
    }

    /// Releases what the function holds; called on failure and cancellation too.
    ///
    /// # Errors
    /// If releasing fails.
    fn close(&mut self) -> Outcome {
        Ok(())
    }
}

/// A function with the types of its records.
struct TwoInputs<A: ?Sized, B: ?Sized, F> {
    function: F,
    records: PhantomData<fn(&A, &B)>,
}

impl<K, A, B, F, D> KeyedFunction<K, D> for TwoInputs<A, B, F>
where
    K: Key + ?Sized,
    A: ?Sized,
    B: ?Sized,
    F: KeyedCoProcessFunction<K, A, B>,
    D: Push<F::Out>,
{
    keyed_function!(K, D);
}

/// Runs a [`KeyedCoProcessFunction`].
pub struct KeyedCoProcess<A: ?Sized, B: ?Sized, S1, S2, F, D>
where
    S1: KeySelector<A>,
{
    first: S1,
    second: S2,
    function: TwoInputs<A, B, F>,
    services: KeyedServices<S1::Key, D>,
    inputs: Inputs<Combiner>,
}

impl<A: ?Sized, B: ?Sized, S1, S2, F, D> std::fmt::Debug for KeyedCoProcess<A, B, S1, S2, F, D>
where
    S1: KeySelector<A>,
{
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyedCoProcess")
            .field("name", &self.services.plain.name)
            .finish_non_exhaustive()
    }
}

impl<A: ?Sized, B: ?Sized, S1, S2, F, D> KeyedCoProcess<A, B, S1, S2, F, D>
where
    S1: KeySelector<A>,
    S2: KeySelector<B, Key = S1::Key>,
    D: Operator,
{
    /// Creates an operator that runs `function` on the keys that `first` and `second` extract and emits to `outputs`.
    pub fn new(name: Arc<str>, first: S1, second: S2, function: F, outputs: Outputs<D>) -> Self {
        KeyedCoProcess {
            first,
            second,
            function: TwoInputs {
                function,
                records: PhantomData,
            },
            services: KeyedServices::new(name, outputs),
            inputs: Inputs::new(2, Combiner::new(2)),
        }
    }

    /// Binds the operator's state to a uid rather than to its name.
    #[must_use]
    pub fn uid(mut self, uid: Arc<str>) -> Self {
        self.services.plain.uid = uid;
        self
    }

    /// Reserves room for `keys` keys, across all subtasks, when the operator opens.
    #[must_use]
    pub fn expected_keys(mut self, keys: usize) -> Self {
        self.services.expected_keys = keys;
        self
    }
}

impl<A, B, S1, S2, F, D> Operator for KeyedCoProcess<A, B, S1, S2, F, D>
where
    A: ?Sized,
    B: ?Sized,
    S1: KeySelector<A>,
    S2: KeySelector<B, Key = S1::Key>,
    F: KeyedCoProcessFunction<S1::Key, A, B>,
    D: Push<F::Out>,
{
    fn open(&mut self, cx: &OpenContext) -> Result<(), OperatorError> {
        self.services.open(cx, &mut self.function)
    }

    fn begin(&mut self, now: Timestamp) {
        self.services.begin(now, &mut self.function);
    }

    fn signal(&mut self, signal: Signal) {
        self.services.signal(signal, &mut self.function);
    }

    #[inline(always)]
    fn ready(&self) -> bool {
        self.services.ready()
    }

    fn takes_barrier(&self) -> bool {
        self.services.takes_barrier()
    }

    fn resume(&mut self, budget: &mut Budget) {
        self.services.resume(budget, &mut self.function);
    }

    fn flush(&mut self) {
        self.services.flush();
    }

    fn deadline(&self) -> Option<Timestamp> {
        self.services.deadline()
    }

    fn snapshot(&mut self, out: &mut SnapshotOutput<'_>) -> bool {
        self.services.snapshot(out)
    }

    fn close(&mut self) -> Result<(), OperatorError> {
        let function = &mut self.function.function;
        self.services.plain.close(|| function.close())
    }
}

impl<A, B, S1, S2, F, D> MultiInput for KeyedCoProcess<A, B, S1, S2, F, D>
where
    A: ?Sized,
    B: ?Sized,
    S1: KeySelector<A>,
    S2: KeySelector<B, Key = S1::Key>,
    F: KeyedCoProcessFunction<S1::Key, A, B>,
    D: Push<F::Out>,
{
    fn is_held(&self, input: usize) -> bool {
        self.inputs.is_held(input)
    }

    fn signal_from(&mut self, input: usize, signal: Signal) {
        let (function, services) = (&mut self.function, &mut self.services);
        if signal == Signal::End && services.plain.ends.end(input) {
            let cx = &mut services.plain.context(Timestamp::MIN);
            let ended = match input {
                0 => function.function.end_first(cx),
                _ => function.function.end_second(cx),
            };
            services.plain.check(ended);
        }
        self.inputs.on_signal(input, signal, |signal| {
            services.signal(signal, function);
        });
    }
}

impl<A, B, S1, S2, F, D> TwoInput<A, B> for KeyedCoProcess<A, B, S1, S2, F, D>
where
    A: ?Sized,
    B: ?Sized,
    S1: KeySelector<A>,
    S2: KeySelector<B, Key = S1::Key>,
    F: KeyedCoProcessFunction<S1::Key, A, B>,
    D: Push<F::Out>,
{
    #[inline(always)]
    fn push_first(&mut self, record: &A, at: Timestamp) {
        self.push_first_hashed(record, at, self.hash_first(record));
    }

    #[inline(always)]
    fn push_first_hashed(&mut self, record: &A, at: Timestamp, hash: KeyHash) {
        let key = self.first.key(record);
        self.services.plain.ends.note_record(0);
        let mut cx = self.services.context(key.borrow(), hash, at);
        let outcome = self.function.function.process_first(record, &mut cx);
        self.services.plain.check(outcome);
    }

    #[inline(always)]
    fn push_second(&mut self, record: &B, at: Timestamp) {
        self.push_second_hashed(record, at, self.hash_second(record));
    }

    #[inline(always)]
    fn push_second_hashed(&mut self, record: &B, at: Timestamp, hash: KeyHash) {
        let key = self.second.key(record);
        self.services.plain.ends.note_record(1);
        let mut cx = self.services.context(key.borrow(), hash, at);
        let outcome = self.function.function.process_second(record, &mut cx);
        self.services.plain.check(outcome);
    }

    #[inline(always)]
    fn hash_first(&self, record: &A) -> KeyHash {
        self.services.hash(self.first.key(record).borrow())
    }

    #[inline(always)]
    fn hash_second(&self, record: &B) -> KeyHash {
        self.services.hash(self.second.key(record).borrow())
    }

    #[inline(always)]
    fn prefetch(&self, hash: KeyHash, ahead: Lookahead) {
        self.services.prefetch(hash, ahead);
    }

    #[inline(always)]
    fn looks_ahead(&self) -> bool {
        self.services.looks_ahead()
    }
}
