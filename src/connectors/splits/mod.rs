//! How the remaining work of a source is stored in a checkpoint and redistributed among its readers.
//!
//! A position says what remains to be read, never which reader it belonged to: a restored job may have more or fewer
//! readers. Every reader gets the positions of all former readers, and takes its share by a function of its index and
//! the number of readers, so that the shares are disjoint and cover everything.

mod position;
mod progression;

pub use position::PositionError;
pub(super) use position::{Position, PositionReader};
pub(super) use progression::{Progression, Progressions, deal, deal_whole, read_progressions};
