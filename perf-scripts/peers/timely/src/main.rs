//! The queries on Timely Dataflow.
//!
//! Timely has no windows, keyed state or watermarks: what a query remembers is written by hand inside
//! operators: windows and joins with the containers that the hand-written loops have, sums and counts with the fastest
//! general-purpose map. How it is tuned stands in `run.rs`; why, in the peers' README.

mod join;
mod keysum;
mod latency;
mod run;
mod stateless;
mod window;
mod wordcount;

use std::process::ExitCode;

use harness::{Options, Query, Variant};

fn variants(options: &Options) -> Vec<Variant> {
    if options.query == Query::Q5 && options.parallelism > 1 {
        return vec![
            ("exchange", window::q5),
            ("two-phase", window::q5_two_phase),
        ];
    }
    vec![match options.query {
        Query::Q0 => ("", stateless::q0),
        Query::Q1 => ("", stateless::q1),
        Query::Q2 => ("", stateless::q2),
        Query::Q3 => ("", join::q3),
        Query::Q5 => ("", window::q5),
        Query::Q7 => ("", window::q7),
        Query::Q8 => ("", join::q8),
        Query::Wordcount => ("", wordcount::wordcount),
        Query::Keysum1k | Query::Keysum1m | Query::Keysum10m | Query::KeysumZipf => {
            ("", keysum::keysum)
        }
    }]
}

fn main() -> ExitCode {
    harness::main("timely", variants, Some(latency::LATENCY))
}
