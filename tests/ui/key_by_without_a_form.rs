//! Nor can it be partitioned by a key.

use thalweg::connectors::{Collection, Discard};
use thalweg::datastream::Environment;

#[derive(Clone)]
struct Reading {
    sensor: u64,
}

fn main() {
    Environment::new()
        .source("readings", Collection::of([Reading { sensor: 1 }]))
        .key_by(|reading| reading.sensor)
        .reduce(|first, _| first.clone())
        .sink("sink", Discard::new());
}
