//! A type that does not define its byte form cannot cross an exchange.

use thalweg::connectors::Collection;
use thalweg::datastream::Environment;

#[derive(Clone)]
struct Reading {
    sensor: u64,
}

fn main() {
    let readings =
        Environment::new().source("readings", Collection::of([Reading { sensor: 1 }]));
    let _ = readings.rebalance();
}
