//! Contracts of windows, of sessions, and of windows of processing time.

use thalweg::operator::{
    AggregateWindow, KeyedPartials, Lateness, OutputTag, Outputs, PartialAggregate, Push, Session,
    SessionOperator, Sliding, TimeWindow, Tumbling, WindowAssigner, WindowOperator, WindowParts,
};
use thalweg::record::OwnedSelector;
use thalweg::state::Count;
use thalweg::testing::{Contract, Output, Tail, Violation};
use thalweg::time::{Timestamp, nanoseconds};

use super::records;

/// Numbers out of order, one of them late, one of them too late.
fn script() -> Contract<u64> {
    let record = |n: u64| (n % 30, Timestamp((n * 7 % 200) as i64));
    Contract::new()
        .records((0..200).map(record))
        .watermark(Timestamp(99))
        .record(3_u64, Timestamp(95))
        .record(4_u64, Timestamp(10))
        .time(Timestamp(1))
        .records((0..100).map(|n| (n % 30, Timestamp(200 + n as i64))))
        .watermark(Timestamp(150))
        .idle()
        .active()
        .watermark(Timestamp(250))
}

/// A script with a restore at every point. Keys fire in no particular order.
fn restoring(script: Contract<u64>) -> Contract<u64> {
    script.restores().ties_in_any_order()
}

/// Builds the operator from the window description: a `WindowOperator` or a `SessionOperator`.
fn counts_of(
    script: Contract<u64>,
    assigner: impl WindowAssigner<u64>,
) -> Result<Vec<Output<(u64, i64, u64)>>, Violation> {
    let late = OutputTag::<u64>::new("late");
    script.check(|tail: Tail<(u64, i64, u64)>| {
        let mut outputs = Outputs::new(tail.clone());
        let side: Box<dyn Push<u64>> = Box::new(tail.side(&late));
        outputs.sides.connect(late.name().clone(), side);
        let result = |key: &u64, window: TimeWindow, count: u64| (*key, window.start.0, count);
        let parts = WindowParts {
            name: "windows".into(),
            uid: "windows".into(),
            selector: OwnedSelector(|n: &u64| *n),
            function: AggregateWindow::new(Count, result),
            lateness: Lateness::of(nanoseconds(20)),
            late: Some(late.clone()),
            expected_keys: 0,
        };
        assigner
            .operator(parts, outputs)
            .expect("there are such windows")
    })
}

fn late(outputs: &[Output<(u64, i64, u64)>]) -> usize {
    let side = outputs.iter().filter(|o| matches!(o, Output::Side(..)));
    side.count()
}

#[test]
fn tumbling_windows_keep_their_contract() -> Result<(), Violation> {
    let outputs = counts_of(restoring(script()), Tumbling::of(nanoseconds(50)))?;
    assert_eq!(late(&outputs), 1);
    // The late record fires its window again, with one more record in it.
    let total: u64 = records(&outputs).iter().map(|((.., n), _)| n).sum();
    assert!(total > 301, "{total}");
    Ok(())
}

#[test]
fn sliding_windows_keep_their_contract() -> Result<(), Violation> {
    let windows = Sliding::of(nanoseconds(60), nanoseconds(20));
    let outputs = counts_of(restoring(script()), windows)?;
    assert_eq!(late(&outputs), 1);
    let total: u64 = records(&outputs).iter().map(|((.., n), _)| n).sum();
    assert!(total > 3 * 299, "{total}");
    Ok(())
}

#[test]
fn sessions_keep_their_contract() -> Result<(), Violation> {
    // Each record is its own session, including the late one.
    let restored = || script().restores();
    let outputs = counts_of(restored(), Session::with_gap(nanoseconds(3)))?;
    assert_eq!(late(&outputs), 1);
    let total: u64 = records(&outputs).iter().map(|((.., n), _)| n).sum();
    assert_eq!(total, 301);
    let outputs = counts_of(restored(), Session::with_gap(nanoseconds(100)))?;
    assert_eq!(late(&outputs), 0, "sessions save it");
    assert!(records(&outputs).iter().any(|((.., n), _)| *n > 6));
    Ok(())
}

