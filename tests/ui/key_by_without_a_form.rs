//! A stream whose record type has no form cannot be partitioned by key.

use thalweg::connectors::Collection;
use thalweg::datastream::Environment;

#[derive(Clone)]
struct Reading {
    sensor: u64,
}

fn main() {
    let readings =
        Environment::new().source("readings", Collection::of([Reading { sensor: 1 }]));
    let _ = readings.key_by_ref(|reading| &reading.sensor);
}
