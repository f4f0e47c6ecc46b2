//! Filters upstream of keyed state.

use super::*;
use crate::checkpoint::SnapshotOutput;
use crate::operator::recorder::{Recorder, Records};
use crate::operator::{Budget, OpenContext, OperatorError, Signal};

/// The front of a chain with keyed state.
struct Keyed;

impl Operator for Keyed {
    fn open(&mut self, _cx: &OpenContext) -> Result<(), OperatorError> {
        Ok(())
    }
    fn begin(&mut self, _now: Timestamp) {}
    fn signal(&mut self, _signal: Signal) {}
    fn ready(&self) -> bool {
        true
    }
    fn resume(&mut self, _budget: &mut Budget) {}
    fn flush(&mut self) {}
    fn deadline(&self) -> Option<Timestamp> {
        None
    }
    fn snapshot(&mut self, _out: &mut SnapshotOutput<'_>) -> bool {
        true
    }

    fn close(&mut self) -> Result<(), OperatorError> {
        Ok(())
    }
}

impl Push<u32> for Keyed {
    fn push(&mut self, _record: &u32, _at: Timestamp) {}

    fn looks_ahead(&self) -> bool {
        true
    }
}

#[test]
fn filter_that_refuses_most_records_looks_ahead_in_few_batches() {
    let blind = |one_in: u32| {
        let mut filter = Filter::new(move |n: &u32| n.is_multiple_of(one_in), Keyed);
        let batch = |_: &u32| {
            let looks_ahead = filter.looks_ahead();
            for n in 0..300 {
                match looks_ahead {
                    true => filter.push_hashed(&n, Timestamp::MIN, KeyHash::default()),
                    false => filter.push(&n, Timestamp::MIN),
                }
            }
            filter.flush();
            !looks_ahead
        };
        (0..260).filter(batch).count() as u32
    };
    assert_eq!((blind(1), blind(3)), (0, 0));
    assert_eq!(blind(20), 4 * BATCHES);
}

#[test]
fn records_pass_as_far_as_there_is_room() {
    let log = Recorder::<i64>::new();
    let mut filter = Filter::new(|n: &i64| n % 3 == 0, log.clone());
    let numbers: Vec<(i64, i64)> = (0..20).map(|n| (n, n)).collect();
    log.set_room(2);
    let taken = filter.push_run(&Records(&numbers), numbers.len());
    assert_eq!(log.take_records(), [(0, 0), (3, 3)]);
    assert_eq!(taken, 4, "the run stops behind the last that has passed");
    log.set_room(usize::MAX);
    let taken = filter.push_run(&Records(&numbers[4..]), 16);
    let rest: Vec<_> = (2..7).map(|n| (3 * n, 3 * n)).collect();
    assert_eq!((log.take_records(), taken), (rest, 16));
}
