//! The guarantees of the kernel, one file each.

mod exchange;
mod operator_contracts;
mod windows;
