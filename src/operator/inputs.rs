//! The inputs of one operator: several inputs combined into one watermark, one status, one barrier and one end.
//!
//! A [`Combiner`] (several inputs) or a [`Valve`] (a union: one input with several channels) defines how watermarks
//! combine. The end is handled here for both: an input whose watermark is [`Timestamp::MAX`] is *drained* and holds
//! nothing back, like an idle one, but the watermark at the end of input is forwarded only when every input is drained.
//! (In Flink one idle input and one drained input make the end of time; records of the idle one would all be late.)
//!
//! A barrier is forwarded once, when it has arrived on every input that has not ended: it may also arrive on inputs
//! that have, before or after that. Blocking an input on which it has arrived is up to the caller.

use crate::time::{Combiner, TimeSignals, Timestamp, Valve};

use super::signal::forward;
use super::{Barrier, Signal};

/// A rule that combines the watermarks and statuses of several inputs.
pub(super) trait Merge {
    fn on_watermark(&mut self, input: usize, at: Timestamp) -> TimeSignals;
    fn on_idle(&mut self, input: usize) -> TimeSignals;
    fn on_active(&mut self, input: usize) -> TimeSignals;
    fn is_idle(&self) -> bool;
}

macro_rules! merge {
    ($rule:ident) => {
        impl Merge for $rule {
            fn on_watermark(&mut self, input: usize, at: Timestamp) -> TimeSignals {
                $rule::on_watermark(self, input, at)
            }

            fn on_idle(&mut self, input: usize) -> TimeSignals {
                $rule::on_idle(self, input)
            }

            fn on_active(&mut self, input: usize) -> TimeSignals {
                $rule::on_active(self, input)
            }

            fn is_idle(&self) -> bool {
                $rule::is_idle(self)
            }
        }
    };
}

merge!(Combiner);
merge!(Valve);

#[derive(Clone, Copy, Debug, Default)]
struct Input {
    drained: bool,
    ended: bool,
    /// The pending barrier has arrived on it.
    aligned: bool,
}

/// Combines the signals of several inputs.
#[derive(Debug)]
pub(super) struct Inputs<M> {
    merge: M,
    inputs: Box<[Input]>,
    barrier: Option<Barrier>,
    /// The checkpoint of the last barrier that was forwarded.
    passed: Option<u64>,
}

impl<M: Merge> Inputs<M> {
    /// Creates `count` inputs whose watermarks `merge` combines.
    pub(super) fn new(count: usize, merge: M) -> Self {
        Inputs {
            merge,
            inputs: vec![Input::default(); count].into_boxed_slice(),
            barrier: None,
            passed: None,
        }
    }

    /// Handles a signal of one input: what it means for the operator goes to `send`. Splits end here.
    pub(super) fn on_signal(&mut self, input: usize, signal: Signal, mut send: impl FnMut(Signal)) {
        match signal {
            Signal::Watermark(Timestamp::MAX) => self.drain(input, &mut send),
            Signal::Barrier(barrier) => {
                self.align(input, barrier);
                self.forward_barrier(&mut send);
            }
            Signal::End => {
                self.inputs[input].ended = true;
                self.forward_barrier(&mut send);
                if self.inputs.iter().all(|input| input.ended) {
                    send(Signal::End);
                }
            }
            Signal::Split(_) | Signal::SplitEnd(_) => {}
            Signal::CheckpointAborted(checkpoint) => {
                self.abort(checkpoint);
                send(signal);
            }
            Signal::CheckpointComplete(_) => send(signal),
            _ if self.inputs[input].drained => {}
            Signal::Watermark(at) => forward(self.merge.on_watermark(input, at), &mut send),
            Signal::Idle => forward(self.merge.on_idle(input), &mut send),
            Signal::Active => forward(self.merge.on_active(input), &mut send),
        }
    }

    fn drain(&mut self, input: usize, send: &mut impl FnMut(Signal)) {
        if std::mem::replace(&mut self.inputs[input].drained, true) {
            return;
        }
        if self.inputs.iter().all(|input| input.drained) {
            if self.merge.is_idle() {
                send(Signal::Active);
            }
            send(Signal::Watermark(Timestamp::MAX));
        } else {
            forward(self.merge.on_idle(input), send);
        }
    }

    fn align(&mut self, input: usize, barrier: Barrier) {
        if self
            .passed
            .is_some_and(|passed| barrier.checkpoint <= passed)
        {
            return;
        }
        if self
            .barrier
            .is_none_or(|b| b.checkpoint < barrier.checkpoint)
        {
            self.barrier = Some(barrier);
            self.inputs.iter_mut().for_each(|i| i.aligned = false);
        }
        if let Some(current) = &mut self.barrier
            && current.checkpoint == barrier.checkpoint
        {
            // The barrier may have arrived on one input before it was told to overtake.
            current.options |= barrier.options;
            self.inputs[input].aligned = true;
        }
    }

    /// Stops waiting for the barrier of an aborted checkpoint.
    fn abort(&mut self, checkpoint: u64) {
        if self.barrier.is_some_and(|b| b.checkpoint == checkpoint) {
            self.barrier = None;
            self.inputs.iter_mut().for_each(|i| i.aligned = false);
        }
    }

    fn forward_barrier(&mut self, send: &mut impl FnMut(Signal)) {
        if self.inputs.iter().all(|i| i.aligned || i.ended)
            && let Some(barrier) = self.barrier.take()
        {
            self.inputs.iter_mut().for_each(|i| i.aligned = false);
            self.passed = Some(barrier.checkpoint);
            send(Signal::Barrier(barrier));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn barriers_of(signals: &[(usize, Signal)]) -> Vec<u64> {
        let mut inputs = Inputs::new(2, Combiner::new(2));
        let mut passed = Vec::new();
        for (input, signal) in signals {
            inputs.on_signal(*input, *signal, |signal| {
                if let Signal::Barrier(barrier) = signal {
                    passed.push(barrier.checkpoint);
                }
            });
        }
        passed
    }

    #[test]
    fn barrier_goes_on_once_though_ended_inputs_bring_it_too() {
        let barrier = |checkpoint| {
            Signal::Barrier(Barrier {
                checkpoint,
                options: 0,
            })
        };
        let both_ended = [
            (0, Signal::End),
            (1, Signal::End),
            (0, barrier(3)),
            (1, barrier(3)),
        ];
        assert_eq!(barriers_of(&both_ended), [3]);
        let one_ended = [
            (1, Signal::End),
            (0, barrier(3)),
            (1, barrier(3)),
            (1, barrier(4)),
            (0, barrier(4)),
            (0, Signal::End),
        ];
        assert_eq!(barriers_of(&one_ended), [3, 4]);
    }
}
