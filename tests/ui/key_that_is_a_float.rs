//! Floats cannot be keys: NaN is not equal to itself.

use thalweg::connectors::Collection;
use thalweg::datastream::Environment;

fn main() {
    let prices = Environment::new().source("prices", Collection::of([1.5_f64]));
    let _ = prices.key_by(|price| *price);
}
