//! Punctuated watermarks behind an operator that takes runs of records.

use super::*;
use crate::operator::recorder::{Event, Recorder, Records, open_context, watermark};
use crate::operator::{
    BoxedChain, FanOut, FarForm, Filter, KeyedAggregate, KeyedProcess, KeyedProcessContext,
    KeyedProcessFunction, Map, Max, Outcome, Outputs, TimeDomain, Union,
};
use crate::record::OwnedSelector;
use crate::time::Punctuated;

/// A key and a number, which is also its timestamp.
type Pair = [u64; 2];

/// The greatest number of each key so far.
fn greatest(next: impl Push<Pair>) -> impl Push<Pair> {
    let key = OwnedSelector(|pair: &Pair| pair[0]);
    let emit = |key: &u64, greatest: Option<u64>| [*key, greatest.expect("a record")];
    let max = Max::of(|pair: &Pair| pair[1]);
    KeyedAggregate::new("greatest".into(), key, max, emit, next)
}

/// Assigns timestamps, and sends a watermark behind each record that `ends` time.
fn assigner<D: Push<Pair>>(ends: fn(&Pair) -> bool, next: D) -> impl Push<Pair> + use<D> {
    let by_number = |pair: &Pair| Timestamp(pair[1] as i64);
    let punctuation = move |pair: &Pair, at| ends(pair).then_some(at);
    TimestampsAndWatermarks::new(by_number, Punctuated::new(punctuation), next)
}

/// Runs a chain over records, as a head does: it pushes runs and resumes the chain in between.
fn run(mut chain: impl Push<Pair>, records: &[Pair]) {
    chain.open(&open_context()).expect("nothing is restored");
    chain.begin(Timestamp(0));
    let records: Vec<(Pair, i64)> = records.iter().map(|pair| (*pair, i64::MIN)).collect();
    let mut left = &records[..];
    while !left.is_empty() {
        let taken = chain.push_run(&Records(left), left.len());
        left = &left[taken..];
        while !chain.ready() {
            chain.resume(&mut Budget::new(64));
        }
    }
    chain.flush();
}

/// What arrives downstream of an assigner that has other operators between itself and the aggregation.
fn behind<D: Push<Pair>>(between: impl FnOnce(BoxedChain<Pair>) -> D) -> Vec<Event<Pair>> {
    let log = Recorder::<Pair>::new();
    let assigner = assigner(|_| true, log.clone());
    run(
        greatest(between(BoxedChain::new(assigner))),
        &[[1, 20], [2, 5], [3, 30]],
    );
    log.take()
}

#[test]
fn results_of_later_records_do_not_overtake_a_watermark() {
    let expected = [
        Event::Record([1, 20], 20),
        watermark(20),
        Event::Record([2, 5], 5),
        Event::Record([3, 30], 30),
        watermark(30),
    ];
    assert_eq!(behind(|assigner| assigner), expected);
    assert_eq!(behind(|at| Map::new(|pair: &Pair| *pair, at)), expected);
    assert_eq!(behind(|at| Filter::new(|_: &Pair| true, at)), expected);
    assert_eq!(behind(|at| FanOut::new(vec![Box::new(at)])), expected);
    assert_eq!(behind(FarForm::<Pair, _>::new), expected);
    assert_eq!(behind(|at| Union::new(1, at)), expected);
    assert_eq!(behind(greatest), expected);
}

#[test]
fn results_of_mapped_records_do_not_overtake_a_watermark() {
    let log = Recorder::<Pair>::new();
    let aggregated = FarForm::<Pair, _>::new(greatest(assigner(|_| true, log.clone())));
    let numbers = 1..=200u64;
    let records: Vec<Pair> = numbers.clone().map(|n| [n, n]).collect();
    run(Map::new(|pair: &Pair| *pair, aggregated), &records);
    let each = |n| [Event::Record([n, n], n as i64), watermark(n as i64)];
    assert_eq!(log.take(), numbers.flat_map(each).collect::<Vec<_>>());
}

/// Sets a timer to 5 for each key's record at 0; emits that the timer fired, and the records at 11.
struct Alarms;

impl KeyedProcessFunction<u64, Pair> for Alarms {
    type Out = Pair;

    fn process(&mut self, pair: &Pair, cx: &mut impl KeyedProcessContext<u64, Pair>) -> Outcome {
        match pair[1] {
            0 => cx.register_event_timer(Timestamp(5)),
            11 => cx.emit(pair),
            _ => {}
        }
        Ok(())
    }

    fn on_timer(
        &mut self,
        at: Timestamp,
        _domain: TimeDomain,
        cx: &mut impl KeyedProcessContext<u64, Pair>,
    ) -> Outcome {
        let fired = [*cx.key(), at.0 as u64];
        cx.emit(&fired);
        Ok(())
    }
}

#[test]
fn no_result_is_pushed_before_all_timers_that_a_watermark_ends_have_fired() {
    const KEYS: u64 = 640;
    const MARKER: u64 = KEYS;
    let log = Recorder::<Pair>::new();
    let outputs = Outputs::new(log.clone());
    let key = OwnedSelector(|pair: &Pair| pair[0]);
    let alarms = KeyedProcess::new("alarms".into(), key, Alarms, outputs);
    let assigner = assigner(|pair| pair[0] == MARKER, alarms);
    let first = (0..KEYS).map(|key| [key, 0]);
    let second = (0..63).map(|key| [key, 11]);
    let records: Vec<Pair> = first.chain([[MARKER, 10]]).chain(second).collect();
    run(greatest(assigner), &records);
    let times: Vec<u64> = log.take_records().iter().map(|(pair, _)| pair[1]).collect();
    let expected = [vec![5; KEYS as usize], vec![11; 63]].concat();
    assert_eq!(times, expected);
}
