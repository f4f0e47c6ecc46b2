//! Every operator follows the protocol, and its results do not depend on how it is driven.

mod joins;
mod keyed;
mod one_input;
mod rescaling;
mod timers;
mod two_inputs;
mod violations;
mod windows;

use thalweg::testing::Output;
use thalweg::time::Timestamp;

/// The records of the main output.
pub(super) fn records<O: Clone>(outputs: &[Output<O>]) -> Vec<(O, i64)> {
    let record = |output: &Output<O>| match output {
        Output::Record(record, at) => Some((record.clone(), at.0)),
        _ => None,
    };
    outputs.iter().filter_map(record).collect()
}

/// Numbers with rising timestamps and some without any.
pub(super) fn numbers(count: i64) -> impl Iterator<Item = (i64, Timestamp)> {
    (0..count).map(|n| {
        let at = if n % 5 == 4 {
            Timestamp::MIN
        } else {
            Timestamp(n * 10)
        };
        (n * 7 % 11, at)
    })
}
