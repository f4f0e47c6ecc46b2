//! Where watermarks come from, by table: batch ends, splits, idleness, the end of input.

use super::*;
use crate::operator::Barrier;
use crate::operator::recorder::{Event, Recorder, Records, open_context, watermark};
use crate::time::AlignmentGroup;
use crate::time::{BoundedOutOfOrderness, Monotonous, ProcessingTimeLag, Punctuated, nanoseconds};

type Assigning<W> = TimestampsAndWatermarks<i64, fn(&i64) -> Timestamp, W, Recorder<i64>>;

fn assign<W: WatermarkStrategy>(strategy: W) -> (Assigning<W>, Recorder<i64>)
where
    W::Generator: WatermarkGenerator<i64> + Send,
{
    let log = Recorder::new();
    let by_value: fn(&i64) -> Timestamp = |v| Timestamp(*v);
    let mut chain = TimestampsAndWatermarks::new(by_value, strategy, log.clone());
    chain.open(&open_context()).unwrap();
    (chain, log)
}

/// One batch at `now`: the records of the current split.
fn batch<W: WatermarkStrategy>(
    (chain, log): &mut (Assigning<W>, Recorder<i64>),
    now: i64,
    records: &[i64],
) -> Vec<Event<i64>>
where
    W::Generator: WatermarkGenerator<i64> + Send,
{
    chain.begin(Timestamp(now));
    for record in records {
        chain.push(record, Timestamp::MIN);
    }
    chain.flush();
    let is_signal = |event: &Event<i64>| matches!(event, Event::Signal(_));
    log.take().into_iter().filter(is_signal).collect()
}

const IDLE: Event<i64> = Event::Signal(Signal::Idle);
const ACTIVE: Event<i64> = Event::Signal(Signal::Active);

#[test]
fn records_get_timestamps_and_a_watermark_follows_the_batch() {
    let (mut chain, log) = assign(BoundedOutOfOrderness::of(nanoseconds(2)));
    chain.begin(Timestamp(0));
    chain.push(&10, Timestamp(77));
    chain.push(&8, Timestamp::MIN);
    chain.flush();
    let expected = [Event::Record(10, 10), Event::Record(8, 8), watermark(7)];
    assert_eq!(log.take(), expected);
    let mut at = (chain, log);
    assert_eq!(batch(&mut at, 1, &[9]), [], "it has not moved");
    assert_eq!(batch(&mut at, 2, &[20]), [watermark(17)]);
}

#[test]
fn watermark_of_a_batch_that_ended_without_room_comes_before_the_next() {
    let mut at = assign(BoundedOutOfOrderness::of(nanoseconds(2)));
    at.1.set_room(1);
    assert_eq!(batch(&mut at, 0, &[10]), [], "there is no room for it");
    at.1.set_room(0);
    at.0.begin(Timestamp(1));
    assert_eq!(at.1.take(), [], "nor when it is the next one's turn");
    at.1.set_room(usize::MAX);
    at.0.begin(Timestamp(2));
    at.0.push(&20, Timestamp::MIN);
    assert_eq!(at.1.take(), [watermark(7), Event::Record(20, 20)]);
    at.0.flush();
    assert_eq!(at.1.take(), [watermark(17)]);
    assert_eq!(batch(&mut at, 3, &[]), [], "it is sent once");
}

/// Pushes records one by one, as a head does: the chain is resumed until it takes the next.
fn push_each<W: WatermarkStrategy>(chain: &mut Assigning<W>, records: &[i64])
where
    W::Generator: WatermarkGenerator<i64> + Send,
{
    for record in records {
        if !chain.ready() {
            chain.resume(&mut Budget::new(1));
        }
        chain.push(record, Timestamp::MIN);
    }
}

#[test]
fn punctuated_watermark_stands_between_its_record_and_the_next() {
    let (mut chain, log) = assign(Punctuated::new(|v: &i64, at| (v % 2 == 0).then_some(at)));
    chain.begin(Timestamp(0));
    push_each(&mut chain, &[1, 4, 5, 2]);
    chain.flush();
    let expected = [
        Event::Record(1, 1),
        Event::Record(4, 4),
        watermark(4),
        Event::Record(5, 5),
        Event::Record(2, 2),
    ];
    assert_eq!(log.take(), expected);
}

