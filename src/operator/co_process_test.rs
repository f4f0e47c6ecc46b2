//! Two inputs: watermarks, idleness, barriers, ends; shared state and timers; union.

use super::*;
use crate::operator::recorder::{Event, Recorder, open_context, watermark};
use crate::operator::{
    Barrier, First, KeyedCoProcess, KeyedCoProcessFunction, KeyedOpenContext, KeyedProcessContext,
    Lookahead, Process, ProcessFunction, Second, TimeDomain, Union, ports,
};
use crate::record::OwnedSelector;
use crate::state::ReducingState;

/// Emits what it sees.
struct Tell;

impl CoProcessFunction<u64, str> for Tell {
    type Out = str;

    fn process_first(&mut self, record: &u64, cx: &mut impl ProcessContext<str>) -> Outcome {
        let line = format!("{record} wm{}", cx.watermark());
        cx.emit(&line);
        Ok(())
    }

    fn process_second(&mut self, record: &str, cx: &mut impl ProcessContext<str>) -> Outcome {
        cx.emit(record);
        Ok(())
    }

    fn end_first(&mut self, cx: &mut impl ProcessContext<str>) -> Outcome {
        cx.emit("first ended");
        Ok(())
    }

    fn end_second(&mut self, cx: &mut impl ProcessContext<str>) -> Outcome {
        cx.emit("second ended");
        Ok(())
    }
}

fn tell() -> (
    CoProcess<u64, str, Tell, Recorder<String>>,
    Recorder<String>,
) {
    let log = Recorder::new();
    let mut operator = CoProcess::new("tell".into(), Tell, Outputs::new(log.clone()));
    operator.open(&open_context()).unwrap();
    (operator, log)
}

fn line(text: &str, at: i64) -> Event<String> {
    Event::Record(text.to_owned(), at)
}

fn signal<T>(signal: Signal) -> Event<T> {
    Event::Signal(signal)
}

const NONE: i64 = i64::MIN;
const MAX: Signal = Signal::Watermark(Timestamp::MAX);

fn at(time: i64) -> Signal {
    Signal::Watermark(Timestamp(time))
}

fn barrier(checkpoint: u64) -> Signal {
    Signal::Barrier(Barrier {
        checkpoint,
        options: 0,
    })
}

/// Feeds signals by input; returns what each of them caused.
fn feed<T: Clone>(
    operator: &mut impl MultiInput,
    log: &Recorder<T>,
    steps: &[(usize, Signal)],
) -> Vec<Vec<Event<T>>> {
    let step = |&(input, signal): &(usize, Signal)| {
        operator.signal_from(input, signal);
        log.take()
    };
    steps.iter().map(step).collect()
}

#[test]
fn watermark_of_two_inputs_is_the_lower_one() {
    let (mut operator, log) = tell();
    let steps = [
        (0, at(5)),
        (1, at(3)),
        (1, at(9)),
        (0, at(7)),
        (1, Signal::Split(4)),
    ];
    let caused = feed(&mut operator, &log, &steps);
    let expected = [
        vec![],
        vec![watermark(3)],
        vec![watermark(5)],
        vec![watermark(7)],
        vec![],
    ];
    assert_eq!(caused, expected);
    operator.push_first(&1, Timestamp(8));
    operator.push_second("two", Timestamp(9));
    assert_eq!(log.take(), [line("1 wm0.000000007s", 8), line("two", 9)]);
}

/// Holds the first input's records back until the watermark moves.
struct Hold(Vec<u64>);

impl CoProcessFunction<u64, str> for Hold {
    type Out = u64;

    fn process_first(&mut self, record: &u64, _cx: &mut impl ProcessContext<u64>) -> Outcome {
        self.0.push(*record);
        Ok(())
    }

    fn process_second(&mut self, _record: &str, _cx: &mut impl ProcessContext<u64>) -> Outcome {
        Ok(())
    }

    fn on_watermark(&mut self, _at: Timestamp, cx: &mut impl ProcessContext<u64>) -> Outcome {
        self.0.drain(..).for_each(|record| cx.emit(&record));
        Ok(())
    }
}

#[test]
fn records_held_back_leave_before_the_watermark_of_both_inputs() {
    let log = Recorder::new();
    let outputs = Outputs::new(log.clone());
    let mut operator = CoProcess::new("hold".into(), Hold(Vec::new()), outputs);
    operator.open(&open_context()).unwrap();
    operator.push_first(&1, Timestamp(3));
    let caused = feed(&mut operator, &log, &[(0, at(4)), (1, at(i64::MAX))]);
    assert_eq!(caused, [vec![], vec![Event::Record(1, NONE), watermark(4)]]);
}

