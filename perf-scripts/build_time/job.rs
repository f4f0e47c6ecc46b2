//! A job of forty operators, as somebody would write one: what `build-time` has compiled. The numbers count them.

use thalweg::prelude::*;

/// A key, an amount and a time in milliseconds.
type Row = [u64; 3];

fn at(row: &Row) -> Timestamp {
    Timestamp::from_millis(row[2] as i64)
}

fn rows(count: u64, keys: u64) -> Collection<Row> {
    Collection::of((0..count).map(move |n| [n % keys, n * 7 % 1_000, n * 10]))
}

fn main() -> Result<(), JobError> {
    let env = Environment::new().parallelism(2);
    let totals = Collected::new();
    let orders = env
        .source("orders", rows(100_000, 500)) // 1
        .timestamps(Monotonous, at) // 2
        .filter(|order| order[1] > 10) // 3
        .map(|order| [order[0], order[1] * 100, order[2]]) // 4
        .filter(|order| order[0] != 13) // 5
        .map(|order| [order[0], order[1] - order[1] / 5, order[2]]) // 6
        .key_by(|order| order[0]) // 7
        .reduce(|sum, order| [sum[0], sum[1] + order[1], order[2]]) // 8
        .map(|sum| [sum[0] / 2, sum[1], sum[2]]) // 9
        .filter(|sum| sum[1] < 1 << 40) // 10
        .key_by(|sum| sum[0]) // 11
        .aggregate_with(Count, |customer, count| [*customer, count, 0]) // 12
        .filter(|counted| counted[1] % 2 == 0); // 13
    let payments = env
        .source("payments", rows(50_000, 250)) // 14
        .timestamps(Monotonous, at) // 15
        .filter(|payment| payment[1] != 77) // 16
        .flat_map(|payment| [*payment, [payment[0], 1, payment[2]]]) // 17
        .map(|payment| [payment[0], payment[1] + 1, payment[2]]) // 18
        .key_by(|payment| payment[0]) // 19
        .max(|payment| &mut payment[1]) // 20
        .map(|highest| [highest[0], highest[1] * 2, highest[2]]) // 21
        .filter(|highest| highest[1] > 4); // 22
    orders
        .key_by(|order| order[0]) // 23
        .join(payments.key_by(|payment| payment[0])) // 24
        .window(Tumbling::of(secs(10)))
        .apply(|order, payment, window| [order[0], payment[1], window.end.as_millis() as u64]) // 25
        .map(|pair| [pair[0], pair[1] / 3, pair[2]]) // 26
        .filter(|pair| pair[1] > 0) // 27
        .key_by(|pair| pair[0] % 64) // 28
        .window(Sliding::of(secs(20), secs(10)))
        .aggregate_with(Count, |group, window, count| {
            [*group, count, window.end.as_millis() as u64]
        }) // 29
        .map(|counted| [counted[0], counted[1] + 1, counted[2]]) // 30
        .filter(|counted| counted[1] > 1) // 31
        .key_by(|counted| counted[0] % 8) // 32
        .sum(|counted| &mut counted[1]) // 33
        .map(|sum| [sum[0] % 8, sum[1], sum[2]]) // 34
        .filter(|sum| sum[2] > 0) // 35
        .key_by(|sum| sum[0]) // 36
        .window(Session::with_gap(secs(60)))
        .aggregate_with(Count, |group, window, count| {
            [*group, count, window.end.as_millis() as u64]
        }) // 37
        .map(|session| [session[0], session[1], session[2] / 1_000]) // 38
        .filter(|session| session[1] > 0) // 39
        .sink("totals", totals.sink()); // 40
    env.execute("forty operators")?;
    println!("{} sessions", totals.take().len());
    Ok(())
}
