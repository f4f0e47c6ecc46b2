//! The `thalweg` program: demo jobs, measurements and their command line.

mod command;
mod delays;
mod duration;
mod error;
mod latency;
mod number;

use std::process::ExitCode;

use clap::Parser;

use command::{Command, CommandLine};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let ended = match CommandLine::parse().command() {
        Command::Delays(options) => delays::run(&options),
        Command::Latency(options) => latency::run(&options),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}
