//! What the process operators have in common: outputs, time, and non-keyed state of functions.

use std::sync::Arc;

use crate::checkpoint::{OperatorState, RestoredState, SnapshotOutput};
use crate::time::Timestamp;

use super::ended_inputs::{ENDED_INPUTS, EndedInputs};
use super::process_context::PlainContext;
use super::{
    Barrier, OpenContext, Operator, OperatorError, Outcome, Outputs, Signal, SubtaskInfo, raise,
};

/// The outputs and the time of a process operator.
pub(super) struct ProcessServices<D> {
    pub(super) name: Arc<str>,
    pub(super) outputs: Outputs<D>,
    pub(super) now: Timestamp,
    pub(super) watermark: Timestamp,
    subtask: Option<SubtaskInfo>,
    /// Identifies the operator's state in checkpoints.
    pub(super) uid: Arc<str>,
    pub(super) ends: EndedInputs,
    /// The function's non-keyed state, if checkpoints are enabled.
    state: Option<Box<OperatorState>>,
}

impl<D: Operator> ProcessServices<D> {
    pub(super) fn new(name: Arc<str>, outputs: Outputs<D>) -> Self {
        ProcessServices {
            uid: Arc::clone(&name),
            name,
            outputs,
            now: Timestamp::MIN,
            watermark: Timestamp::MIN,
            subtask: None,
            ends: EndedInputs::default(),
            state: None,
        }
    }

    pub(super) fn open(&mut self, cx: &OpenContext) -> Result<(), OperatorError> {
        self.subtask = Some(cx.subtask.clone());
        self.outputs.open(cx)
    }

    /// Restores the function's non-keyed state, if the job resumes from a checkpoint. A `stateful` function has a uid.
    /// `reserved` names the operator's other states.
    pub(super) fn restore(
        &mut self,
        cx: &OpenContext,
        stateful: bool,
        mut reserved: Vec<Arc<str>>,
        restore: impl FnOnce(&RestoredState<'_>) -> Outcome,
    ) -> Result<(), OperatorError> {
        // Names are not unique: without a uid, the operator might be given the ended inputs of another one.
        if stateful || self.uid != self.name {
            let opened = self.ends.open(cx, &self.uid);
            opened.map_err(|cause| OperatorError::restore(&self.name, cause))?;
        }
        reserved.push(ENDED_INPUTS.into());
        if let Some(restored) = &cx.checkpointing.restored {
            let (index, parallelism) = (cx.subtask.index, cx.subtask.parallelism);
            let state = RestoredState::new(restored, &self.uid, index, parallelism);
            restore(&state).map_err(|cause| OperatorError::not_resumed(&self.name, cause))?;
            let is_reserved = |name: &str| reserved.iter().any(|other| **other == *name);
            cx.check_restored(&self.uid, |name| {
                is_reserved(name) || state.was_asked_for(name)
            })
            .map_err(|cause| OperatorError::restore(&self.name, cause))?;
        }
        let state = || Box::new(OperatorState::new(Arc::clone(&self.uid), reserved));
        self.state = cx.checkpointing.enabled.then(state);
        Ok(())
    }

    /// Has the function hand over its non-keyed state at a barrier. Only a `stateful` function may have any:
    /// others need no uid, without which it could not be found again.
    pub(super) fn capture(
        &mut self,
        barrier: Barrier,
        stateful: bool,
        snapshot: impl FnOnce(&mut OperatorState) -> Outcome,
    ) {
        self.ends.capture(barrier.checkpoint);
        let Some(state) = &mut self.state else {
            return;
        };
        let mut outcome = state.take(barrier.checkpoint, snapshot);
        if outcome.is_ok() && !stateful && !state.is_empty() {
            outcome = Err("the function keeps state but does not say so: set `STATEFUL`".into());
        }
        self.check(outcome);
    }

    /// Writes part of what was captured, down the chain; returns whether it is done.
    pub(super) fn snapshot(&mut self, out: &mut SnapshotOutput<'_>) -> bool {
        let written = self.state.as_mut().is_none_or(|state| state.drain(out));
        let ends = self.ends.drain(out);
        self.outputs.snapshot(out) && written && ends
    }

    pub(super) fn begin(&mut self, now: Timestamp) {
        self.now = now;
        self.outputs.begin(now);
    }

    /// Forwards a signal, recording a watermark.
    pub(super) fn signal(&mut self, signal: Signal) {
        if let Signal::Watermark(at) = signal {
            self.watermark = at;
        }
        self.outputs.signal(signal);
    }

    /// Returns the context of a record with timestamp `at`, or of no record if that is [`Timestamp::MIN`].
    #[inline(always)]
    pub(super) fn context(&mut self, at: Timestamp) -> PlainContext<'_, D> {
        PlainContext {
            services: self,
            timestamp: (!at.is_none()).then_some(at),
            output_at: at,
        }
    }

    /// Closes the outputs, then the function, whatever the outputs return.
    pub(super) fn close(&mut self, close: impl FnOnce() -> Outcome) -> Result<(), OperatorError> {
        let outputs = self.outputs.close();
        let function = close().map_err(|cause| OperatorError::function(&self.name, cause));
        outputs.and(function)
    }
}

impl<D> ProcessServices<D> {
    pub(super) fn subtask(&self) -> &SubtaskInfo {
        let opened = self.subtask.as_ref();
        opened.expect("a function is called between `open` and `close`")
    }

    /// Fails the subtask if `outcome` is an error.
    #[inline(always)]
    pub(super) fn check(&self, outcome: Outcome) {
        if let Err(cause) = outcome {
            raise(OperatorError::function(&self.name, cause));
        }
    }
}
