//! Contracts of rolling functions and running aggregates.

use thalweg::operator::{
    FarForm, KeyedAggregate, KeyedReduce, MaxBy, MaxOf, MinBy, MinOf, Reduce, RollingFunction,
    SumOf,
};
use thalweg::record::{BorrowedSelector, OwnedSelector};
use thalweg::state::{Count, Sum};
use thalweg::testing::{Contract, Violation};
use thalweg::time::Timestamp;

use super::records;

type Pair = (u64, i64);

fn pairs() -> impl Iterator<Item = (Pair, Timestamp)> {
    (0..30_i64).map(|n| ((n as u64 % 4, n * 13 % 17), Timestamp(n)))
}

fn field(pair: &mut Pair) -> &mut i64 {
    &mut pair.1
}

fn whole(word: &str) -> &str {
    word
}

/// Runs a rolling function through the contract and against an oracle that keeps a plain map.
fn roll<F>(function: F, oracle: impl Fn(Pair, Pair) -> Pair) -> Result<(), Violation>
where
    F: RollingFunction<Pair>,
{
    let outputs = Contract::<Pair>::new()
        .records(pairs())
        .watermark(Timestamp(29))
        .time(Timestamp(5))
        .records(pairs())
        .restores()
        .check(|tail| {
            let key = OwnedSelector(|pair: &Pair| pair.0);
            KeyedReduce::new("rolled".into(), key, function.clone(), tail)
        })?;
    let mut state = std::collections::HashMap::new();
    let expected: Vec<(Pair, i64)> = pairs()
        .chain(pairs())
        .map(|(pair, at)| {
            let known = state.get(&pair.0).copied();
            let rolled = known.map_or(pair, |before| oracle(before, pair));
            state.insert(pair.0, rolled);
            (rolled, at.0)
        })
        .collect();
    assert_eq!(records(&outputs), expected);
    Ok(())
}

#[test]
fn reduce_keeps_its_contract() -> Result<(), Violation> {
    roll(Reduce(|a: &Pair, b: &Pair| (a.0, a.1 * 3 + b.1)), |a, b| {
        (a.0, a.1 * 3 + b.1)
    })
}

#[test]
fn sum_keeps_its_contract() -> Result<(), Violation> {
    roll(SumOf::of(field), |a, b| (a.0, a.1 + b.1))
}

#[test]
fn min_and_max_keep_their_contract() -> Result<(), Violation> {
    roll(MinOf::of(field), |a, b| (a.0, a.1.min(b.1)))?;
    roll(MaxOf::of(field), |a, b| (a.0, a.1.max(b.1)))
}

#[test]
fn min_by_and_max_by_keep_their_contract() -> Result<(), Violation> {
    let number = |pair: &Pair| pair.1 / 2;
    roll(
        MinBy::of(number),
        |a, b| if b.1 / 2 < a.1 / 2 { b } else { a },
    )?;
    roll(
        MaxBy::of(number),
        |a, b| if b.1 / 2 > a.1 / 2 { b } else { a },
    )
}

#[test]
fn aggregate_keeps_its_contract() -> Result<(), Violation> {
    let outputs = Contract::<Pair>::new()
        .records(pairs())
        .watermark(Timestamp(7))
        .restores()
        .check(|tail| {
            KeyedAggregate::new(
                "sums".into(),
                OwnedSelector(|pair: &Pair| pair.0),
                Sum::of(|pair: &Pair| pair.1),
                |key: &u64, sum: i64| (*key, sum),
                tail,
            )
        })?;
    let total: i64 = pairs().map(|((_, n), _)| n).sum();
    let mut last = std::collections::HashMap::new();
    last.extend(records(&outputs).into_iter().map(|(pair, _)| pair));
    assert_eq!(last.values().sum::<i64>(), total);
    Ok(())
}

#[test]
fn counts_of_words_that_are_their_own_keys_keep_their_contract() -> Result<(), Violation> {
    let outputs = Contract::<str>::new()
        .record("to", Timestamp(1))
        .record("be", Timestamp(1))
        .record("to", Timestamp(2))
        .restores()
        .check(|tail| {
            KeyedAggregate::new(
                "counts".into(),
                BorrowedSelector(whole as fn(&str) -> &str),
                Count,
                |word: &str, count| format!("{word} {count}"),
                tail,
            )
        })?;
    let counts: Vec<String> = records(&outputs).into_iter().map(|(c, _)| c).collect();
    assert_eq!(counts, ["to 1", "be 1", "to 2"]);
    Ok(())
}

#[test]
fn a_vanished_exchange_before_large_state_keeps_its_contract() -> Result<(), Violation> {
    // Enough keys to make prefetching of state worthwhile; each occurs twice.
    let pair = |n: i64| ([n % 7_000, n], Timestamp(n));
    let outputs = Contract::<[i64; 2]>::new()
        .records((0..7_000).map(pair))
        .watermark(Timestamp(6_999))
        .records((7_000..7_200).map(pair))
        .watermark(Timestamp(7_199))
        .restores()
        .check(|tail| {
            let key = OwnedSelector(|pair: &[i64; 2]| pair[0]);
            let add = Reduce(|a: &[i64; 2], b: &[i64; 2]| [a[0], a[1] + b[1]]);
            FarForm::<[i64; 2], _>::new(KeyedReduce::new("rolled".into(), key, add, tail))
        })?;
    let expected: Vec<([i64; 2], i64)> = (0..7_200)
        .map(|n| match n {
            0..7_000 => ([n, n], n),
            _ => ([n - 7_000, n - 7_000 + n], n),
        })
        .collect();
    assert_eq!(records(&outputs), expected);
    Ok(())
}
