//! The first phase of two-phase windows resumes from checkpoints, at any parallelism.

use std::collections::BTreeMap;

use super::oracle::Record;
use super::restoring::{barrier, context, write};
use crate::checkpoint::{MemorySnapshot, Restored};
use crate::operator::recorder::Recorder;
use crate::operator::window::{KeyedPartials, PartialAggregate, Sliding};
use crate::operator::{Barrier, Count, Operator, Push, Signal};
use crate::record::OwnedSelector;
use crate::time::{Timestamp, nanoseconds};

fn windows() -> Sliding {
    Sliding::of(nanoseconds(30), nanoseconds(10))
}

pub(super) type Keyed =
    KeyedPartials<Record, OwnedSelector<fn(&Record) -> u8>, Count, Recorder<(u8, u64)>>;

pub(super) fn keyed(
    windows: Sliding,
    index: u32,
    parallelism: u32,
    restored: Option<Restored>,
) -> (Keyed, Recorder<(u8, u64)>) {
    let (recorder, key) = (Recorder::new(), super::harness::key_of as fn(&Record) -> u8);
    let next = recorder.clone();
    let operator = KeyedPartials::new("w".into(), &windows, OwnedSelector(key), Count, next);
    let mut operator = operator.unwrap().uid("w.partial".into());
    operator
        .open(&context(index, parallelism, restored))
        .unwrap();
    (operator, recorder)
}

pub(super) type All = PartialAggregate<Record, Count, Recorder<u64>>;

pub(super) fn all(
    windows: Sliding,
    index: u32,
    parallelism: u32,
    restored: Option<Restored>,
) -> (All, Recorder<u64>) {
    let recorder = Recorder::new();
    let operator = PartialAggregate::new("w".into(), &windows, Count, recorder.clone());
    let mut operator = operator.unwrap().uid("w.partial".into());
    operator
        .open(&context(index, parallelism, restored))
        .unwrap();
    (operator, recorder)
}

/// Subtasks with records of all keys. The watermark of each is its own: subtask `n` has closed `n` slices, which
/// the first checkpoint had and the second one drops.
fn fill<P: Push<Record>>(operator: &mut P, index: u32, memory: &mut MemorySnapshot) {
    for at in 0..50 {
        operator.push(&((at % 7) as u8, 1), Timestamp(at));
    }
    operator.signal(barrier(1, Barrier::WHOLE));
    write(operator, 1, index, memory);
    let to = 10 * i64::from(index) - 1;
    operator.signal(Signal::Watermark(Timestamp(to)));
    operator.push(&(3, 1), Timestamp(47));
    operator.signal(barrier(2, 0));
    write(operator, 2, index, memory);
    operator.push(&(4, 1), Timestamp(47));
}

#[test]
fn keyed_partials_come_back_once_at_any_parallelism() {
    for (old, new) in [(1, 1), (2, 2), (3, 3), (1, 3), (2, 3), (3, 2), (3, 1)] {
        let mut memory = MemorySnapshot::new(old);
        let mut expected: BTreeMap<(u8, i64), u64> = BTreeMap::new();
        for index in 0..old {
            let (mut operator, _) = keyed(windows(), index, old, None);
            fill(&mut operator, index, &mut memory);
            let open = (0..50).filter(|at| *at >= 10 * i64::from(index));
            for at in open {
                *expected
                    .entry(((at % 7) as u8, at / 10 * 10 + 9))
                    .or_default() += 1;
            }
            *expected.entry((3, 49)).or_default() += 1;
        }
        let mut found: BTreeMap<(u8, i64), u64> = BTreeMap::new();
        for index in 0..new {
            let (mut operator, recorder) = keyed(windows(), index, new, Some(memory.restored()));
            operator.signal(Signal::Watermark(Timestamp(100)));
            let records = recorder.take_records();
            assert!(records.len() < 256, "all of them at once");
            for ((key, count), at) in records {
                *found.entry((key, at)).or_default() += count;
            }
        }
        assert_eq!(found, expected, "{old} to {new}");
    }
}

#[test]
fn partials_of_all_records_come_back_once_at_any_parallelism() {
    for (old, new) in [(1, 1), (2, 2), (3, 3), (1, 3), (2, 3), (3, 2), (3, 1)] {
        let mut memory = MemorySnapshot::new(old);
        let mut expected: BTreeMap<i64, u64> = BTreeMap::new();
        for index in 0..old {
            let (mut operator, _) = all(windows(), index, old, None);
            fill(&mut operator, index, &mut memory);
            for slice in i64::from(index)..5 {
                *expected.entry(slice * 10 + 9).or_default() += 10;
            }
            *expected.entry(49).or_default() += 1;
        }
        let mut found: BTreeMap<i64, u64> = BTreeMap::new();
        for index in 0..new {
            let (mut operator, recorder) = all(windows(), index, new, Some(memory.restored()));
            operator.signal(Signal::Watermark(Timestamp(100)));
            for (count, at) in recorder.take_records() {
                *found.entry(at).or_default() += count;
            }
        }
        assert_eq!(found, expected, "{old} to {new}");
    }
}
