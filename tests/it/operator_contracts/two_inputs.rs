//! Contracts of the operators with two inputs.

use thalweg::operator::{
    CoProcess, CoProcessFunction, Interval, IntervalBound, IntervalJoin, KeyedCoProcess,
    KeyedCoProcessFunction, KeyedOpenContext, KeyedProcessContext, Outcome, Outputs,
    ProcessContext, Signal, TimeDomain, Union,
};
use thalweg::record::OwnedSelector;
use thalweg::state::ValueState;
use thalweg::testing::{Output, TwoInputContract, Violation};
use thalweg::time::{Timestamp, nanoseconds};

use super::records;

fn script() -> TwoInputContract<i64, i64> {
    script_with(true)
}

/// A script in which the second input is idle for a while, if `idleness` is set.
fn script_with(idleness: bool) -> TwoInputContract<i64, i64> {
    let mut script = TwoInputContract::new();
    for n in 0..20 {
        script = script.first(n, Timestamp(n)).second(100 + n, Timestamp(n));
        if n % 6 == 5 {
            script = script
                .watermark(0, Timestamp(n))
                .watermark(1, Timestamp(n - 2));
        }
        if n == 10 && idleness {
            script = script
                .signal(1, Signal::Idle)
                .time(Timestamp(1_000))
                .signal(1, Signal::Active);
        }
    }
    script
}

fn watermarks<O>(outputs: &[Output<O>]) -> Vec<i64> {
    let watermark = |output: &Output<O>| match output {
        Output::Signal(Signal::Watermark(at)) => Some(at.0),
        _ => None,
    };
    outputs.iter().filter_map(watermark).collect()
}

#[test]
fn union_keeps_its_contract() -> Result<(), Violation> {
    // A restored valve considers an input aligned even if it was idle and has not caught up.
    script_with(false)
        .restores()
        .check(|tail| Union::new(2, tail))?;
    let outputs = script().check(|tail| Union::new(2, tail))?;
    assert_eq!(records(&outputs).len(), 40);
    assert_eq!(watermarks(&outputs).last(), Some(&i64::MAX));
    assert_eq!(watermarks(&outputs)[0], 3, "the lower watermark of both");
    Ok(())
}

/// Emits its input, negated if from the second input, and a mark at the end of each.
#[derive(Clone)]
struct Sides;

impl CoProcessFunction<i64, i64> for Sides {
    type Out = i64;

    fn process_first(&mut self, n: &i64, cx: &mut impl ProcessContext<i64>) -> Outcome {
        cx.emit(n);
        Ok(())
    }

    fn process_second(&mut self, n: &i64, cx: &mut impl ProcessContext<i64>) -> Outcome {
        cx.emit(&-n);
        Ok(())
    }

    fn end_first(&mut self, cx: &mut impl ProcessContext<i64>) -> Outcome {
        cx.emit(&1_000);
        Ok(())
    }

    fn end_second(&mut self, cx: &mut impl ProcessContext<i64>) -> Outcome {
        cx.emit(&2_000);
        Ok(())
    }
}

#[test]
fn co_process_keeps_its_contract() -> Result<(), Violation> {
    let outputs = script()
        .restores()
        .check(|tail| CoProcess::new("sides".into(), Sides, Outputs::new(tail)))?;
    let found: Vec<i64> = records(&outputs).into_iter().map(|(n, _)| n).collect();
    assert_eq!(found.len(), 42);
    assert_eq!(found[40..], [1_000, 2_000]);
    assert_eq!(found[..4], [0, -100, 1, -101]);
    Ok(())
}

/// Sums both inputs by key; emits the sum in a timer at the next multiple of ten.
#[derive(Clone, Default)]
struct Sums(ValueState<i64>);

impl Sums {
    fn add(&self, n: i64, cx: &mut impl KeyedProcessContext<u64, (u64, i64)>) -> Outcome {
        self.0.update(cx, |sum| *sum += n);
        let at = cx.timestamp().ok_or("no timestamp")?;
        cx.register_event_timer(Timestamp(at.0 / 10 * 10 + 10));
        Ok(())
    }
}

impl KeyedCoProcessFunction<u64, i64, i64> for Sums {
    type Out = (u64, i64);

    fn open(&mut self, cx: &mut KeyedOpenContext<'_, u64>) -> Outcome {
        self.0 = cx.state().value_state("sum")?;
        Ok(())
    }

    fn process_first(
        &mut self,
        n: &i64,
        cx: &mut impl KeyedProcessContext<u64, (u64, i64)>,
    ) -> Outcome {
        self.add(*n, cx)
    }

    fn process_second(
        &mut self,
        n: &i64,
        cx: &mut impl KeyedProcessContext<u64, (u64, i64)>,
    ) -> Outcome {
        self.add(*n, cx)
    }

    fn on_timer(
        &mut self,
        _: Timestamp,
        _: TimeDomain,
        cx: &mut impl KeyedProcessContext<u64, (u64, i64)>,
    ) -> Outcome {
        let told = (*cx.key(), self.0.value(cx).unwrap_or_default());
        cx.emit(&told);
        Ok(())
    }
}

#[test]
fn keyed_co_process_keeps_its_contract() -> Result<(), Violation> {
    let outputs = script().restores().ties_in_any_order().check(|tail| {
        let key = OwnedSelector(|n: &i64| *n as u64 % 3);
        KeyedCoProcess::new(
            "sums".into(),
            key.clone(),
            key,
            Sums::default(),
            Outputs::new(tail),
        )
    })?;
    let mut last = std::collections::HashMap::new();
    last.extend(records(&outputs).into_iter().map(|(sum, _)| sum));
    assert_eq!(
        last.values().sum::<i64>(),
        (0..20).map(|n| n + 100 + n).sum::<i64>()
    );
    assert_eq!(records(&outputs).len(), 6, "three keys at 10 and at 20");
    Ok(())
}

#[test]
fn interval_join_keeps_its_contract() -> Result<(), Violation> {
    let bounds = [
        IntervalBound::Before(nanoseconds(2)),
        IntervalBound::After(nanoseconds(3)),
    ];
    let outputs = script().restores().check(|tail| {
        let key = OwnedSelector(|n: &i64| (*n as u64 % 100) % 3);
        let pair = |left: &i64, right: &i64| (*left, *right);
        KeyedCoProcess::new(
            "pairs".into(),
            key.clone(),
            key,
            IntervalJoin::new(Interval::new(bounds[0], bounds[1]), pair),
            Outputs::new(tail),
        )
    })?;
    let mut found: Vec<(i64, i64)> = records(&outputs).into_iter().map(|(n, _)| n).collect();
    found.sort();
    // Of equal keys are those that are a multiple of three apart, of which 0 and 3 are in the interval.
    let apart = |n: i64| [n, n + 3].map(|right| (n, 100 + right));
    let expected = (0..20).flat_map(apart).filter(|(_, right)| *right < 120);
    assert!(found.into_iter().eq(expected));
    Ok(())
}
