//! Numbers that are not equal to themselves are no keys.

use thalweg::connectors::{Collection, Discard};
use thalweg::datastream::Environment;

fn main() {
    Environment::new()
        .source("prices", Collection::of([1.5_f64]))
        .key_by(|price| *price)
        .sum(|price| price)
        .sink("sink", Discard::new());
}
