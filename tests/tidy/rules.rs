//! The rules. Each returns the offences it finds, as lines of text.

/// One line per offence: where, and what.
pub(crate) type Offences = Vec<String>;

/// The rules by subject.
pub(crate) mod check {
    pub(crate) use super::contract::contracts;
    pub(crate) use super::floor::floors;
    pub(crate) use super::reach::reached;
    pub(crate) use super::shape::{leftovers, lengths, machine_paths, names, unsafe_code};
}

#[path = "contract.rs"]
mod contract;
#[path = "floor.rs"]
mod floor;
#[path = "reach.rs"]
mod reach;
#[path = "shape.rs"]
mod shape;
