//! What an exchange that vanished gathers and holds back.

use super::*;
use crate::operator::recorder::{Recorder, Records, open_context};

/// A recorder to which a run matters.
struct Runs(Recorder<u64>);

impl Operator for Runs {
    pass_on!(0: all);
}

impl Push<u64> for Runs {
    fn push(&mut self, record: &u64, at: Timestamp) {
        self.0.push(record, at);
    }

    fn takes_runs(&self) -> bool {
        true
    }
}

#[test]
fn results_gathered_arrive_once_and_in_order_and_none_before_there_is_room() {
    let numbers: Vec<_> = (0..200u64).map(|n| (n, n as i64)).collect();
    for room in [0, 1, ROOM - 1, ROOM, ROOM + 1, 199, 200] {
        let log = Recorder::new();
        log.set_room(room);
        let mut form = FarForm::<u64, _>::new(Runs(log.clone()));
        form.open(&open_context()).expect("nothing is restored");
        let done = form.push_mapped(&Records(&numbers), numbers.len(), |n| n + 1);
        assert!((room..room + ROOM).contains(&done) || done == numbers.len());
        let expected: Vec<_> = numbers[..done].iter().map(|(n, at)| (n + 1, *at)).collect();
        let arrived = log.take_records();
        assert_eq!(arrived, expected[..room]);
        log.set_room(usize::MAX);
        form.resume(&mut Budget::new(64));
        assert_eq!(log.take_records(), expected[room..]);
        assert!(form.ready());
    }
}
