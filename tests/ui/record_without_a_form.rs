//! A type that does not say what bytes it becomes cannot cross an exchange.

use thalweg::connectors::{Collection, Discard};
use thalweg::datastream::Environment;

#[derive(Clone)]
struct Reading {
    sensor: u64,
}

fn main() {
    Environment::new()
        .source("readings", Collection::of([Reading { sensor: 1 }]))
        .rebalance()
        .sink("sink", Discard::new());
}
