//! `process` without a key: a function with a life cycle, side outputs and access to time.

use std::marker::PhantomData;
use std::sync::Arc;

use crate::checkpoint::{OperatorState, RestoredState, SnapshotOutput};
use crate::time::Timestamp;

use super::process_services::ProcessServices;
use super::{
    Budget, OpenContext, Operator, OperatorError, Outcome, Outputs, ProcessContext, Push, Signal,
    SourcePace,
};

/// A function of records of type `V` that emits any number of results.
///
/// ```
/// use thalweg::operator::{Outcome, ProcessContext, ProcessFunction};
///
/// struct EndToEnd { records: u64 }
/// impl ProcessFunction<str> for EndToEnd {
///     type Out = str;
///     fn process(&mut self, line: &str, cx: &mut impl ProcessContext<str>) -> Outcome {
///         self.records += 1;
///         cx.emit(line.trim());
///         Ok(())
///     }
///     fn on_end(&mut self, cx: &mut impl ProcessContext<str>) -> Outcome {
///         cx.emit(&format!("{} lines", self.records));
///         Ok(())
///     }
/// }
/// ```
pub trait ProcessFunction<V: ?Sized>: Send + 'static {
    /// The type of the results.
    type Out: ?Sized + 'static;

    /// Whether [`snapshot`](Self::snapshot) hands over state: if so, the operator needs a uid, under which
    /// checkpoints store that state.
    const STATEFUL: bool = false;

    /// Prepares the function, before the first record.
    ///
    /// # Errors
    /// In this and all other methods, an error fails the subtask.
    fn open(&mut self, cx: &OpenContext) -> Outcome {
        let _ = cx;
        Ok(())
    }

    /// Processes one record.
    ///
    /// # Errors
    /// Fails the subtask.
    fn process(&mut self, record: &V, cx: &mut impl ProcessContext<Self::Out>) -> Outcome;

    /// The end of input (Flink's `finish`): the last chance to emit. Not called on failure. If the operator has a uid,
    /// this is called only once, even if the job resumes from a checkpoint taken after it, unless more input has
    /// arrived since, or the input had not ended for all subtasks by then.
    ///
    /// # Errors
    /// Fails the subtask.
    fn on_end(&mut self, cx: &mut impl ProcessContext<Self::Out>) -> Outcome {
        let _ = cx;
        Ok(())
    }

    /// Called at a barrier: hands over the function's state for the checkpoint. See [`OperatorState`].
    ///
    /// # Errors
    /// Fails the subtask.
    fn snapshot(&mut self, state: &mut OperatorState) -> Outcome {
        let _ = state;
        Ok(())
    }

    /// Restores the function's state: called after [`open`](Self::open) if the job resumes from a
    /// checkpoint, whether or not that checkpoint has state of this function.
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

/// Runs a [`ProcessFunction`].
pub struct Process<V: ?Sized, F, D> {
    function: F,
    services: ProcessServices<D>,
    record: PhantomData<fn(&V)>,
}

impl<V: ?Sized, F, D> std::fmt::Debug for Process<V, F, D> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Process")
            .field("name", &self.services.name)
            .finish_non_exhaustive()
    }
}

impl<V: ?Sized, F, D: Operator> Process<V, F, D> {
    /// Creates an operator that runs `function` and emits to `outputs`.
    pub fn new(name: Arc<str>, function: F, outputs: Outputs<D>) -> Self {
        Process {
            function,
            services: ProcessServices::new(name, outputs),
            record: PhantomData,
        }
    }

    /// Binds the function's state to a uid rather than to the operator's name.
    #[must_use]
    pub fn uid(mut self, uid: Arc<str>) -> Self {
        self.services.uid = uid;
        self
    }
}

impl<V: ?Sized, F: ProcessFunction<V>, D: Push<F::Out>> Operator for Process<V, F, D> {
    fn open(&mut self, cx: &OpenContext) -> Result<(), OperatorError> {
        self.services.open(cx)?;
        let opened = self.function.open(cx);
        opened.map_err(|cause| OperatorError::function(&self.services.name, cause))?;
        let function = &mut self.function;
        (self.services).restore(cx, F::STATEFUL, Vec::new(), |state| function.restore(state))
    }

    fn begin(&mut self, now: Timestamp) {
        self.services.begin(now);
    }

    fn signal(&mut self, signal: Signal) {
        let (function, services) = (&mut self.function, &mut self.services);
        match signal {
            Signal::Barrier(barrier) => {
                services.capture(barrier, F::STATEFUL, |state| function.snapshot(state));
            }
            Signal::End if services.ends.end(0) => {
                let ended = function.on_end(&mut services.context(Timestamp::MIN));
                services.check(ended);
            }
            _ => {}
        }
        services.signal(signal);
    }

    #[inline(always)]
    fn ready(&self) -> bool {
        self.services.outputs.ready()
    }

    fn takes_barrier(&self) -> bool {
        self.services.outputs.takes_barrier()
    }

    fn source_pace(&self) -> SourcePace {
        self.services.outputs.source_pace()
    }

    fn resume(&mut self, budget: &mut Budget) {
        self.services.outputs.resume(budget);
    }

    fn flush(&mut self) {
        self.services.outputs.flush();
    }

    fn deadline(&self) -> Option<Timestamp> {
        self.services.outputs.deadline()
    }

    fn snapshot(&mut self, out: &mut SnapshotOutput<'_>) -> bool {
        self.services.snapshot(out)
    }

    fn close(&mut self) -> Result<(), OperatorError> {
        let function = &mut self.function;
        self.services.close(|| function.close())
    }
}

impl<V: ?Sized, F: ProcessFunction<V>, D: Push<F::Out>> Push<V> for Process<V, F, D> {
    #[inline(always)]
    fn push(&mut self, record: &V, at: Timestamp) {
        self.services.ends.note_record(0);
        let outcome = (self.function).process(record, &mut self.services.context(at));
        self.services.check(outcome);
    }
}

#[cfg(test)]
#[path = "process_test.rs"]
mod tests;
