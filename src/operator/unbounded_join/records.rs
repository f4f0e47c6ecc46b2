//! The records of an unbounded join: kept for ever, and linked to those with the same key.

use crate::record::{KeyHash, Wire};
use crate::state::RecordLog;
use crate::time::Timestamp;

/// The links of the most recently added records of one key, left and right; 0 if there are none.
#[derive(Clone, Copy, Default)]
pub(super) struct Heads {
    pub(super) left: u32,
    pub(super) right: u32,
}

/// The records of one input.
pub(super) struct Kept<V: ?Sized> {
    pub(super) log: RecordLog<V>,
    pub(super) links: RecordLog<u32>,
}

impl<V: ?Sized> Default for Kept<V> {
    fn default() -> Self {
        Kept {
            log: RecordLog::default(),
            links: RecordLog::default(),
        }
    }
}

impl<V: Wire + ?Sized> Kept<V> {
    /// Returns the record at a link, and the link of the previous one with the same key.
    #[inline(always)]
    pub(super) fn get(&self, link: u32) -> (&V, u32) {
        let place = link as usize - 1;
        (self.log.get(place), *self.links.get(place))
    }
}

/// A record that is stored, but not linked to those with its key yet.
#[derive(Clone, Copy)]
pub(super) struct Arrival {
    pub(super) hash: KeyHash,
    pub(super) at: Timestamp,
    /// Its own link.
    pub(super) link: u32,
    pub(super) is_left: bool,
}

/// The records that are not linked yet, in arrival order. More than `ROOM` only if an upstream operator
/// emits several records for one: it does not check whether there is room for each.
#[derive(Default)]
pub(super) struct Arrivals {
    pub(super) arrivals: Vec<Arrival>,
    /// How many of them have been linked.
    pub(super) linked: usize,
}

impl Arrivals {
    /// Returns the next one to be linked; empties the list if there is none.
    #[inline(always)]
    pub(super) fn take(&mut self) -> Option<Arrival> {
        let arrival = self.arrivals.get(self.linked).copied();
        if arrival.is_some() {
            self.linked += 1;
        } else {
            self.arrivals.clear();
            self.linked = 0;
        }
        arrival
    }
}
