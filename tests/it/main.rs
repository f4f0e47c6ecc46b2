//! The guarantees of the kernel, one file each.

#[cfg(feature = "cli")]
mod delays;
mod exchange;
mod windows;