#[test]
fn windows_without_a_side_output_keep_their_contract() -> Result<(), Violation> {
    let key = || OwnedSelector(|n: &u64| *n);
    let count = || AggregateWindow::new(Count, |key: &u64, _: TimeWindow, n: u64| (*key, n));
    let total = |outputs: &[Output<(u64, u64)>]| -> u64 {
        assert!(!outputs.iter().any(|o| matches!(o, Output::Side(..))));
        records(outputs).iter().map(|((_, n), _)| n).sum()
    };
    let windows = restoring(script()).check(|tail: Tail<(u64, u64)>| {
        let (windows, next) = (Tumbling::of(nanoseconds(50)), Outputs::new(tail));
        WindowOperator::new("windows".into(), &windows, key(), count(), next).expect("a size")
    })?;
    assert_eq!(total(&windows), 300, "two are late");
    let sessions = script().restores().check(|tail: Tail<(u64, u64)>| {
        let (session, next) = (Session::with_gap(nanoseconds(3)), Outputs::new(tail));
        SessionOperator::new("sessions".into(), session, key(), count(), next).expect("a gap")
    })?;
    assert_eq!(total(&sessions), 300);
    Ok(())
}

/// Batches of several records at several times.
fn clock() -> Contract<u64> {
    let batches = (1..40).map(|batch| Timestamp(batch * 7 + batch % 3));
    let script = batches.fold(Contract::new(), |script, now| {
        let records = (0..9).map(|n| (n * now.0 as u64 % 8, Timestamp::MIN));
        script.time(now).records(records)
    });
    script.time(Timestamp(1_000))
}

#[test]
fn windows_of_processing_time_keep_their_contract() -> Result<(), Violation> {
    let windows = Tumbling::of(nanoseconds(50)).processing_time();
    let total = |outputs: &[Output<_>]| -> u64 {
        let counts = records(outputs);
        counts
            .iter()
            .map(|((.., n), _): &((u64, i64, u64), i64)| n)
            .sum()
    };
    assert_eq!(total(&counts_of(restoring(clock()), windows)?), 39 * 9);
    let windows = Sliding::of(nanoseconds(60), nanoseconds(20)).processing_time();
    assert_eq!(total(&counts_of(restoring(clock()), windows)?), 3 * 39 * 9);
    let sessions = Session::with_gap(nanoseconds(9)).processing_time();
    assert_eq!(total(&counts_of(clock().restores(), sessions)?), 39 * 9);
    Ok(())
}

#[test]
fn partial_aggregates_keep_their_contract() -> Result<(), Violation> {
    let windows = Sliding::of(nanoseconds(60), nanoseconds(20));
    let outputs = restoring(script()).check(|tail: Tail<u64>| {
        PartialAggregate::new("partial".into(), &windows, Count, tail).expect("windows of a size")
    })?;
    let partials = records(&outputs);
    assert_eq!(partials.iter().map(|(count, _)| count).sum::<u64>(), 302);
    // Slices are emitted with their last timestamps, late records individually and with their own.
    let alone = |at: i64| {
        partials
            .iter()
            .filter(|(_, time)| *time == at)
            .collect::<Vec<_>>()
    };
    assert_eq!((alone(95), alone(10)), (vec![&(1, 95)], vec![&(1, 10)]));
    assert!(
        partials
            .iter()
            .all(|(_, at)| at % 20 == 19 || *at == 95 || *at == 10)
    );
    Ok(())
}

#[test]
fn keyed_partial_aggregates_keep_their_contract() -> Result<(), Violation> {
    let windows = Sliding::of(nanoseconds(60), nanoseconds(20));
    let outputs = restoring(script()).check(|tail: Tail<(u64, u64)>| {
        let key = OwnedSelector(|n: &u64| *n);
        KeyedPartials::new("partial".into(), &windows, key, Count, tail).expect("windows of a size")
    })?;
    let partials = records(&outputs);
    assert_eq!(partials.iter().map(|((_, n), _)| n).sum::<u64>(), 302);
    // Slices are emitted with their last timestamps, late records individually and with their own.
    let alone = |key: u64, at: i64| partials.contains(&((key, 1), at));
    assert!(alone(3, 95) && alone(4, 10));
    let of_slices = partials.iter().filter(|(_, at)| at % 20 == 19);
    assert_eq!(of_slices.count(), partials.len() - 2);
    Ok(())
}
