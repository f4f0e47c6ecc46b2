//! Window joins resume from checkpoints of joins over the same windows.

use super::restoring::{barrier, context, write};
use crate::checkpoint::{CheckpointError, MemorySnapshot, Restored};
use crate::operator::recorder::Recorder;
use crate::operator::window::{JoinPairs, TimeWindow, Tumbling, WindowJoin};
use crate::operator::{Barrier, Operator, OperatorError, Outputs, Signal, TwoInput};
use crate::record::OwnedSelector;
use crate::time::{Timestamp, nanoseconds};

type Pair = [u64; 2];

/// A join that emits the starts of windows, of windows of this size.
fn join(
    size: u64,
    restored: Option<Restored>,
) -> Result<(impl TwoInput<Pair, Pair>, Recorder<i64>), OperatorError> {
    let (recorder, assigner) = (Recorder::new(), Tumbling::of(nanoseconds(size)));
    let key = || OwnedSelector((|record: &Pair| record[0]) as fn(&Pair) -> u64);
    let start = JoinPairs(|_: &Pair, _: &Pair, window: TimeWindow| window.start.0);
    let next = Outputs::new(recorder.clone());
    let mut join = WindowJoin::new("join".into(), &assigner, (key(), key()), start, next).unwrap();
    join.open(&context(0, 1, restored))?;
    Ok((join, recorder))
}

#[test]
fn joins_over_other_windows_are_an_error() {
    let mut memory = MemorySnapshot::new(1);
    let (mut before, _) = join(10, None).unwrap();
    before.push_first(&[1, 1], Timestamp(25));
    before.push_second(&[1, 2], Timestamp(26));
    before.signal(Signal::Watermark(Timestamp(21)));
    before.signal(barrier(1, Barrier::WHOLE));
    write(&mut before, 1, 0, &mut memory);

    let error = join(20, Some(memory.restored())).err().unwrap();
    let OperatorError::Restore { cause, .. } = error else {
        panic!("{error}");
    };
    assert!(matches!(
        cause.downcast_ref(),
        Some(CheckpointError::WindowsChanged { .. })
    ));

    let (mut after, recorder) = join(10, Some(memory.restored())).unwrap();
    after.signal(Signal::Watermark(Timestamp(21)));
    assert_eq!(recorder.take(), [], "it has been there");
    after.signal(Signal::Watermark(Timestamp(29)));
    assert_eq!(recorder.take_records(), [(20, 29)]);
}
