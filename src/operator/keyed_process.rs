//! `process` on a keyed stream: a function with keyed state and timers.

use std::borrow::Borrow;
use std::marker::PhantomData;
use std::sync::Arc;

use crate::checkpoint::{OperatorState, RestoredState, SnapshotOutput};
use crate::record::{Key, KeyHash, KeySelector};
use crate::time::Timestamp;

use super::keyed_services::{KeyedFunction, KeyedOpenContext, KeyedServices, keyed_function};
use super::{
    Budget, KeyedProcessContext, Lookahead, OpenContext, Operator, OperatorError, Outcome, Outputs,
    Push, Signal, TimeDomain,
};

/// A function of keyed records, with state and timers for the current key.
///
/// ```
/// use thalweg::operator::{KeyedOpenContext, KeyedProcessContext, KeyedProcessFunction, Outcome};
/// use thalweg::operator::{ProcessContext, TimeDomain};
/// use thalweg::state::ValueState;
/// use thalweg::time::{Timestamp, secs};
///
/// /// How many records a key had, a second after its last one.
/// #[derive(Default)]
/// struct Sessions { count: ValueState<u64>, ends: ValueState<Timestamp> }
/// impl KeyedProcessFunction<u64, u64> for Sessions {
///     type Out = (u64, u64);
///     fn open(&mut self, cx: &mut KeyedOpenContext<'_, u64>) -> Outcome {
///         self.count = cx.state().value_state("count")?;
///         self.ends = cx.state().value_state("ends")?;
///         Ok(())
///     }
///     fn process(&mut self, _: &u64, cx: &mut impl KeyedProcessContext<u64, (u64, u64)>) -> Outcome {
///         let at = cx.timestamp().ok_or("a record has no timestamp")?;
///         self.count.update(cx, |count| *count += 1);
///         if let Some(ends) = self.ends.value(cx) {
///             cx.delete_event_timer(ends);
///         }
///         let ends = at + secs(1);
///         self.ends.set(cx, ends);
///         cx.register_event_timer(ends);
///         Ok(())
///     }
///     fn on_timer(
///         &mut self,
///         _at: Timestamp,
///         _domain: TimeDomain,
///         cx: &mut impl KeyedProcessContext<u64, (u64, u64)>,
///     ) -> Outcome {
///         let session = (*cx.key(), self.count.value(cx).unwrap_or_default());
///         cx.emit(&session);
///         self.count.clear(cx);
///         self.ends.clear(cx);
///         Ok(())
///     }
/// }
/// ```
pub trait KeyedProcessFunction<K: Key + ?Sized, V: ?Sized>: Send + 'static {
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

    /// Processes one record of the current key.
    ///
    /// # Errors
    /// Fails the subtask.
    fn process(&mut self, record: &V, cx: &mut impl KeyedProcessContext<K, Self::Out>) -> Outcome;

    /// A timer of the current key is due. Results are emitted with the timer's time for an event timer, and
    /// without a timestamp for a processing timer.
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

/// A function with the type of its records.
struct OneInput<V: ?Sized, F> {
    function: F,
    record: PhantomData<fn(&V)>,
}

impl<K, V, F, D> KeyedFunction<K, D> for OneInput<V, F>
where
    K: Key + ?Sized,
    V: ?Sized,
    F: KeyedProcessFunction<K, V>,
    D: Push<F::Out>,
{
    keyed_function!(K, D);
}

/// Runs a [`KeyedProcessFunction`].
pub struct KeyedProcess<V: ?Sized, S: KeySelector<V>, F, D> {
    selector: S,
    function: OneInput<V, F>,
    services: KeyedServices<S::Key, D>,
}

impl<V: ?Sized, S: KeySelector<V>, F, D> std::fmt::Debug for KeyedProcess<V, S, F, D> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyedProcess")
            .field("name", &self.services.plain.name)
            .finish_non_exhaustive()
    }
}

impl<V: ?Sized, S: KeySelector<V>, F, D: Operator> KeyedProcess<V, S, F, D> {
    /// Creates an operator that runs `function` on the keys that `selector` extracts and emits to `outputs`.
    pub fn new(name: Arc<str>, selector: S, function: F, outputs: Outputs<D>) -> Self {
        KeyedProcess {
            selector,
            function: OneInput {
                function,
                record: PhantomData,
            },
            services: KeyedServices::new(name, outputs),
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

impl<V, S, F, D> Operator for KeyedProcess<V, S, F, D>
where
    V: ?Sized,
    S: KeySelector<V>,
    F: KeyedProcessFunction<S::Key, V>,
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

impl<V, S, F, D> Push<V> for KeyedProcess<V, S, F, D>
where
    V: ?Sized,
    S: KeySelector<V>,
    F: KeyedProcessFunction<S::Key, V>,
    D: Push<F::Out>,
{
    #[inline(always)]
    fn push(&mut self, record: &V, at: Timestamp) {
        self.push_hashed(record, at, self.hash_ahead(record));
    }

    #[inline(always)]
    fn push_hashed(&mut self, record: &V, at: Timestamp, hash: KeyHash) {
        let key = self.selector.key(record);
        let mut cx = self.services.context(key.borrow(), hash, at);
        let outcome = self.function.function.process(record, &mut cx);
        self.services.plain.check(outcome);
    }

    #[inline(always)]
    fn looks_ahead(&self) -> bool {
        self.services.looks_ahead()
    }

    #[inline(always)]
    fn hash_ahead(&self, record: &V) -> KeyHash {
        self.services.hash(self.selector.key(record).borrow())
    }

    #[inline(always)]
    fn prefetch(&self, hash: KeyHash, ahead: Lookahead) {
        self.services.prefetch(hash, ahead);
    }
}

#[cfg(test)]
#[path = "keyed_process_test.rs"]
mod tests;

#[cfg(test)]
#[path = "keyed_process_restore_test.rs"]
mod restore_tests;
