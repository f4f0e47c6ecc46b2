//! The rules of timers and of keyed functions, one test each.

use std::collections::{BTreeSet, HashMap};

use proptest::prelude::*;

use super::*;
use crate::operator::OutputTag;
use crate::operator::keyed_services::FIRINGS_MAX;
use crate::operator::recorder::{Event, Recorder, open_context, watermark};
use crate::record::OwnedSelector;
use crate::state::{ListState, ValueState};

/// What a record asks the function to do for its key.
#[derive(Clone, Copy, Debug)]
enum Ask {
    Event(i64),
    Processing(i64),
    DeleteEvent(i64),
    DeleteProcessing(i64),
    Fail,
    Side,
}

/// Does what records ask for and emits what fired; `chained` timers are registered in callbacks.
#[derive(Default)]
struct Scripted {
    chained: HashMap<i64, Vec<i64>>,
    fired: ValueState<u64>,
    closed: bool,
}

fn side() -> OutputTag<str> {
    OutputTag::new("side")
}

type Keyed = (u64, Ask);

impl KeyedProcessFunction<u64, Keyed> for Scripted {
    type Out = str;

    fn open(&mut self, cx: &mut KeyedOpenContext<'_, u64>) -> Outcome {
        self.fired = cx.state().value_state("fired")?;
        Ok(())
    }

    fn process(
        &mut self,
        &(key, ask): &Keyed,
        cx: &mut impl KeyedProcessContext<u64, str>,
    ) -> Outcome {
        assert_eq!(*cx.key(), key);
        match ask {
            Ask::Event(at) => cx.register_event_timer(Timestamp(at)),
            Ask::Processing(at) => cx.register_processing_timer(Timestamp(at)),
            Ask::DeleteEvent(at) => cx.delete_event_timer(Timestamp(at)),
            Ask::DeleteProcessing(at) => cx.delete_processing_timer(Timestamp(at)),
            Ask::Fail => return Err(format!("no {key} please").into()),
            Ask::Side => {
                let seen = format!("{key} at {:?}", cx.timestamp().map(|at| at.0));
                cx.emit_to(&side(), seen.as_str());
            }
        }
        Ok(())
    }

    fn on_timer(
        &mut self,
        at: Timestamp,
        domain: TimeDomain,
        cx: &mut impl KeyedProcessContext<u64, str>,
    ) -> Outcome {
        assert_eq!(cx.timestamp(), Some(at));
        let count = self.fired.update(cx, |count| {
            *count += 1;
            *count
        });
        for then in self.chained.get(&at.0).into_iter().flatten() {
            cx.register_event_timer(Timestamp(*then));
        }
        let wm = cx.watermark().0;
        let line = match domain {
            TimeDomain::Event => format!("{}#{count} e{} wm{wm}", cx.key(), at.0),
            TimeDomain::Processing => format!("{}#{count} p{}", cx.key(), at.0),
        };
        cx.emit(&line);
        Ok(())
    }

    fn close(&mut self) -> Outcome {
        self.closed = true;
        Ok(())
    }
}

type ByFirst = OwnedSelector<fn(&Keyed) -> u64>;

struct Chain {
    operator: KeyedProcess<Keyed, ByFirst, Scripted, Recorder<String>>,
    log: Recorder<String>,
    side: Recorder<String>,
}

impl Chain {
    fn new(chained: &[(i64, &[i64])]) -> Self {
        let (log, side_log) = (Recorder::new(), Recorder::new());
        let mut outputs = Outputs::new(log.clone());
        (outputs.sides).connect::<str>("side".into(), Box::new(side_log.clone()));
        let function = Scripted {
            chained: chained
                .iter()
                .map(|(at, then)| (*at, then.to_vec()))
                .collect(),
            ..Scripted::default()
        };
        let selector: fn(&Keyed) -> u64 = |record| record.0;
        let selector = OwnedSelector(selector);
        let mut operator = KeyedProcess::new("timers".into(), selector, function, outputs);
        operator.open(&open_context()).unwrap();
        Chain {
            operator,
            log,
            side: side_log,
        }
    }

