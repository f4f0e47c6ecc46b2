//! Contracts of the operators without keys.

use thalweg::checkpoint::{OperatorState, RestoredState};
use thalweg::operator::{
    FanOut, Filter, FlatMap, FlatMapFunction, IterFunction, Map, Outcome, OutputTag, Outputs,
    Process, ProcessContext, ProcessFunction, Push, TimestampsAndWatermarks,
};
use thalweg::testing::{Contract, Output, Violation};
use thalweg::time::{
    BoundedOutOfOrderness, Punctuated, Timestamp, WatermarkStrategy, nanoseconds, secs,
};

use super::{numbers, records};

fn script() -> Contract<i64> {
    Contract::new()
        .records(numbers(7))
        .watermark(Timestamp(40))
        .idle()
        .active()
        .time(Timestamp(1_000))
        .records(numbers(12))
        .watermark(Timestamp(200))
}

#[test]
fn map_keeps_its_contract() -> Result<(), Violation> {
    let outputs = script()
        .restores()
        .check(|tail| Map::new(|n: &i64| n * 2, tail))?;
    let expected: Vec<i64> = numbers(7).chain(numbers(12)).map(|(n, _)| n * 2).collect();
    let found: Vec<i64> = records(&outputs).into_iter().map(|(n, _)| n).collect();
    assert_eq!(found, expected);
    Ok(())
}

#[test]
fn filter_keeps_its_contract() -> Result<(), Violation> {
    let outputs = script()
        .restores()
        .check(|tail| Filter::new(|n: &i64| n % 2 == 0, tail))?;
    assert!(records(&outputs).iter().all(|(n, _)| n % 2 == 0));
    assert!(!records(&outputs).is_empty());
    Ok(())
}

#[test]
fn flat_map_keeps_its_contract() -> Result<(), Violation> {
    let outputs = script()
        .restores()
        .check(|tail| FlatMap::new(IterFunction(|n: &i64| 0..*n), tail))?;
    let expected: i64 = numbers(7).chain(numbers(12)).map(|(n, _)| n).sum();
    assert_eq!(records(&outputs).len() as i64, expected);
    Ok(())
}

#[derive(Clone)]
struct Words;

impl FlatMapFunction<str> for Words {
    type Out = str;

    fn flat_map(&mut self, line: &str, emit: impl FnMut(&str)) {
        line.split(' ').for_each(emit);
    }
}

#[test]
fn flat_map_of_borrowed_words_keeps_its_contract() -> Result<(), Violation> {
    let outputs = Contract::<str>::new()
        .record("to be or", Timestamp(1))
        .watermark(Timestamp(1))
        .record("not to be", Timestamp(2))
        .restores()
        .check(|tail| FlatMap::new(Words, tail))?;
    let words: Vec<String> = records(&outputs)
        .into_iter()
        .map(|(word, _)| word)
        .collect();
    assert_eq!(words, ["to", "be", "or", "not", "to", "be"]);
    Ok(())
}

#[test]
fn fan_out_keeps_its_contract() -> Result<(), Violation> {
    let branch = OutputTag::<i64>::new("branch");
    let outputs = script().restores().check(|tail| {
        let second: Box<dyn Push<i64>> = Box::new(tail.side(&branch));
        FanOut::new(vec![Box::new(tail), second])
    })?;
    let both = outputs.iter().filter(|o| !matches!(o, Output::Signal(_)));
    assert_eq!(both.count(), 2 * (7 + 12));
    Ok(())
}

/// Timestamps of the records themselves, with a bound of 5.
#[test]
fn bounded_watermarks_keep_their_contract() -> Result<(), Violation> {
    let outputs = script().watermarks_by_batch().check(|tail| {
        TimestampsAndWatermarks::new(
            |n: &i64| Timestamp(*n),
            BoundedOutOfOrderness::of(nanoseconds(5)),
            tail,
        )
    })?;
    assert!(records(&outputs).iter().all(|(n, at)| n == at));
    Ok(())
}

#[test]
fn punctuated_watermarks_keep_their_contract() -> Result<(), Violation> {
    let strategy = Punctuated::new(|n: &i64, at: Timestamp| (n % 3 == 0).then_some(at));
    let outputs = Contract::<i64>::new()
        .records((0..20).map(|n| (n, Timestamp::MIN)))
        .check(|tail| {
            TimestampsAndWatermarks::new(|n: &i64| Timestamp(*n), strategy.clone(), tail)
        })?;
    assert_eq!(records(&outputs).len(), 20);
    Ok(())
}

#[test]
fn watermarks_of_splits_and_idleness_keep_their_contract() -> Result<(), Violation> {
    let strategy = BoundedOutOfOrderness::of(nanoseconds(0)).with_idleness(secs(1));
    let outputs = Contract::<i64>::new()
        .split(1)
        .records((0..5).map(|n| (n, Timestamp::MIN)))
        .split(2)
        .records((100..105).map(|n| (n, Timestamp::MIN)))
        .time(Timestamp::from_secs(2))
        .time(Timestamp::from_secs(4))
        .split(1)
        .records((200..205).map(|n| (n, Timestamp::MIN)))
        .watermarks_by_batch()
        .check(|tail| TimestampsAndWatermarks::new(|n: &i64| Timestamp(*n), strategy, tail))?;
    assert_eq!(records(&outputs).len(), 15);
    Ok(())
}

/// Emits even numbers to its main output twice, odd ones to the side output, and their number at the end.
#[derive(Clone)]
struct Sorted {
    odds: OutputTag<i64>,
    seen: i64,
}

impl ProcessFunction<i64> for Sorted {
    type Out = i64;

    const STATEFUL: bool = true;

    fn process(&mut self, n: &i64, cx: &mut impl ProcessContext<i64>) -> Outcome {
        self.seen += 1;
        if n % 2 == 0 {
            cx.emit(n);
            cx.emit(n);
        } else {
            cx.emit_to(&self.odds, n);
        }
        Ok(())
    }

    fn on_end(&mut self, cx: &mut impl ProcessContext<i64>) -> Outcome {
        cx.emit(&self.seen);
        Ok(())
    }

    fn snapshot(&mut self, state: &mut OperatorState) -> Outcome {
        Ok(state.list("seen", [&self.seen])?)
    }

    fn restore(&mut self, state: &RestoredState<'_>) -> Outcome {
        self.seen = state.list::<i64>("seen")?.iter().sum();
        Ok(())
    }
}

#[test]
fn process_keeps_its_contract() -> Result<(), Violation> {
    let odds = OutputTag::new("odds");
    let outputs = script().restores().check(|tail| {
        let mut outputs = Outputs::new(tail.clone());
        let side: Box<dyn Push<i64>> = Box::new(tail.side(&odds));
        outputs.sides.connect(odds.name().clone(), side);
        let function = Sorted {
            odds: odds.clone(),
            seen: 0,
        };
        Process::new("sorted".into(), function, outputs)
    })?;
    let sides = outputs.iter().filter(|o| matches!(o, Output::Side(..)));
    let (odd, even): (Vec<_>, Vec<_>) =
        numbers(7).chain(numbers(12)).partition(|(n, _)| n % 2 == 1);
    assert_eq!(sides.count(), odd.len());
    assert_eq!(records(&outputs).len(), 2 * even.len() + 1);
    assert_eq!(records(&outputs).last(), Some(&(19, i64::MIN)));
    Ok(())
}