#[test]
fn records_that_are_pushed_unasked_go_before_the_watermark_of_the_first() {
    let mut at = assign(Punctuated::new(|v: &i64, at| (v % 2 == 0).then_some(at)));
    at.0.begin(Timestamp(0));
    for record in [4, 5, 8, 9] {
        at.0.push(&record, Timestamp::MIN);
    }
    assert!(!at.0.ready(), "a watermark waits");
    assert_eq!(at.1.take_records().len(), 4);
    at.1.set_room(0);
    at.0.resume(&mut Budget::new(1));
    at.0.flush();
    assert!(
        at.1.take().is_empty() && !at.0.ready(),
        "there is no room for it"
    );
    at.1.set_room(usize::MAX);
    at.0.resume(&mut Budget::new(1));
    assert!(at.0.ready());
    assert_eq!(at.1.take(), [watermark(8)]);
    assert_eq!(batch(&mut at, 1, &[]), [], "it is sent once");
    at.0.push(&10, Timestamp::MIN);
    at.0.signal(Signal::Watermark(Timestamp::MAX));
    assert_eq!(batch(&mut at, 2, &[]), [watermark(i64::MAX)]);
}

fn untimed(records: &[i64]) -> Vec<(i64, i64)> {
    let untimed = |record: &i64| (*record, Timestamp::MIN.0);
    records.iter().map(untimed).collect()
}

/// What arrives from a run if there is room for the first `room` events, and then from a batch's end.
fn run<W: WatermarkStrategy>(strategy: W, records: &[i64], room: usize) -> Vec<Event<i64>>
where
    W::Generator: WatermarkGenerator<i64> + Send,
{
    let (mut chain, log) = assign(strategy);
    chain.begin(Timestamp(0));
    log.set_room(room);
    let taken = chain.push_run(&Records(&untimed(records)), records.len());
    log.set_room(usize::MAX);
    chain.flush();
    let events = log.take();
    let is_record = |event: &&Event<i64>| matches!(event, Event::Record(..));
    assert_eq!(events.iter().filter(is_record).count(), taken);
    events
}

#[test]
fn watermark_follows_a_run_and_knows_of_no_record_that_found_no_room() {
    let [first, second, third] = [
        Event::Record(10, 10),
        Event::Record(8, 8),
        Event::Record(30, 30),
    ];
    let strategy = BoundedOutOfOrderness::of(nanoseconds(2));
    let all = run(strategy, &[10, 8, 30], usize::MAX);
    assert_eq!(all, [first.clone(), second.clone(), third, watermark(27)]);
    assert_eq!(
        run(strategy, &[10, 8, 30], 2),
        [first, second, watermark(7)]
    );
    assert_eq!(run(strategy, &[10, 8, 30], 0), []);
}

#[test]
fn punctuated_watermark_stands_between_its_record_and_the_next_in_a_run_too() {
    let strategy = Punctuated::new(|v: &i64, at| (v % 2 == 0).then_some(at));
    let expected = [
        Event::Record(1, 1),
        Event::Record(4, 4),
        watermark(4),
        Event::Record(5, 5),
    ];
    assert_eq!(run(strategy, &[1, 4, 5], usize::MAX), expected);
}

#[test]
fn slowest_split_holds_the_watermark_back_until_it_ends() {
    let mut at = assign(Monotonous);
    at.0.signal(Signal::Split(1));
    assert_eq!(batch(&mut at, 0, &[100]), [watermark(99)]);
    at.0.signal(Signal::Split(2));
    assert_eq!(batch(&mut at, 1, &[50]), [], "it never falls");
    at.0.signal(Signal::Split(1));
    assert_eq!(batch(&mut at, 2, &[200]), [], "split 2 holds it back");
    at.0.signal(Signal::Split(2));
    assert_eq!(batch(&mut at, 3, &[151]), [watermark(150)]);
    at.0.signal(Signal::SplitEnd(2));
    assert_eq!(batch(&mut at, 4, &[]), [watermark(199)]);
    at.0.signal(Signal::SplitEnd(1));
    assert_eq!(batch(&mut at, 5, &[]), [], "no split, no watermark");
    at.0.signal(Signal::Split(3));
    assert_eq!(batch(&mut at, 6, &[300]), [watermark(299)]);
}

