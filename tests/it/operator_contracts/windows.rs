//! Contracts of windows of event time.

use thalweg::operator::{
    AggregateWindow, Lateness, OutputTag, Outputs, PartialAggregate, Push, Sliding, TimeWindow,
    Tumbling, WindowOperator,
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

fn counts(
    assigner: impl thalweg::operator::SlicedAssigner,
) -> Result<Vec<Output<(u64, i64, u64)>>, Violation> {
    let late = OutputTag::<u64>::new("late");
    script().check(|tail: Tail<(u64, i64, u64)>| {
        let mut outputs = Outputs::new(tail.clone());
        let side: Box<dyn Push<u64>> = Box::new(tail.side(&late));
        outputs.sides.connect(late.name().clone(), side);
        let result = |key: &u64, window: TimeWindow, count: u64| (*key, window.start.0, count);
        WindowOperator::new(
            "windows".into(),
            &assigner,
            OwnedSelector(|n: &u64| *n),
            AggregateWindow::new(Count, result),
            outputs,
        )
        .expect("windows of a size")
        .allowed_lateness(Lateness::of(nanoseconds(20)))
        .late_to(late.clone())
    })
}

fn late(outputs: &[Output<(u64, i64, u64)>]) -> usize {
    let side = outputs.iter().filter(|o| matches!(o, Output::Side(..)));
    side.count()
}

#[test]
fn tumbling_windows_keep_their_contract() -> Result<(), Violation> {
    let outputs = counts(Tumbling::of(nanoseconds(50)))?;
    assert_eq!(late(&outputs), 1);
    // The late record fires its window once more, with one more record in it.
    let total: u64 = records(&outputs).iter().map(|((.., n), _)| n).sum();
    assert!(total > 301, "{total}");
    Ok(())
}

#[test]
fn sliding_windows_keep_their_contract() -> Result<(), Violation> {
    let outputs = counts(Sliding::of(nanoseconds(60), nanoseconds(20)))?;
    assert_eq!(late(&outputs), 1);
    let total: u64 = records(&outputs).iter().map(|((.., n), _)| n).sum();
    assert!(total > 3 * 299, "{total}");
    Ok(())
}

#[test]
fn partial_aggregates_keep_their_contract() -> Result<(), Violation> {
    let windows = Sliding::of(nanoseconds(60), nanoseconds(20));
    let outputs = script().check(|tail: Tail<u64>| {
        PartialAggregate::new("partial".into(), &windows, Count, tail).expect("windows of a size")
    })?;
    let partials = records(&outputs);
    assert_eq!(partials.iter().map(|(count, _)| count).sum::<u64>(), 302);
    // Slices go out with their last timestamps, records that come later alone and with their own.
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
