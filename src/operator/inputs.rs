//! The inputs of one operator: several inputs combined into one watermark, one status, one barrier and one end.
//!
//! A [`Combiner`] (several inputs) or a [`Valve`] (a union: one input with several channels) defines how watermarks
//! combine. The end is handled here for both: an input whose watermark is [`Timestamp::MAX`] is *drained* and holds
//! nothing back, like an idle one, but the watermark at the end of input is forwarded only when every input is drained.
//! (In Flink one idle input and one drained input make the end of time; records of the idle one would all be late.)
//!
//! A [`BarrierAligner`] defines when a barrier is forwarded: once, when it has arrived on every input that has not ended;
//! it may also arrive on inputs that have, before or after that. Blocking the inputs that wait is up to the caller.

use crate::time::{Combiner, TimeSignals, Timestamp, Valve};

use super::signal::forward;
use super::{BarrierAligner, Signal};

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

/// Combines the signals of several inputs.
#[derive(Debug)]
pub(super) struct Inputs<M> {
    merge: M,
    drained: Box<[bool]>,
    aligner: BarrierAligner,
}

impl<M: Merge> Inputs<M> {
    /// Creates `count` inputs whose watermarks `merge` combines.
    pub(super) fn new(count: usize, merge: M) -> Self {
        Inputs {
            merge,
            drained: vec![false; count].into_boxed_slice(),
            aligner: BarrierAligner::new(count),
        }
    }

    /// Whether an input is blocked: a barrier has arrived on it, and not yet on another one.
    pub(super) fn is_held(&self, input: usize) -> bool {
        self.aligner.is_held(input)
    }

    /// Handles a signal of one input: what it means for the operator goes to `send`. Splits end here.
    pub(super) fn on_signal(&mut self, input: usize, signal: Signal, mut send: impl FnMut(Signal)) {
        match signal {
            Signal::Watermark(Timestamp::MAX) => self.drain(input, &mut send),
            Signal::Barrier(barrier) => {
                let aligned = self.aligner.on_barrier(input, barrier);
                aligned.map(Signal::Barrier).into_iter().for_each(send);
            }
            Signal::End => {
                let aligned = self.aligner.on_end(input);
                let ended = self.aligner.has_ended().then_some(Signal::End);
                let signals = aligned.map(Signal::Barrier).into_iter().chain(ended);
                signals.for_each(send);
            }
            Signal::Split(_) | Signal::SplitEnd(_) => {}
            Signal::CheckpointAborted(checkpoint) => {
                self.aligner.abort(checkpoint);
                send(signal);
            }
            Signal::CheckpointComplete(_) => send(signal),
            _ if self.drained[input] => {}
            Signal::Watermark(at) => forward(self.merge.on_watermark(input, at), &mut send),
            Signal::Idle => forward(self.merge.on_idle(input), &mut send),
            Signal::Active => forward(self.merge.on_active(input), &mut send),
        }
    }

    fn drain(&mut self, input: usize, send: &mut impl FnMut(Signal)) {
        if std::mem::replace(&mut self.drained[input], true) {
            return;
        }
        if self.drained.iter().all(|drained| *drained) {
            if self.merge.is_idle() {
                send(Signal::Active);
            }
            send(Signal::Watermark(Timestamp::MAX));
        } else {
            forward(self.merge.on_idle(input), send);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operator::Barrier;

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
