//! Shares out a rate among the readers of a source.

use crate::connectors::pacer::Pacer;
use crate::time::Timestamp;

/// The records that are due, shared out among the readers that have a file: one without a file has no share.
///
/// A reader is granted its share of all the records that have become due since its last turn, so it asks at most a few
/// times per poll, not per record. Its next turn comes when the others can have had as many. What a reader that is held
/// up leaves falls to the others bit by bit.
#[derive(Default, Debug)]
pub(super) struct Schedule {
    pacer: Option<Pacer>,
    /// The number of readers that have a file.
    readers: u64,
    /// The number of records granted so far.
    granted: u64,
}

/// A reader's part in a [`Schedule`].
#[derive(Clone, Debug)]
pub(super) struct Share {
    /// The rate; starts with the schedule.
    pacer: Pacer,
    /// Whether the reader has a file.
    takes_part: bool,
    /// The number of records granted that are yet to be emitted.
    left: u64,
    /// No record is granted until the one with this index is due.
    turn: u64,
}

impl Share {
    /// The part of a reader that has no file yet.
    pub(super) fn new(pacer: Pacer) -> Self {
        Share {
            pacer,
            takes_part: false,
            left: 0,
            turn: 0,
        }
    }

    /// Whether a record may be emitted.
    #[inline]
    pub(super) fn has_left(&self) -> bool {
        self.left > 0
    }

    /// A record was emitted.
    #[inline]
    pub(super) fn spend(&mut self) {
        self.left -= 1;
    }
}

impl Schedule {
    /// Grants the reader of a file its share of what is due at `now`, or says when to ask again.
    pub(super) fn grant(&mut self, share: &mut Share, now: Timestamp) -> Result<(), Timestamp> {
        if !share.takes_part {
            self.readers += 1;
            (share.takes_part, share.turn) = (true, self.granted);
        }
        let pacer = self.pacer.get_or_insert(share.pacer);
        let due = pacer.due(0, now);
        let next = self.granted.max(share.turn);
        if due <= next {
            return Err(pacer.deadline(next));
        }
        let since = self.granted.min(share.turn);
        let fair = (due - since).div_ceil(self.readers);
        let count = fair.min(due - self.granted);
        // At least as many records from now as there are readers, so that their turns do not coincide.
        let turn = self.granted.saturating_add(count.max(self.readers));
        share.turn = turn.max(since.saturating_add(count.saturating_mul(self.readers)));
        share.left += count;
        self.granted += count;
        Ok(())
    }

    /// Takes back what was granted to a reader that has no file any more.
    pub(super) fn leave(&mut self, share: &mut Share) {
        if share.takes_part {
            self.readers -= 1;
            self.granted -= share.left;
            *share = Share::new(share.pacer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_reader_leaves_falls_to_those_that_have_a_file() {
        let at = Timestamp::from_millis;
        let mut schedule = Schedule::default();
        let [mut a, mut b] = [(); 2].map(|()| Share::new(Pacer::per_second(1000)));
        schedule.grant(&mut a, at(0)).unwrap();
        schedule.grant(&mut b, at(1)).unwrap();
        schedule.grant(&mut b, at(101)).unwrap();
        assert_eq!((a.left, b.left), (1, 51));
        schedule.leave(&mut b);
        schedule.grant(&mut a, at(101)).unwrap();
        assert_eq!((a.left, b.left), (102, 0));
        assert_eq!(schedule.grant(&mut a, at(101)), Err(at(102)));
    }
}
