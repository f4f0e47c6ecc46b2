//! The guarantees of the kernel, one file each.

#[cfg(feature = "cli")]
mod delays;
mod exchange;
mod operator_contracts;
mod windows;
