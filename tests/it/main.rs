//! The guarantees of the kernel, one file each.

#[cfg(feature = "cli")]
mod delays;
mod exchange;
#[cfg(feature = "cli")]
mod latency;
mod life;
mod observer;
mod operator_contracts;
mod results;
mod schedule;
mod windows;