    fn ask(&mut self, key: u64, ask: Ask) {
        let hash = self.operator.hash_ahead(&(key, ask));
        self.operator.prefetch(hash, Lookahead::Near);
        self.operator.push_hashed(&(key, ask), Timestamp(1), hash);
    }

    fn watermark(&mut self, at: i64) -> Vec<Event<String>> {
        self.operator.signal(Signal::Watermark(Timestamp(at)));
        self.log.take()
    }

    fn begin(&mut self, now: i64) -> Vec<Event<String>> {
        self.operator.begin(Timestamp(now));
        self.operator.flush();
        self.log.take()
    }
}

fn line(text: &str, at: i64) -> Event<String> {
    Event::Record(text.to_owned(), at)
}

const END: Event<String> = Event::Signal(Signal::End);

#[test]
fn same_timer_twice_is_one_callback_and_a_deleted_one_is_none() {
    let mut chain = Chain::new(&[]);
    for ask in [
        Ask::Event(5),
        Ask::Event(5),
        Ask::Event(6),
        Ask::DeleteEvent(6),
    ] {
        chain.ask(1, ask);
    }
    chain.ask(2, Ask::DeleteEvent(5));
    assert_eq!(chain.watermark(9), [line("1#1 e5 wm9", 5), watermark(9)]);
    assert_eq!(chain.watermark(10), [watermark(10)]);
}

#[test]
fn event_timers_fire_in_order_of_time_before_the_watermark_goes_on() {
    let mut chain = Chain::new(&[]);
    for (key, at) in [(1, 7), (2, 3), (1, 10), (3, 5)] {
        chain.ask(key, Ask::Event(at));
    }
    let expected = [
        line("2#1 e3 wm9", 3),
        line("3#1 e5 wm9", 5),
        line("1#1 e7 wm9", 7),
        watermark(9),
    ];
    assert_eq!(chain.watermark(9), expected);
    assert_eq!(
        chain.watermark(10),
        [line("1#2 e10 wm10", 10), watermark(10)]
    );
}

#[test]
fn timer_registered_in_a_callback_fires_in_the_same_pass_if_due() {
    let mut chain = Chain::new(&[(5, &[6, 2, 20]), (6, &[6])]);
    chain.ask(1, Ask::Event(5));
    chain.ask(1, Ask::Event(8));
    let expected = [
        line("1#1 e5 wm9", 5),
        line("1#2 e2 wm9", 2),
        line("1#3 e6 wm9", 6),
    ];
    // The timer at 6 re-registers itself endlessly: the pass yields, and continues.
    let fired = chain.watermark(9);
    assert_eq!(fired[..3], expected);
    assert_eq!(fired.len(), FIRINGS_MAX as usize);
    assert!(!chain.operator.ready());
    chain.operator.function.function.chained.clear();
    chain.operator.resume(&mut Budget::new(100));
    let rest = chain.log.take();
    assert_eq!(
        rest.len(),
        3,
        "the last one at 6, the one at 8, the watermark"
    );
    assert_eq!(rest[2], watermark(9));
    assert_eq!(chain.watermark(20).len(), 2, "the one at 20 waited");
}

#[test]
fn timer_registered_behind_the_watermark_fires_when_it_moves_next() {
    let mut chain = Chain::new(&[]);
    assert_eq!(chain.watermark(10), [watermark(10)]);
    chain.ask(1, Ask::Event(10));
    chain.ask(1, Ask::Event(4));
    assert_eq!(chain.begin(0), []);
    assert_eq!(chain.watermark(10), [], "it has not moved");
    let expected = [
        line("1#1 e4 wm11", 4),
        line("1#2 e10 wm11", 10),
        watermark(11),
    ];
    assert_eq!(chain.watermark(11), expected);
}

