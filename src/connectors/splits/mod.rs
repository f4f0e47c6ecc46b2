//! How what is left of a source is written into a checkpoint, and dealt among its readers again.
//!
//! A position says what is left, never whose it was: a restored job may have more readers or fewer. Every
//! reader is given the positions of all readers that took part, and takes its share by a function of its
//! index and of how many readers there are, so that the shares are disjoint and nothing is left over.

mod position;
mod progression;

pub use position::PositionError;
pub(super) use position::{Position, PositionReader};
pub(super) use progression::{Progression, Progressions, deal, deal_whole, read_progressions};
