//! The `thalweg` program: demo jobs, measurements and their command line.

mod bench;
mod checkpoints;
mod command;
mod delays;
mod duration;
mod error;
mod format;
mod generate;
mod latency;
mod nexmark;
mod number;
mod recovery;
mod sizes;
mod soak;
mod table;

use std::process::ExitCode;

use clap::Parser;

use command::{Command, CommandLine};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let ended = match CommandLine::parse().command() {
        Command::Delays(options) => delays::run(&options),
        Command::Bench(options) => bench::run(&options),
        Command::Checkpoints(options) => checkpoints::run(&options),
        Command::Generate(options) => generate::run(&options),
        Command::Soak(options) => soak::run(&options),
        Command::Latency(options) => latency::run(&options),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}