#[test]
fn records_before_the_first_split_hold_nothing_back() {
    let mut at = assign(Monotonous);
    assert_eq!(batch(&mut at, 0, &[10]), [watermark(9)]);
    at.0.signal(Signal::Split(7));
    assert_eq!(batch(&mut at, 1, &[30]), [watermark(29)]);
}

#[test]
fn idle_split_holds_nothing_back_and_all_idle_is_sent_once() {
    let mut at = assign(Monotonous.with_idleness(nanoseconds(10)));
    at.0.signal(Signal::Split(1));
    assert_eq!(batch(&mut at, 0, &[5]), [watermark(4)]);
    at.0.signal(Signal::Split(2));
    assert_eq!(batch(&mut at, 1, &[50]), []);
    assert_eq!(batch(&mut at, 2, &[60]), []);
    assert_eq!(
        batch(&mut at, 12, &[70]),
        [watermark(69)],
        "split 1 is idle"
    );
    assert_eq!(batch(&mut at, 13, &[]), []);
    assert_eq!(batch(&mut at, 24, &[]), [IDLE]);
    assert_eq!(batch(&mut at, 25, &[]), []);
    assert_eq!(batch(&mut at, 26, &[90]), [ACTIVE, watermark(89)]);
}

#[test]
fn reader_whose_splits_have_ended_is_idle_after_the_timeout() {
    let mut at = assign(Monotonous.with_idleness(nanoseconds(10)));
    at.0.signal(Signal::Split(1));
    assert_eq!(batch(&mut at, 0, &[5]), [watermark(4)]);
    at.0.signal(Signal::SplitEnd(1));
    assert_eq!(batch(&mut at, 1, &[]), []);
    assert_eq!(at.0.deadline(), Some(Timestamp(12)));
    assert_eq!(batch(&mut at, 12, &[]), [IDLE]);
    at.0.signal(Signal::Split(2));
    assert_eq!(batch(&mut at, 13, &[50]), [ACTIVE, watermark(49)]);
    assert_eq!(batch(&mut at, 24, &[]), []);
    assert_eq!(batch(&mut at, 35, &[]), [IDLE], "split 2 is");
    at.0.signal(Signal::SplitEnd(2));
    assert_eq!(batch(&mut at, 36, &[]), [], "it stays idle");
}

#[test]
fn splits_that_become_idle_together_are_looked_at_once() {
    let mut at = assign(Monotonous.with_idleness(nanoseconds(10)));
    at.0.signal(Signal::Split(1));
    assert_eq!(batch(&mut at, 0, &[100]), [watermark(99)]);
    at.0.signal(Signal::Split(2));
    assert_eq!(batch(&mut at, 1, &[500]), [], "it stands at the first");
    assert_eq!(batch(&mut at, 2, &[]), []);
    assert_eq!(batch(&mut at, 13, &[]), [IDLE], "and no watermark before");
    at.0.signal(Signal::Split(3));
    assert_eq!(batch(&mut at, 14, &[600]), [ACTIVE, watermark(599)]);
}

#[test]
fn splits_that_leave_one_after_the_other_behind_make_one_watermark() {
    let mut at = assign(Monotonous.with_idleness(nanoseconds(10)));
    for (split, record) in [(1, 5), (2, 50)] {
        at.0.signal(Signal::Split(split));
        batch(&mut at, 0, &[record]);
    }
    at.0.signal(Signal::Split(3));
    assert_eq!(batch(&mut at, 1, &[100]), []);
    assert_eq!(batch(&mut at, 2, &[101]), []);
    let all_but_the_last_idle = batch(&mut at, 13, &[102]);
    assert_eq!(all_but_the_last_idle, [watermark(101)]);
}

