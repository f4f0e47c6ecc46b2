//! Windows in processing time: the clock decides, timestamps and watermarks do not.

use super::harness::{Collect, Harness, Key, harness_in, harness_of};
use super::lists;
use super::oracle::{Event, Record};
use super::restoring::{barrier, context, write};
use crate::checkpoint::MemorySnapshot;
use crate::operator::window::{
    ProcessingTime, Session, SessionOperator, SlicedAssigner, Sliding, Tumbling, WindowFunction,
    WindowOperator,
};
use crate::operator::{Barrier, Operator, Push, Signal};
use crate::time::{Timestamp, nanoseconds};

type Windows<F> = WindowOperator<Record, Key, F, Collect, ProcessingTime>;

fn windows(
    assigner: impl SlicedAssigner<Time = ProcessingTime>,
) -> Harness<Windows<impl WindowFunction<Record, u8, Out = super::WindowResult>>> {
    harness_of(|selector, outputs, _| {
        WindowOperator::new("w".into(), &assigner, selector, lists(), outputs).unwrap()
    })
}

fn result(key: u8, start: i64, end: i64, values: &[u32]) -> Event {
    Event::Result {
        key,
        start,
        end,
        at: end - 1,
        values: values.to_vec(),
    }
}

impl<P: Push<Record>> Harness<P> {
    /// A batch begins.
    fn begin(&mut self, now: i64) {
        self.wait();
        self.operator.flush();
        self.operator.begin(Timestamp(now));
    }
}

#[test]
fn records_are_in_the_window_of_their_batch() {
    let mut windows = windows(Tumbling::of(nanoseconds(10)).processing_time());
    windows.begin(3);
    windows.push((1, 1), 1_000);
    windows.push((1, 2), i64::MIN);
    assert_eq!(windows.operator.deadline(), Some(Timestamp(10)));
    windows.begin(9);
    windows.push((1, 3), 0);
    windows.begin(10);
    windows.push((1, 4), 0);
    assert_eq!(windows.events(), [result(1, 0, 10, &[1, 2, 3])]);
    assert_eq!(windows.operator.deadline(), Some(Timestamp(20)));
    windows.begin(57);
    assert_eq!(windows.events(), [result(1, 10, 20, &[4])]);
    assert_eq!(windows.operator.deadline(), None);
}

#[test]
fn sliding_windows_fire_when_the_clock_has_passed_them() {
    let assigner = Sliding::of(nanoseconds(10), nanoseconds(5)).processing_time();
    let mut windows = windows(assigner);
    windows.begin(7);
    windows.push((1, 1), 0);
    windows.begin(12);
    windows.push((1, 2), 0);
    windows.begin(15);
    windows.begin(20);
    let expected = [
        result(1, 0, 10, &[1]),
        result(1, 5, 15, &[1, 2]),
        result(1, 10, 20, &[2]),
    ];
    assert_eq!(windows.events(), expected);
}

#[test]
fn watermarks_pass_and_fire_nothing() {
    let mut windows = windows(Tumbling::of(nanoseconds(10)).processing_time());
    windows.begin(3);
    windows.push((1, 1), 0);
    windows.watermark(1_000);
    assert_eq!(windows.events(), [Event::Watermark(1_000)]);
}

#[test]
fn a_clock_that_is_set_back_changes_nothing() {
    let mut windows = windows(Tumbling::of(nanoseconds(10)).processing_time());
    windows.begin(12);
    windows.begin(4);
    windows.push((1, 1), 0);
    windows.begin(20);
    assert_eq!(windows.events(), [result(1, 10, 20, &[1])]);
}

#[test]
fn windows_that_are_open_at_the_end_of_input_never_fire() {
    let mut windows = windows(Tumbling::of(nanoseconds(10)).processing_time());
    windows.begin(3);
    windows.push((1, 1), 0);
    windows.watermark(i64::MAX);
    windows.signal(Signal::End);
    assert_eq!(windows.operator.deadline(), None);
    windows.begin(1_000);
    assert_eq!(windows.events(), [Event::Watermark(i64::MAX), Event::End]);
}

