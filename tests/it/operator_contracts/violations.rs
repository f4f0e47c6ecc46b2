//! The harness detects what it is there to detect: each of these operators breaks one rule.

use thalweg::checkpoint::SnapshotOutput;
use thalweg::operator::{Budget, OpenContext, Operator, OperatorError, Push, Signal};
use thalweg::testing::{Contract, Fault, Phase, Tail};
use thalweg::time::Timestamp;

/// What an operator does wrong.
#[derive(Clone, Copy, PartialEq)]
enum Wrong {
    Nothing,
    EmitsInClose,
    WatermarkFirst,
    FloodsAFullOutput,
    ForgetsFlush,
    DropsTheEnd,
    NeverReady,
    EmitsByBatch,
    Recedes,
    DropsBarriers,
    DoublesBarriers,
    ForgetsSnapshot,
    WritesEarly,
    NeverWrites,
    /// Counts records, but does not store the count in checkpoints.
    LosesState,
    /// Holds a record back, even from the barrier.
    HoldsBack,
}

/// Forwards everything, except for what is wrong.
struct Faulty {
    wrong: Wrong,
    batch: i64,
    count: i64,
    held: Option<i64>,
    next: Tail<i64>,
}

impl Operator for Faulty {
    fn open(&mut self, cx: &OpenContext) -> Result<(), OperatorError> {
        self.next.open(cx)
    }

    fn begin(&mut self, now: Timestamp) {
        self.batch += 1;
        self.next.begin(now);
    }

    fn signal(&mut self, signal: Signal) {
        match (self.wrong, signal) {
            (Wrong::WatermarkFirst, Signal::Watermark(at)) if at != Timestamp::MAX => {
                self.next.signal(signal);
                self.next.push(&1, at);
            }
            (Wrong::FloodsAFullOutput, Signal::Watermark(_)) => {
                (0..100).for_each(|n| self.next.push(&n, Timestamp::MIN));
                self.next.signal(signal);
            }
            (Wrong::Recedes, Signal::Watermark(Timestamp::MAX)) => {
                self.next.signal(Signal::Watermark(Timestamp(1)));
            }
            (Wrong::DropsTheEnd, Signal::End) | (Wrong::DropsBarriers, Signal::Barrier(_)) => {}
            (Wrong::DoublesBarriers, Signal::Barrier(_)) => {
                self.next.signal(signal);
                self.next.signal(signal);
            }
            (Wrong::HoldsBack, Signal::Watermark(Timestamp::MAX)) => {
                if let Some(held) = self.held.take() {
                    self.next.push(&held, Timestamp::MIN);
                }
                self.next.signal(signal);
            }
            _ => self.next.signal(signal),
        }
    }

    fn ready(&self) -> bool {
        self.wrong != Wrong::NeverReady && self.next.ready()
    }

    fn resume(&mut self, budget: &mut Budget) {
        self.next.resume(budget);
    }

    fn flush(&mut self) {
        if self.wrong != Wrong::ForgetsFlush {
            self.next.flush();
        }
    }

    fn deadline(&self) -> Option<Timestamp> {
        None
    }

    fn snapshot(&mut self, out: &mut SnapshotOutput<'_>) -> bool {
        match self.wrong {
            Wrong::ForgetsSnapshot => false,
            Wrong::WritesEarly => {
                self.next.snapshot(out);
                true
            }
            Wrong::NeverWrites => {
                self.next.snapshot(out);
                false
            }
            _ => self.next.snapshot(out),
        }
    }

    fn close(&mut self) -> Result<(), OperatorError> {
        if self.wrong == Wrong::EmitsInClose {
            self.next.push(&1, Timestamp::MIN);
        }
        self.next.close()
    }
}

impl Push<i64> for Faulty {
    fn push(&mut self, record: &i64, at: Timestamp) {
        self.count += 1;
        let more = match self.wrong {
            Wrong::EmitsByBatch => self.batch,
            Wrong::LosesState => self.count,
            _ => 0,
        };
        if self.wrong == Wrong::HoldsBack {
            if let Some(held) = self.held.replace(*record) {
                self.next.push(&held, at);
            }
            return;
        }
        self.next.push(&(record + more), at);
    }
}

fn fault(wrong: Wrong) -> Option<Fault> {
    let checked = Contract::<i64>::new()
        .records((0..10).map(|n| (n, Timestamp(n))))
        .watermark(Timestamp(9))
        .restores()
        .check(|next| Faulty {
            wrong,
            batch: 0,
            count: 0,
            held: None,
            next,
        });
    checked.err().map(|violation| violation.fault)
}

#[test]
fn a_faultless_operator_passes() {
    assert_eq!(fault(Wrong::Nothing), None);
}

#[test]
fn emitting_in_close_is_reported() {
    assert!(matches!(
        fault(Wrong::EmitsInClose),
        Some(Fault::Emitted(Phase::Close, _))
    ));
}

#[test]
fn a_watermark_before_its_results_is_reported() {
    assert!(matches!(
        fault(Wrong::WatermarkFirst),
        Some(Fault::BehindWatermark { .. })
    ));
}

#[test]
fn pushing_on_to_a_full_output_is_reported() {
    assert!(matches!(
        fault(Wrong::FloodsAFullOutput),
        Some(Fault::OutputFull { .. })
    ));
}

#[test]
fn a_flush_that_is_not_passed_on_is_reported() {
    assert_eq!(
        fault(Wrong::ForgetsFlush),
        Some(Fault::NotPassedOn(Phase::Flush))
    );
}

#[test]
fn an_end_that_is_not_passed_on_is_reported() {
    assert_eq!(fault(Wrong::DropsTheEnd), Some(Fault::NoEnd));
}

#[test]
fn an_operator_that_never_becomes_ready_is_reported() {
    assert_eq!(fault(Wrong::NeverReady), Some(Fault::Stuck));
}

#[test]
fn results_that_depend_on_the_batches_are_reported() {
    assert!(matches!(
        fault(Wrong::EmitsByBatch),
        Some(Fault::Differs { .. })
    ));
}

#[test]
fn a_receding_watermark_is_reported() {
    assert!(matches!(
        fault(Wrong::Recedes),
        Some(Fault::WatermarkReceded { .. })
    ));
}

#[test]
fn a_barrier_that_does_not_go_on_once_is_reported() {
    let checkpoint = 1;
    let barrier = |count| Some(Fault::Barrier { checkpoint, count });
    assert_eq!(fault(Wrong::DropsBarriers), barrier(0));
    assert_eq!(fault(Wrong::DoublesBarriers), barrier(2));
}

#[test]
fn snapshots_that_are_not_passed_on_too_early_or_never_done_are_reported() {
    assert_eq!(
        fault(Wrong::ForgetsSnapshot),
        Some(Fault::NotPassedOn(Phase::Snapshot))
    );
    assert_eq!(fault(Wrong::WritesEarly), Some(Fault::WrittenEarly(1)));
    assert_eq!(fault(Wrong::NeverWrites), Some(Fault::NeverWritten(1)));
}

#[test]
fn state_that_no_checkpoint_keeps_is_reported() {
    for wrong in [Wrong::LosesState, Wrong::HoldsBack] {
        let fault = fault(wrong);
        assert!(matches!(fault, Some(Fault::Differs { .. })), "{fault:?}");
    }
}
