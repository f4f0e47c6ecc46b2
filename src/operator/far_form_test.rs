//! Runs at a vanished exchange.

use super::*;
use crate::operator::record_run::push_run;
use crate::operator::recorder::Recorder;

/// A recorder in front of which looking ahead pays.
struct Keyed(Recorder<u64>);

impl Operator for Keyed {
    pass_on!(0: all);
}

impl Push<u64> for Keyed {
    fn push(&mut self, record: &u64, at: Timestamp) {
        self.0.push(record, at);
    }

    fn looks_ahead(&self) -> bool {
        true
    }
}

struct Numbers(Vec<u64>);

impl RecordRun<u64> for Numbers {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn record(&self, index: usize) -> &u64 {
        &self.0[index]
    }

    fn time(&self, index: usize) -> Timestamp {
        Timestamp(index as i64)
    }
}

#[test]
fn a_run_does_not_overtake_what_is_staged_and_stops_where_there_is_no_room() {
    let recorder = Recorder::new();
    let mut far = FarForm::<u64, _>::new(Keyed(recorder.clone()));
    far.begin(Timestamp(0));
    (0..5).for_each(|n| far.push(&n, Timestamp(0)));
    assert_eq!(recorder.take_records(), []);
    recorder.set_room(3);
    let run = Numbers((5..100).collect());
    assert_eq!(push_run(&mut far, &run, 95), 0);
    recorder.set_room(12);
    far.resume(&mut Budget::new(1));
    assert_eq!(push_run(&mut far, &run, 95), 10);
    recorder.set_room(usize::MAX);
    let rest = Numbers((15..100).collect());
    assert_eq!(push_run(&mut far, &rest, 85), 85);
    let records = recorder.take_records();
    let numbers: Vec<_> = records.into_iter().map(|(number, _)| number).collect();
    assert_eq!(numbers, (0..100).collect::<Vec<_>>());
}
