//! The first phase of two-phase windows holds nothing back that the second one may be waiting for.

use super::oracle::Record;
use super::partial_restoring::{all, keyed};
use crate::operator::recorder::{Event, Recorder, watermark};
use crate::operator::window::Sliding;
use crate::operator::{Budget, Operator, Push, Signal};
use crate::time::{Timestamp, nanoseconds};

fn thirty_by_ten() -> Sliding {
    Sliding::of(nanoseconds(30), nanoseconds(10))
}

/// Gives an operator two records of one slice, then others while it is idle and afterwards. `partial` is what is
/// emitted for a number of records.
fn go_idle<P, T>(
    (mut operator, recorder): (P, Recorder<T>),
    partial: impl Fn(u64) -> T,
) -> [Vec<Event<T>>; 2]
where
    P: Push<Record>,
    T: Clone + Send + PartialEq + std::fmt::Debug,
{
    let push = |operator: &mut P, at| operator.push(&(1, 1), Timestamp(at));
    for at in [3, 25, 21] {
        push(&mut operator, at);
    }
    operator.signal(Signal::Watermark(Timestamp(20)));
    operator.signal(Signal::Idle);
    // The channel does not count, so these are emitted at once.
    push(&mut operator, 22);
    push(&mut operator, 31);
    operator.signal(Signal::Active);
    // It may not count yet, and whether it does remains unknown.
    push(&mut operator, 33);
    push(&mut operator, 38);
    operator.signal(Signal::Watermark(Timestamp(32)));
    let record = |count, at| Event::Record(partial(count), at);
    let expected = vec![
        record(1, 9),
        watermark(20),
        record(2, 29),
        Event::Signal(Signal::Idle),
        record(1, 22),
        record(1, 31),
        Event::Signal(Signal::Active),
        record(1, 33),
        record(1, 38),
        watermark(32),
    ];
    [recorder.take(), expected]
}

#[test]
fn an_idle_subtask_holds_nothing_back() {
    let [found, expected] = go_idle(all(thirty_by_ten(), 0, 1, None), |count| count);
    assert_eq!(found, expected);
    let [found, expected] = go_idle(keyed(thirty_by_ten(), 0, 1, None), |count| (1, count));
    assert_eq!(found, expected);
}

#[test]
fn a_subtask_with_much_to_emit_becomes_idle_afterwards() {
    let (mut operator, recorder) = keyed(thirty_by_ten(), 0, 1, None);
    for key in 0..200 {
        operator.push(&(key, 1), Timestamp(3));
        operator.push(&(key, 1), Timestamp(13));
    }
    operator.signal(Signal::Idle);
    assert!(!operator.ready() && !operator.takes_barrier());
    assert_eq!(recorder.take_records().len(), 256);
    operator.resume(&mut Budget::new(1_000));
    let events = recorder.take();
    assert_eq!(events.len(), 400 - 256 + 1);
    assert_eq!(events.last(), Some(&Event::Signal(Signal::Idle)));
    assert!(operator.ready());

    let (mut operator, recorder) = all(thirty_by_ten(), 0, 1, None);
    operator.push(&(1, 1), Timestamp(3));
    operator.push(&(1, 1), Timestamp(13));
    recorder.set_room(1);
    operator.signal(Signal::Idle);
    assert!(!operator.ready() && !operator.takes_barrier());
    assert_eq!(recorder.take(), [Event::Record(1, 9)]);
    recorder.set_room(2);
    operator.resume(&mut Budget::new(1_000));
    let expected = [Event::Record(1, 19), Event::Signal(Signal::Idle)];
    assert_eq!(recorder.take(), expected);
}

#[test]
fn a_late_record_in_a_gap_is_counted_downstream() {
    let gaps = || Sliding::of(nanoseconds(3), nanoseconds(10));
    let (mut operator, recorder) = all(gaps(), 0, 1, None);
    operator.signal(Signal::Watermark(Timestamp(4)));
    operator.push(&(1, 1), Timestamp(5));
    operator.push(&(1, 1), Timestamp(4));
    assert_eq!(recorder.take_records(), [(1, 4)]);
    let (mut operator, recorder) = keyed(gaps(), 0, 1, None);
    operator.signal(Signal::Watermark(Timestamp(4)));
    operator.push(&(1, 1), Timestamp(5));
    operator.push(&(1, 1), Timestamp(4));
    assert_eq!(recorder.take_records(), [((1, 1), 4)]);
}