#[test]
fn idle_input_holds_nothing_back() {
    let (mut operator, log) = tell();
    let (idle, active) = (Signal::Idle, Signal::Active);
    let steps = [
        (0, at(5)),
        (1, idle),
        (0, idle),
        (1, active),
        (1, at(8)),
        (0, at(9)),
    ];
    let caused = feed(&mut operator, &log, &steps);
    let expected = [
        vec![],
        vec![watermark(5)],
        vec![signal(idle)],
        vec![signal(active)],
        vec![watermark(8)],
        vec![],
    ];
    assert_eq!(caused, expected);
}

#[test]
fn each_input_ends_by_itself_and_the_end_goes_on_after_both() {
    let (mut operator, log) = tell();
    let end = Signal::End;
    let steps = [
        (0, at(5)),
        (1, at(3)),
        (1, MAX),
        (1, end),
        (0, at(7)),
        (0, MAX),
        (0, end),
    ];
    let caused = feed(&mut operator, &log, &steps);
    let expected = [
        vec![],
        vec![watermark(3)],
        vec![watermark(5)],
        vec![line("second ended", NONE)],
        vec![watermark(7)],
        vec![watermark(i64::MAX)],
        vec![line("first ended", NONE), signal(end)],
    ];
    assert_eq!(caused, expected);
}

#[test]
fn drained_and_idle_input_together_are_idle_and_not_the_end_of_time() {
    let (mut operator, log) = tell();
    let (idle, active) = (Signal::Idle, Signal::Active);
    let steps = [
        (0, MAX),
        (0, Signal::End),
        (1, at(4)),
        (1, idle),
        (1, active),
        (1, idle),
        (1, MAX),
    ];
    let caused = feed(&mut operator, &log, &steps);
    let expected = [
        vec![],
        vec![line("first ended", NONE)],
        vec![watermark(4)],
        vec![signal(idle)],
        vec![signal(active)],
        vec![signal(idle)],
        vec![signal(active), watermark(i64::MAX)],
    ];
    assert_eq!(caused, expected);
}

#[test]
fn barrier_goes_on_when_every_input_that_has_not_ended_has_brought_it() {
    let (mut operator, log) = tell();
    let steps = [
        (1, barrier(1)),
        (0, barrier(1)),
        (0, barrier(2)),
        (1, Signal::End),
        (0, barrier(3)),
    ];
    let caused = feed(&mut operator, &log, &steps);
    let expected = [
        vec![],
        vec![signal(barrier(1))],
        vec![],
        vec![line("second ended", NONE), signal(barrier(2))],
        vec![signal(barrier(3))],
    ];
    assert_eq!(caused, expected);
}

#[test]
fn ports_open_and_close_the_operator_once() {
    let log = Recorder::new();
    let operator = CoProcess::new("tell".into(), Tell, Outputs::new(log.clone()));
    #[expect(unsafe_code, reason = "both ports stay in this test")]
    // SAFETY: both ports are owned by this thread.
    let (mut first, mut second): (First<_, str>, Second<_, u64>) = unsafe { ports(operator) };
    first.open(&open_context()).unwrap();
    second.open(&open_context()).unwrap();
    first.push(&1, Timestamp(0));
    second.push("two", Timestamp(0));
    first.close().unwrap();
    second.close().unwrap();
    assert_eq!(log.take_calls(), ["open", "close"]);
    assert_eq!(log.take_records().len(), 2);
}

/// Sums both inputs by key; emits when a timer fires.
struct Balance {
    sum: ReducingState<i64>,
}

type Side = (u64, i64);

impl KeyedCoProcessFunction<u64, Side, Side> for Balance {
    type Out = (u64, i64);

    fn open(&mut self, cx: &mut KeyedOpenContext<'_, u64>) -> Outcome {
        let add: fn(&i64, &i64) -> i64 = |a, b| a + b;
        self.sum = cx.state().reducing_state("sum", add)?;
        Ok(())
    }

    fn process_first(
        &mut self,
        record: &Side,
        cx: &mut impl KeyedProcessContext<u64, Side>,
    ) -> Outcome {
        self.sum.add(cx, record.1);
        cx.register_event_timer(Timestamp(10));
        Ok(())
    }

    fn process_second(
        &mut self,
        record: &Side,
        cx: &mut impl KeyedProcessContext<u64, Side>,
    ) -> Outcome {
        self.sum.add(cx, -record.1);
        cx.register_event_timer(Timestamp(10));
        Ok(())
    }

    fn on_timer(
        &mut self,
        _at: Timestamp,
        _domain: TimeDomain,
        cx: &mut impl KeyedProcessContext<u64, Side>,
    ) -> Outcome {
        let balance = (*cx.key(), self.sum.get(cx).copied().unwrap_or_default());
        cx.emit(&balance);
        self.sum.clear(cx);
        Ok(())
    }
}