#[test]
fn processing_timers_fire_when_a_batch_begins_and_emit_without_timestamp() {
    let mut chain = Chain::new(&[]);
    assert_eq!(chain.begin(100), []);
    assert_eq!(chain.operator.deadline(), None);
    chain.ask(1, Ask::Processing(120));
    assert_eq!(chain.operator.deadline(), Some(Timestamp(120)));
    chain.ask(2, Ask::Processing(110));
    assert_eq!(chain.operator.deadline(), Some(Timestamp(110)), "re-armed");
    assert_eq!(chain.begin(109), []);
    assert_eq!(chain.begin(110), [line("2#1 p110", i64::MIN)]);
    assert_eq!(chain.operator.deadline(), Some(Timestamp(120)));
    chain.ask(3, Ask::Processing(50));
    assert_eq!(chain.operator.deadline(), Some(Timestamp(50)), "at once");
    assert_eq!(chain.begin(111), [line("3#1 p50", i64::MIN)]);
    chain.ask(1, Ask::DeleteProcessing(120));
    assert_eq!(chain.begin(112), []);
    assert_eq!(chain.operator.deadline(), None);
    assert_eq!(chain.begin(200), []);
}

#[test]
fn end_of_input_fires_every_event_timer_and_drops_processing_timers() {
    let mut chain = Chain::new(&[]);
    chain.ask(1, Ask::Event(i64::MAX));
    chain.ask(1, Ask::Processing(5));
    let fired = chain.watermark(i64::MAX);
    let expected = [
        line("1#1 e9223372036854775807 wm9223372036854775807", i64::MAX),
        watermark(i64::MAX),
    ];
    assert_eq!(fired, expected);
    chain.operator.signal(Signal::End);
    assert_eq!(chain.log.take(), [END]);
    assert_eq!(chain.operator.deadline(), None);
    assert_eq!(chain.begin(1000), []);
}

#[test]
fn long_pass_yields_and_signals_behind_it_wait() {
    let mut chain = Chain::new(&[]);
    (0..600).for_each(|at| chain.ask(1, Ask::Event(at)));
    assert_eq!(chain.watermark(1000).len(), 256);
    assert!(!chain.operator.ready());
    chain.operator.signal(Signal::Idle);
    assert_eq!(
        chain.log.take().len(),
        256,
        "a signal that comes nevertheless drives it on"
    );
    chain.operator.resume(&mut Budget::new(10));
    assert_eq!(chain.log.take().len(), 10);
    chain.operator.resume(&mut Budget::new(1000));
    let rest = chain.log.take();
    assert_eq!(rest.len(), 600 - 256 - 256 - 10 + 2);
    assert_eq!(
        rest[rest.len() - 2..],
        [watermark(1000), Event::Signal(Signal::Idle)]
    );
    assert!(chain.operator.ready());
}

#[test]
fn firing_stops_while_the_outputs_are_full() {
    let mut chain = Chain::new(&[]);
    (0..5).for_each(|at| chain.ask(1, Ask::Event(at)));
    (0..3).for_each(|at| chain.ask(1, Ask::Processing(at)));
    chain.log.set_room(2);
    assert_eq!(chain.watermark(9).len(), 2);
    assert_eq!(chain.begin(50), []);
    assert!(!chain.operator.ready());
    chain.log.set_room(4);
    chain.operator.resume(&mut Budget::new(100));
    assert_eq!(
        chain.log.take().len(),
        4,
        "three of processing time, one of event time"
    );
    chain.log.set_room(usize::MAX);
    chain.operator.resume(&mut Budget::new(100));
    let rest = chain.log.take();
    assert_eq!(
        rest,
        [line("1#7 e3 wm9", 3), line("1#8 e4 wm9", 4), watermark(9)]
    );
}

#[test]
fn side_output_carries_the_records_timestamp() {
    let mut chain = Chain::new(&[]);
    chain.operator.push(&(7, Ask::Side), Timestamp(33));
    chain.operator.push(&(7, Ask::Side), Timestamp::MIN);
    assert_eq!(chain.log.take(), []);
    let expected = [line("7 at Some(33)", 33), line("7 at None", i64::MIN)];
    assert_eq!(chain.side.take(), expected);
}

