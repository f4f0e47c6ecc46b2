//! Contracts of joins.

use thalweg::operator::{
    CoGroup, Group, JoinFunction, JoinPairs, Lateness, OutputTag, Outputs, Push, Sliding,
    TimeWindow, Tumbling, UnboundedJoin, WindowJoin,
};
use thalweg::record::OwnedSelector;
use thalweg::testing::{Output, Tail, TwoInputContract, Violation};
use thalweg::time::{Timestamp, nanoseconds};

use super::records;

/// Numbers on both inputs, out of order; some late, some too late; a hot key; idleness.
fn script() -> TwoInputContract<u64, u64> {
    script_after(0)
}

/// The script, with the late records delayed by `delay`.
fn script_after(delay: i64) -> TwoInputContract<u64, u64> {
    let mut script = TwoInputContract::new().fan_out(1);
    for n in 0..120_u64 {
        let at = Timestamp((n * 7 % 130) as i64);
        script = script.first(n, at);
        if n % 3 != 0 {
            script = script.second(1_000 + n, at);
        }
    }
    script = script
        .watermark(0, Timestamp(99))
        .signal(0, thalweg::operator::Signal::Idle)
        .watermark(1, Timestamp(89))
        .time(Timestamp(1))
        .watermark(0, Timestamp(99))
        .watermark(1, Timestamp(99));
    for n in 0..10_u64 {
        script = script
            .first(n, Timestamp(95 + delay))
            .second(n, Timestamp(10 + n as i64 + delay));
    }
    for n in 0..30_u64 {
        script = script
            .second(n, Timestamp(100 + n as i64))
            .first(60 * n, Timestamp(180));
    }
    script
        .watermark(1, Timestamp(150))
        .watermark(0, Timestamp(250))
}

type Joined = (u64, u64, i64);

fn join<F>(
    assigner: impl thalweg::operator::SlicedAssigner<Time = thalweg::operator::EventTime>,
    function: impl Fn() -> F,
) -> Result<Vec<Output<Joined>>, Violation>
where
    F: JoinFunction<u64, u64, u64, Out = Joined>,
{
    let late = OutputTag::<u64>::new("late");
    script().restores().check(|tail: Tail<Joined>| {
        let mut outputs = Outputs::new(tail.clone());
        let side: Box<dyn Push<u64>> = Box::new(tail.side(&late));
        outputs.sides.connect(late.name().clone(), side);
        // A quarter of the numbers have the key 0.
        let key = OwnedSelector(|n: &u64| if n.is_multiple_of(4) { 0 } else { n % 12 });
        WindowJoin::new(
            "join".into(),
            &assigner,
            (key.clone(), key),
            function(),
            outputs,
        )
        .expect("windows of a size")
        .allowed_lateness(Lateness::of(nanoseconds(20)))
        .late_left_to(late.clone())
        .late_right_to(late.clone())
    })
}

fn pairs() -> JoinPairs<impl FnMut(&u64, &u64, TimeWindow) -> Joined + Send + 'static> {
    JoinPairs(|left: &u64, right: &u64, window: TimeWindow| (*left, *right, window.start.0))
}

fn sides(outputs: &[Output<Joined>]) -> usize {
    outputs
        .iter()
        .filter(|o| matches!(o, Output::Side(..)))
        .count()
}

#[test]
fn joins_by_tumbling_windows_keep_their_contract() -> Result<(), Violation> {
    let outputs = join(Tumbling::of(nanoseconds(50)), pairs)?;
    assert_eq!(sides(&outputs), 10, "the right ones from 10 on");
    let found = records(&outputs);
    assert!(found.len() > 500, "{}", found.len());
    assert!(found.iter().all(|((.., start), at)| start + 49 == *at));
    Ok(())
}

#[test]
fn joins_by_sliding_windows_keep_their_contract() -> Result<(), Violation> {
    let outputs = join(Sliding::of(nanoseconds(60), nanoseconds(25)), pairs)?;
    assert!(records(&outputs).len() > 1_000);
    Ok(())
}

#[test]
fn co_groups_keep_their_contract() -> Result<(), Violation> {
    let count = |key: &u64,
                 window: TimeWindow,
                 lefts: Group<'_, u64>,
                 rights: Group<'_, u64>,
                 emit: &mut dyn FnMut(&Joined)| {
        assert!(lefts.len() + rights.len() > 0);
        emit(&(
            *key,
            (1_000 * lefts.len() + rights.len()) as u64,
            window.start.0,
        ));
    };
    let outputs = join(Tumbling::of(nanoseconds(50)), || CoGroup::new(count))?;
    assert_eq!(sides(&outputs), 10);
    let found = records(&outputs);
    let one_sided = |(_, count, _): &Joined| count / 1_000 == 0 || count % 1_000 == 0;
    assert!(found.iter().any(|(group, _)| one_sided(group)));
    assert!(found.iter().any(|(group, _)| !one_sided(group)));
    Ok(())
}

#[test]
fn joins_without_windows_keep_their_contract() -> Result<(), Violation> {
    // None is late: their pairs are behind the watermark, and a signal may be what makes the join emit them.
    let outputs = script_after(100)
        .restores()
        .check(|tail: Tail<(u64, u64)>| {
            let key = OwnedSelector(|n: &u64| if n.is_multiple_of(4) { 0 } else { n % 12 });
            let pair = |left: &u64, right: &u64| (*left, *right);
            UnboundedJoin::new("join".into(), (key.clone(), key), pair, Outputs::new(tail))
        })?;
    let key = |n: u64| if n.is_multiple_of(4) { 0 } else { n % 12 };
    let found = records(&outputs);
    assert!(
        found
            .iter()
            .all(|((left, right), _)| key(*left) == key(*right))
    );
    assert!(found.len() > 2_500, "{}", found.len());
    Ok(())
}