#[test]
fn windows_that_ended_while_the_job_was_down_fire_at_once() {
    let windows = |restored| {
        harness_in(context(0, 1, restored), |selector, outputs, _| {
            let assigner = Tumbling::of(nanoseconds(10)).processing_time();
            WindowOperator::new("w".into(), &assigner, selector, lists(), outputs).unwrap()
        })
        .unwrap()
    };
    let mut memory = MemorySnapshot::new(1);
    let mut before = windows(None);
    before.begin(3);
    before.push((1, 1), 0);
    before.signal(barrier(1, Barrier::WHOLE));
    write(&mut before.operator, 1, 0, &mut memory);
    let mut after = windows(Some(memory.restored()));
    assert_eq!(after.operator.deadline(), Some(Timestamp(10)));
    // A clock that was set back changes nothing, as always.
    after.begin(1);
    after.push((1, 2), 0);
    after.begin(77);
    assert_eq!(after.events(), [result(1, 0, 10, &[1, 2])]);
}

#[test]
fn sessions_end_when_the_clock_has_passed_their_gap() {
    let mut sessions = harness_of(|selector, outputs, _| {
        let session = Session::with_gap(nanoseconds(10)).processing_time();
        SessionOperator::new("s".into(), session, selector, lists(), outputs).unwrap()
    });
    sessions.begin(3);
    sessions.push((1, 1), 0);
    sessions.begin(8);
    sessions.push((1, 2), 0);
    assert_eq!(sessions.operator.deadline(), Some(Timestamp(13)));
    sessions.begin(13);
    sessions.push((2, 3), 0);
    assert_eq!(sessions.operator.deadline(), Some(Timestamp(18)));
    sessions.begin(18);
    assert_eq!(sessions.events(), [result(1, 3, 18, &[1, 2])]);
    sessions.push((1, 4), 0);
    sessions.signal(Signal::End);
    sessions.begin(1_000);
    assert_eq!(sessions.events(), [Event::End]);
    assert_eq!(sessions.operator.deadline(), None);
}

/// What is stored by a checkpoint taken at the end of the input, such as one that stops a job with drain.
fn at_the_end<P>(mut before: Harness<P>, at: i64, record: Record) -> MemorySnapshot
where
    P: Push<Record>,
{
    let mut memory = MemorySnapshot::new(1);
    before.begin(at);
    before.push(record, 0);
    before.watermark(i64::MAX);
    before.signal(Signal::End);
    before.begin(at + 100);
    before.signal(barrier(1, Barrier::WHOLE));
    write(&mut before.operator, 1, 0, &mut memory);
    assert_eq!(before.events()[1..], [Event::End], "nothing fires");
    memory
}

#[test]
fn windows_of_a_checkpoint_after_the_end_of_input_fire_when_the_clock_has_passed_them() {
    let windows = |restored| {
        harness_in(context(0, 1, restored), |selector, outputs, _| {
            let assigner = Tumbling::of(nanoseconds(10)).processing_time();
            WindowOperator::new("w".into(), &assigner, selector, lists(), outputs).unwrap()
        })
        .unwrap()
    };
    let memory = at_the_end(windows(None), 23, (1, 1));
    let mut after = windows(Some(memory.restored()));
    assert_eq!(after.operator.deadline(), Some(Timestamp(30)));
    // A clock that was set back changes nothing, as always: its records are in the window that is open.
    after.begin(2);
    after.push((1, 2), 0);
    after.begin(29);
    assert_eq!(after.events(), []);
    after.begin(30);
    assert_eq!(after.events(), [result(1, 20, 30, &[1, 2])]);
}

#[test]
fn sessions_of_a_checkpoint_after_the_end_of_input_fire_when_the_clock_has_passed_their_gap() {
    let sessions = |restored| {
        harness_in(context(0, 1, restored), |selector, outputs, _| {
            let session = Session::with_gap(nanoseconds(10)).processing_time();
            SessionOperator::new("s".into(), session, selector, lists(), outputs).unwrap()
        })
        .unwrap()
    };
    let memory = at_the_end(sessions(None), 23, (1, 1));
    let mut after = sessions(Some(memory.restored()));
    assert_eq!(after.operator.deadline(), Some(Timestamp(33)));
    after.begin(2);
    after.push((1, 2), 0);
    after.begin(32);
    assert_eq!(after.events(), []);
    after.begin(33);
    assert_eq!(after.events(), [result(1, 23, 33, &[1, 2])]);
}