#[test]
fn failing_function_fails_its_subtask_by_name_and_is_closed() {
    let mut chain = Chain::new(&[]);
    let call = std::panic::AssertUnwindSafe(|| chain.ask(13, Ask::Fail));
    let payload = std::panic::catch_unwind(call).unwrap_err();
    let error = OperatorError::from_panic(payload);
    assert_eq!(error.to_string(), "operator `timers`: no 13 please");
    chain.operator.close().unwrap();
    assert!(chain.operator.function.function.closed);
    assert_eq!(chain.log.take_calls(), ["open", "close"]);
}

/// Registers one name with two types.
struct Conflicting;

impl KeyedProcessFunction<u64, u64> for Conflicting {
    type Out = u64;

    fn open(&mut self, cx: &mut KeyedOpenContext<'_, u64>) -> Outcome {
        assert_eq!(cx.subtask.parallelism, 1);
        let _: ValueState<u64> = cx.state().value_state("seen")?;
        let _: ListState<u32> = cx.state().list_state("seen")?;
        Ok(())
    }

    fn process(&mut self, _: &u64, _: &mut impl KeyedProcessContext<u64, u64>) -> Outcome {
        Ok(())
    }
}

#[test]
fn conflicting_registration_fails_the_opening() {
    let selector = OwnedSelector(|v: &u64| *v);
    let outputs = Outputs::new(Recorder::<u64>::new());
    let mut chain = KeyedProcess::new("op".into(), selector, Conflicting, outputs);
    let error = chain.open(&open_context()).unwrap_err();
    let expected = "operator `op`: state `seen` is registered as value state of `u64` and cannot be \
                    list state of `u32` as well";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn state_and_timers_are_measured_per_state() {
    let cx = open_context();
    let mut chain = Chain::new(&[]);
    chain.operator.open(&cx).unwrap();
    (0..9).for_each(|key| chain.ask(key, Ask::Event(key as i64)));
    chain.operator.flush();
    assert_eq!(cx.metrics.total("timers"), 9);
    chain.watermark(4);
    chain.operator.flush();
    assert_eq!(cx.metrics.total("timers"), 4);
    let samples = cx.metrics.samples();
    let entries = samples.iter().find(|s| s.name == "state_entries").unwrap();
    assert_eq!((&*entries.operator, entries.value), ("timers.fired", 5));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn timers_fire_as_an_ordered_set_says(
        steps in prop::collection::vec((0u8..4, 0u64..5, 0i64..40), 0..200),
    ) {
        let mut chain = Chain::new(&[]);
        let mut oracle = BTreeSet::new();
        let mut now = i64::MIN;
        for (step, key, at) in steps {
            match step {
                0 | 1 => {
                    chain.ask(key, Ask::Event(at));
                    oracle.insert((at, key));
                }
                2 => {
                    chain.ask(key, Ask::DeleteEvent(at));
                    oracle.remove(&(at, key));
                }
                _ if at > now => {
                    now = at;
                    let later = oracle.split_off(&(at + 1, 0));
                    let due = std::mem::replace(&mut oracle, later);
                    let fired = chain.watermark(at);
                    let times = fired.iter().filter_map(|event| match event {
                        Event::Record(line, at) => {
                            let key = line.split('#').next().and_then(|k| k.parse().ok());
                            Some((*at, key.unwrap()))
                        }
                        Event::Signal(_) => None,
                    });
                    let times: Vec<(i64, u64)> = times.collect();
                    prop_assert!(times.is_sorted_by_key(|(at, _)| *at));
                    prop_assert_eq!(times.into_iter().collect::<BTreeSet<_>>(), due);
                    prop_assert_eq!(fired.last(), Some(&watermark(at)));
                }
                _ => {}
            }
        }
    }
}