#[test]
fn deadline_brings_idleness_without_input() {
    let mut at = assign(Monotonous.with_idleness(nanoseconds(10)));
    assert_eq!(batch(&mut at, 100, &[5]), [watermark(4)]);
    assert_eq!(at.0.deadline(), Some(Timestamp(100)), "the span must start");
    assert_eq!(batch(&mut at, 101, &[]), []);
    assert_eq!(at.0.deadline(), Some(Timestamp(112)));
    assert_eq!(batch(&mut at, 112, &[]), [IDLE]);
    assert_eq!(at.0.deadline(), None);
}

#[test]
fn time_without_room_downstream_is_not_idleness() {
    let mut at = assign(Monotonous.with_idleness(nanoseconds(10)));
    assert_eq!(batch(&mut at, 0, &[]), []);
    at.1.set_room(0);
    assert_eq!(batch(&mut at, 1, &[]), []);
    assert_eq!(at.0.deadline(), None, "it is resumed until it has room");
    assert_eq!(batch(&mut at, 95, &[]), []);
    at.1.set_room(usize::MAX);
    assert_eq!(batch(&mut at, 100, &[]), [], "99 of 100 were blocked");
    assert_eq!(batch(&mut at, 110, &[]), [IDLE]);
}

#[test]
fn watermark_waits_for_room_downstream() {
    let mut at = assign(Monotonous);
    at.1.set_room(1);
    assert_eq!(batch(&mut at, 0, &[5]), []);
    at.1.set_room(1);
    assert_eq!(batch(&mut at, 1, &[]), [watermark(4)]);
}

#[test]
fn no_watermark_follows_the_barrier_with_which_the_job_stops_unless_that_is_aborted() {
    let mut at = assign(BoundedOutOfOrderness::of(nanoseconds(2)));
    at.1.set_room(1);
    assert_eq!(batch(&mut at, 0, &[10]), [], "there is no room for it");
    at.1.set_room(usize::MAX);
    let stop = Signal::Barrier(Barrier {
        checkpoint: 3,
        options: Barrier::SUSPEND,
    });
    at.0.signal(stop);
    assert_eq!(batch(&mut at, 1, &[]), [Event::Signal(stop)]);
    assert_eq!(batch(&mut at, 2, &[]), []);
    let aborted = Signal::CheckpointAborted(3);
    at.0.signal(aborted);
    assert_eq!(
        batch(&mut at, 3, &[]),
        [Event::Signal(aborted), watermark(7)]
    );
}

#[test]
fn watermark_that_follows_the_clock_has_a_deadline() {
    let mut at = assign(ProcessingTimeLag::of(nanoseconds(3)));
    assert_eq!(batch(&mut at, 10, &[]), [watermark(7)]);
    assert_eq!(at.0.deadline(), Some(Timestamp(200_000_010)));
    assert_eq!(assign(Monotonous).0.deadline(), None);
}

#[test]
fn upstream_time_is_swallowed_but_for_the_end() {
    let mut at = assign(Monotonous.with_idleness(nanoseconds(10)));
    let upstream = [
        Signal::Watermark(Timestamp(9)),
        Signal::Idle,
        Signal::Active,
    ];
    upstream.into_iter().for_each(|signal| at.0.signal(signal));
    assert_eq!(batch(&mut at, 0, &[]), []);
    assert_eq!(batch(&mut at, 11, &[]), [IDLE]);
    at.0.push(&50, Timestamp::MIN);
    at.0.signal(Signal::Watermark(Timestamp::MAX));
    at.0.signal(Signal::End);
    let rest = batch(&mut at, 12, &[]);
    assert_eq!(
        rest,
        [ACTIVE, watermark(i64::MAX), Event::Signal(Signal::End)]
    );
    assert_eq!(at.0.deadline(), None);
}

