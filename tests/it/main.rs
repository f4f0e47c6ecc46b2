//! The guarantees of the kernel, one file each.

mod exchange;
mod windows;