#[test]
fn both_inputs_share_the_state_and_the_timers_of_a_key() {
    let log = Recorder::new();
    let key: fn(&Side) -> u64 = |record| record.0;
    let selector = OwnedSelector(key);
    let add: fn(&i64, &i64) -> i64 = |a, b| a + b;
    let balance = Balance {
        sum: ReducingState::unregistered(add),
    };
    let outputs = Outputs::new(log.clone());
    let mut operator = KeyedCoProcess::new(
        "balance".into(),
        selector.clone(),
        selector,
        balance,
        outputs,
    );
    operator.open(&open_context()).unwrap();
    let hash = operator.hash_second(&(1, 30));
    operator.prefetch(hash, Lookahead::Near);
    operator.push_first(&(1, 100), Timestamp(1));
    operator.push_second(&(1, 30), Timestamp(1));
    operator.push_second(&(2, 5), Timestamp(1));
    let steps = [
        (0, at(50)),
        (1, at(10)),
        (0, MAX),
        (0, Signal::End),
        (1, MAX),
        (1, Signal::End),
    ];
    let mut caused = feed(&mut operator, &log, &steps);
    caused[1].sort_by_key(|event| match event {
        Event::Record(record, _) => record.0,
        Event::Signal(_) => u64::MAX,
    });
    let fired = vec![
        Event::Record((1, 70), 10),
        Event::Record((2, -5), 10),
        watermark(10),
    ];
    let expected = [
        vec![],
        fired,
        vec![],
        vec![],
        vec![watermark(i64::MAX)],
        vec![signal(Signal::End)],
    ];
    assert_eq!(caused, expected);
}

#[test]
fn union_passes_records_on_and_combines_watermarks_by_channel() {
    let log = Recorder::<u64>::new();
    let mut union = Union::new(3, log.clone());
    union.open(&open_context()).unwrap();
    Push::push(&mut union, &7, Timestamp(3));
    assert_eq!(log.take(), [Event::Record(7, 3)]);
    let idle = Signal::Idle;
    let steps = [
        (0, at(5)),
        (1, at(4)),
        (2, at(9)),
        (1, idle),
        (1, at(99)),
        (0, MAX),
        (2, MAX),
    ];
    let caused = feed(&mut union, &log, &steps);
    let expected = [
        vec![],
        vec![],
        vec![watermark(4)],
        vec![watermark(5)],
        vec![],
        vec![watermark(9)],
        vec![signal(idle)],
    ];
    assert_eq!(caused, expected, "an idle channel's watermark is ignored");
    let steps = [
        (1, MAX),
        (0, Signal::End),
        (1, Signal::End),
        (2, Signal::End),
    ];
    let caused = feed(&mut union, &log, &steps);
    let expected = [
        vec![signal(Signal::Active), watermark(i64::MAX)],
        vec![],
        vec![],
        vec![signal(Signal::End)],
    ];
    assert_eq!(caused, expected);
}

#[test]
fn union_keeps_signals_in_order_while_there_is_no_room() {
    let log = Recorder::<u64>::new();
    let mut union = Union::new(2, log.clone());
    feed(
        &mut union,
        &log,
        &[(0, at(5)), (1, at(5)), (1, at(8)), (0, Signal::Idle)],
    );
    log.set_room(1);
    union.signal_from(1, at(9));
    union.signal_from(1, Signal::Idle);
    assert_eq!(log.take(), [watermark(9)]);
    assert!(!union.ready());
    log.set_room(1);
    union.resume(&mut Budget::new(1));
    assert_eq!(log.take(), [signal(Signal::Idle)]);
}

/// Counts records and emits the count at the end; fails to close.
#[derive(Default)]
struct CountToEnd(u64);

impl ProcessFunction<u64> for CountToEnd {
    type Out = u64;

    fn process(&mut self, record: &u64, cx: &mut impl ProcessContext<u64>) -> Outcome {
        self.0 += 1;
        assert_eq!(cx.subtask().index, 0);
        assert_eq!(cx.processing_time(), Timestamp(77));
        if record.is_multiple_of(2) {
            cx.emit(record);
        }
        Ok(())
    }

    fn on_end(&mut self, cx: &mut impl ProcessContext<u64>) -> Outcome {
        assert_eq!(cx.timestamp(), None);
        cx.emit(&self.0);
        Ok(())
    }

    fn close(&mut self) -> Outcome {
        Err("no".into())
    }
}

#[test]
fn process_emits_at_the_end_before_it_is_forwarded_and_close_errors_are_named() {
    let log = Recorder::<u64>::new();
    let outputs = Outputs::new(log.clone());
    let mut chain = Process::new("count".into(), CountToEnd::default(), outputs);
    chain.open(&open_context()).unwrap();
    chain.begin(Timestamp(77));
    (1..=3).for_each(|v| chain.push(&v, Timestamp(v as i64)));
    chain.signal(MAX);
    chain.signal(Signal::End);
    let expected = [
        Event::Record(2, 2),
        watermark(i64::MAX),
        Event::Record(3, NONE),
        signal(Signal::End),
    ];
    assert_eq!(log.take(), expected);
    let error = chain.close().unwrap_err();
    assert_eq!(error.to_string(), "operator `count`: no");
    assert_eq!(log.take_calls(), ["open", "begin", "close"]);
}
