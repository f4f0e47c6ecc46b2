//! Integration tests: the guarantees of the kernel, one file each.

#[cfg(feature = "cli")]
mod bench;
#[cfg(feature = "cli")]
mod checkpoint_command;
mod checkpoints;
#[cfg(feature = "cli")]
mod delays;
mod exchange;
#[cfg(feature = "cli")]
mod generate;
#[cfg(feature = "cli")]
mod kills;
#[cfg(feature = "cli")]
mod latency;
mod life;
#[cfg(feature = "cli")]
mod nexmark;
mod observer;
mod operator_contracts;
#[cfg(feature = "cli")]
mod program;
mod recovery;
mod results;
mod schedule;
mod windows;
