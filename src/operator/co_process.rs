//! `process` on two connected streams without a key.
//!
//! The two inputs are not ordered relative to each other. With a broadcast edge as one input this is
//! Flink's `BroadcastProcessFunction`; the broadcast state is a field of the function, handed over at
//! barriers.

use std::marker::PhantomData;
use std::sync::Arc;

use crate::checkpoint::{OperatorState, RestoredState, SnapshotOutput};
use crate::time::{Combiner, Timestamp};

use super::inputs::Inputs;
use super::process_services::ProcessServices;
use super::{
    Budget, MultiInput, OpenContext, Operator, OperatorError, Outcome, Outputs, ProcessContext,
    Push, Signal, SourcePace, TwoInput,
};

/// A function of the records of two inputs.
pub trait CoProcessFunction<A: ?Sized, B: ?Sized>: Send + 'static {
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

    /// Processes a record of the first input.
    ///
    /// # Errors
    /// Fails the subtask.
    fn process_first(&mut self, record: &A, cx: &mut impl ProcessContext<Self::Out>) -> Outcome;

    /// Processes a record of the second input.
    ///
    /// # Errors
    /// Fails the subtask.
    fn process_second(&mut self, record: &B, cx: &mut impl ProcessContext<Self::Out>) -> Outcome;

    /// The combined watermark of both inputs is about to advance to `at`: the last chance to emit, ahead of it,
    /// records that were held back. Anything emitted later may be late downstream; this includes the end of an
    /// input, which its last watermark precedes (as in Flink).
    ///
    /// # Errors
    /// Fails the subtask.
    fn on_watermark(&mut self, at: Timestamp, cx: &mut impl ProcessContext<Self::Out>) -> Outcome {
        let _ = (at, cx);
        Ok(())
    }

    /// The end of the first input; the second may continue. Not called on failure. If the operator has a uid, this is
    /// called only once, even if the job resumes from a checkpoint taken after it, unless more of that input has
    /// arrived since, or it had not ended for all subtasks by then; the same goes for
    /// [`end_second`](Self::end_second).
    ///
    /// # Errors
    /// Fails the subtask.
    fn end_first(&mut self, cx: &mut impl ProcessContext<Self::Out>) -> Outcome {
        let _ = cx;
        Ok(())
    }

    /// The end of the second input; the first may continue. Not called on failure.
    ///
    /// # Errors
    /// Fails the subtask.
    fn end_second(&mut self, cx: &mut impl ProcessContext<Self::Out>) -> Outcome {
        let _ = cx;
        Ok(())
    }

    /// Called when the barrier has arrived on both inputs: hands over the function's state for the checkpoint. See
    /// [`OperatorState`].
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

/// Runs a [`CoProcessFunction`].
pub struct CoProcess<A: ?Sized, B: ?Sized, F, D> {
    function: F,
    services: ProcessServices<D>,
    inputs: Inputs<Combiner>,
    records: PhantomData<fn(&A, &B)>,
}

impl<A: ?Sized, B: ?Sized, F, D> std::fmt::Debug for CoProcess<A, B, F, D> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CoProcess")
            .field("name", &self.services.name)
            .finish_non_exhaustive()
    }
}

impl<A: ?Sized, B: ?Sized, F, D: Operator> CoProcess<A, B, F, D> {
    /// Creates an operator that runs `function` and emits to `outputs`.
    pub fn new(name: Arc<str>, function: F, outputs: Outputs<D>) -> Self {
        CoProcess {
            function,
            services: ProcessServices::new(name, outputs),
            inputs: Inputs::new(2, Combiner::new(2)),
            records: PhantomData,
        }
    }

    /// Binds the function's state to a uid rather than to the operator's name.
    #[must_use]
    pub fn uid(mut self, uid: Arc<str>) -> Self {
        self.services.uid = uid;
        self
    }
}

impl<A, B, F, D> Operator for CoProcess<A, B, F, D>
where
    A: ?Sized,
    B: ?Sized,
    F: CoProcessFunction<A, B>,
    D: Push<F::Out>,
{
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
        self.services.signal(signal);
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

impl<A, B, F, D> MultiInput for CoProcess<A, B, F, D>
where
    A: ?Sized,
    B: ?Sized,
    F: CoProcessFunction<A, B>,
    D: Push<F::Out>,
{
    fn is_held(&self, input: usize) -> bool {
        self.inputs.is_held(input)
    }

    fn signal_from(&mut self, input: usize, signal: Signal) {
        if signal == Signal::End && self.services.ends.end(input) {
            let cx = &mut self.services.context(Timestamp::MIN);
            let ended = match input {
                0 => self.function.end_first(cx),
                _ => self.function.end_second(cx),
            };
            self.services.check(ended);
        }
        let (function, services) = (&mut self.function, &mut self.services);
        (self.inputs).on_signal(input, signal, |signal| {
            match signal {
                Signal::Watermark(at) => {
                    let done = function.on_watermark(at, &mut services.context(Timestamp::MIN));
                    services.check(done);
                }
                Signal::Barrier(barrier) => {
                    services.capture(barrier, F::STATEFUL, |state| function.snapshot(state));
                }
                _ => {}
            }
            services.signal(signal);
        });
    }
}

impl<A, B, F, D> TwoInput<A, B> for CoProcess<A, B, F, D>
where
    A: ?Sized,
    B: ?Sized,
    F: CoProcessFunction<A, B>,
    D: Push<F::Out>,
{
    #[inline(always)]
    fn push_first(&mut self, record: &A, at: Timestamp) {
        self.services.ends.note_record(0);
        let outcome = (self.function).process_first(record, &mut self.services.context(at));
        self.services.check(outcome);
    }

    #[inline(always)]
    fn push_second(&mut self, record: &B, at: Timestamp) {
        self.services.ends.note_record(1);
        let outcome = (self.function).process_second(record, &mut self.services.context(at));
        self.services.check(outcome);
    }
}

#[cfg(test)]
#[path = "co_process_test.rs"]
mod tests;
