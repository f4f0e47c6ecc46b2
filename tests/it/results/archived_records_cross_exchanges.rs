//! Archived records are read in place after one exchange and pass through a second unchanged.

use std::collections::HashMap;

use thalweg::connectors::{Collected, Collection};
use thalweg::operator::{FlatMapFunction, Outcome, ProcessContext, ProcessFunction};
use thalweg::record::{Archived, Record, View};

use crate::schedule::{Schedule, sorted};

#[derive(
    Clone, PartialEq, Eq, PartialOrd, Ord, Debug, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize,
)]
struct Order {
    customer: String,
    lines: Vec<u32>,
    comment: Option<String>,
}

impl Record for Order {
    type Form = Archived;
}

fn orders() -> Vec<Order> {
    let order = |n: u32| Order {
        customer: format!("customer {}", n % 11),
        lines: (0..n % 5).collect(),
        comment: n.is_multiple_of(3).then(|| format!("comment {n}")),
    };
    (0..600).map(order).collect()
}

/// Forwards a view unchanged.
#[derive(Clone)]
struct Untouched;

impl FlatMapFunction<View<Order>> for Untouched {
    type Out = View<Order>;

    fn flat_map(&mut self, order: &View<Order>, mut emit: impl FnMut(&View<Order>)) {
        emit(order);
    }
}

#[test]
fn archived_records_come_out_of_two_exchanges_as_they_went_in() {
    let expected = sorted(orders());
    for schedule in Schedule::all() {
        let env = schedule.environment();
        let received = Collected::new();
        env.source("orders", Collection::of(orders()))
            .rebalance()
            .filter(|order: &View<Order>| !order.customer.is_empty())
            .flat_map_with(Untouched)
            .shuffle()
            .map(|order: &View<Order>| order.to_owned())
            .sink("received", received.sink());
        schedule.run(&env);
        assert_eq!(sorted(received.take()), expected, "{schedule:?}");
    }
}

/// Counts the lines of each customer, by a key borrowed from the archive.
#[test]
fn archived_records_are_keyed_by_text_inside_them() {
    let mut expected: HashMap<String, u64> = HashMap::new();
    for order in orders() {
        *expected.entry(order.customer).or_default() += order.lines.len() as u64;
    }
    for schedule in Schedule::all() {
        let env = schedule.environment();
        let totals = Collected::new();
        env.source("orders", Collection::of(orders()))
            .rebalance()
            .key_by_ref(|order: &View<Order>| order.customer.as_str())
            .aggregate_with(
                thalweg::state::Sum::of(|order: &View<Order>| order.lines.len() as u64),
                |customer: &str, total| (customer.to_owned(), total),
            )
            .sink("totals", totals.sink());
        schedule.run(&env);
        let mut most: HashMap<String, u64> = HashMap::new();
        for (customer, total) in totals.take() {
            let entry = most.entry(customer).or_default();
            *entry = (*entry).max(total);
        }
        assert_eq!(most, expected, "{schedule:?}");
    }
}

/// Emits the comment of an order, borrowed from the archive.
#[derive(Clone)]
struct Comments;

impl ProcessFunction<View<Order>> for Comments {
    type Out = str;

    fn process(&mut self, order: &View<Order>, cx: &mut impl ProcessContext<str>) -> Outcome {
        if let Some(comment) = order.comment.as_ref() {
            cx.emit(comment);
        }
        Ok(())
    }
}

#[test]
fn text_borrowed_from_an_archive_crosses_the_next_exchange() {
    let expected = sorted(orders().into_iter().filter_map(|order| order.comment));
    for schedule in Schedule::all() {
        let env = schedule.environment();
        let comments = Collected::<String>::new();
        env.source("orders", Collection::of(orders()))
            .rebalance()
            .process(Comments)
            .rebalance()
            .sink("comments", comments.sink());
        schedule.run(&env);
        assert_eq!(sorted(comments.take()), expected, "{schedule:?}");
    }
}