#[test]
fn a_reader_that_is_ahead_of_its_group_waits_for_the_slowest_one() {
    let group = AlignmentGroup::within(nanoseconds(10));
    let mut fast = assign(Monotonous.with_alignment(&group));
    let mut slow = assign(Monotonous.with_alignment(&group));
    batch(&mut fast, 0, &[100]);
    assert!(
        fast.0.source_pace() != SourcePace::Held,
        "nobody else has reported"
    );
    batch(&mut slow, 0, &[50]);
    fast.0.begin(Timestamp(1));
    fast.0.flush();
    assert!(fast.0.source_pace() == SourcePace::Held && slow.0.source_pace() != SourcePace::Held);
    assert!(fast.0.ready(), "signals go on");
    assert!(fast.0.deadline().is_some(), "it looks again by itself");
    batch(&mut slow, 1, &[90]);
    fast.0.begin(Timestamp(2));
    assert!(
        fast.0.source_pace() != SourcePace::Held,
        "the drift is allowed"
    );
    batch(&mut fast, 2, &[200]);
    assert!(fast.0.source_pace() == SourcePace::Held);
    slow.0.signal(Signal::Watermark(Timestamp::MAX));
    fast.0.begin(Timestamp(3));
    assert!(
        fast.0.source_pace() != SourcePace::Held,
        "the end of the slowest holds nobody back"
    );
}

#[test]
fn a_reader_that_waits_for_a_split_holds_nobody_of_its_group_back() {
    let group = AlignmentGroup::within(nanoseconds(10));
    let mut waiting = assign(Monotonous.with_alignment(&group));
    let mut other = assign(Monotonous.with_alignment(&group));
    waiting.0.signal(Signal::Split(1));
    assert_eq!(batch(&mut waiting, 0, &[101]), [watermark(100)]);
    batch(&mut other, 0, &[112]);
    assert!(other.0.source_pace() == SourcePace::Held);
    waiting.0.signal(Signal::SplitEnd(1));
    assert_eq!(batch(&mut waiting, 1, &[]), [], "downstream it counts");
    other.0.begin(Timestamp(1));
    assert!(other.0.source_pace() != SourcePace::Held);
    waiting.0.signal(Signal::Split(2));
    assert_eq!(batch(&mut waiting, 2, &[105]), [watermark(104)]);
    batch(&mut other, 2, &[120]);
    assert!(
        other.0.source_pace() == SourcePace::Held,
        "it counts again with the next"
    );
}

#[test]
fn time_that_a_reader_waits_for_others_does_not_make_it_idle() {
    let group = AlignmentGroup::within(nanoseconds(10));
    let strategy = Monotonous.with_idleness(nanoseconds(100));
    let mut fast = assign(strategy.with_alignment(&group));
    let mut slow = assign(Monotonous.with_alignment(&group));
    batch(&mut slow, 0, &[0]);
    batch(&mut fast, 0, &[100]);
    assert!(fast.0.source_pace() == SourcePace::Held);
    for now in [50, 150, 250, 350] {
        assert_eq!(batch(&mut fast, now, &[]), []);
    }
    batch(&mut slow, 1, &[100]);
    batch(&mut fast, 400, &[]);
    assert!(fast.0.source_pace() != SourcePace::Held);
    assert_eq!(batch(&mut fast, 450, &[]), []);
    assert_eq!(batch(&mut fast, 550, &[]), [IDLE]);
}

#[test]
fn run_of_records_gives_what_they_give_one_by_one() {
    let strategy = || Punctuated::new(|v: &i64, at| (v % 3 == 0).then_some(at));
    let records = [1, 3, 2, 6, 7, 9];
    let (mut chain, log) = assign(strategy());
    chain.begin(Timestamp(0));
    push_each(&mut chain, &records);
    chain.resume(&mut Budget::new(1));
    let one_by_one = log.take();
    let (mut chain, log) = assign(strategy());
    chain.begin(Timestamp(0));
    let records = untimed(&records);
    log.set_room(4);
    let taken = chain.push_run(&Records(&records), records.len());
    // A watermark is among the four events.
    assert_eq!(log.take_records().len(), 3);
    assert_eq!(taken, 3, "no record is taken for which there is no room");
    let (mut chain, log) = assign(strategy());
    chain.begin(Timestamp(0));
    chain.push_run(&Records(&records), records.len());
    assert_eq!(log.take(), one_by_one);
}
