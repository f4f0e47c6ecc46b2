//! The queries as hand-written loops over the mapped files: the yardstick for every engine's overhead.
//!
//! Each is the best straightforward program for its query alone: no operators, no records handed on,
//! state in the container that fits. Parallel forms share nothing but rings.

mod exchange;
mod join;
mod keysum;
mod line_table;
mod stateless;
mod window;
mod word_table;
mod wordcount;

use std::process::ExitCode;

use harness::{Options, Query, Variant};

fn variants(options: &Options) -> Vec<Variant> {
    let alone = options.parallelism == 1;
    match options.query {
        Query::Q0 => vec![("loop", stateless::q0)],
        Query::Q1 => vec![("loop", stateless::q1)],
        Query::Q2 => vec![("loop", stateless::q2)],
        Query::Q3 if alone => vec![("symmetric", join::q3_symmetric), ("build-probe", join::q3)],
        Query::Q5 if alone => vec![("panes", window::q5)],
        Query::Q5 => vec![
            ("exchange", window::q5_exchange),
            ("two-phase", window::q5_two_phase),
        ],
        Query::Q7 => vec![("loop", window::q7)],
        Query::Q8 if alone => vec![("by-window", join::q8)],
        Query::Q3 | Query::Q8 => vec![],
        Query::Keysum1k | Query::Keysum1m | Query::Keysum10m | Query::KeysumZipf if alone => {
            vec![("plain", keysum::plain), ("prefetch", keysum::prefetch)]
        }
        Query::Keysum1k | Query::Keysum1m | Query::Keysum10m | Query::KeysumZipf => {
            vec![("exchange", keysum::exchange)]
        }
        Query::Wordcount if alone => {
            vec![
                ("plain", wordcount::plain),
                ("prefetch", wordcount::prefetch),
            ]
        }
        Query::Wordcount => vec![("exchange", wordcount::exchange)],
    }
}

fn main() -> ExitCode {
    harness::main("hand", variants, None)
}
