//! Stretches of event time that are still open, in order, each with what has been gathered of it.
//!
//! Records come nearly in order, so nearly every one falls into the same pane as the one before it:
//! they are taken in runs, and a record of a run costs a subtraction and a comparison.

use std::collections::VecDeque;

/// No timestamp is within a pane's width of this start.
const NOWHERE: i64 = i64::MIN / 2;

/// Panes of one width, aligned to the epoch.
#[derive(Clone, Debug)]
pub struct Panes<T> {
    width: i64,
    /// Open panes by start.
    open: VecDeque<(i64, T)>,
    current: usize,
    current_start: i64,
    spare: Vec<T>,
}

impl<T: Default> Panes<T> {
    /// Panes of `width` ms.
    pub fn new(width: i64) -> Self {
        let (open, spare) = (VecDeque::new(), Vec::new());
        Panes {
            width,
            open,
            current: 0,
            current_start: NOWHERE,
            spare,
        }
    }

    /// Hands `records` on in runs that fall into the same pane, each with its pane.
    #[inline(always)]
    pub fn run<R>(
        &mut self,
        records: &[R],
        timestamp: impl Fn(&R) -> i64,
        mut same: impl FnMut(&mut T, &R),
    ) {
        let mut records = records.iter();
        let mut next = records.next();
        while let Some(first) = next {
            let start = self.change(timestamp(first));
            let (pane, width) = (&mut self.open[self.current].1, self.width as u64);
            same(pane, first);
            next = loop {
                let Some(record) = records.next() else {
                    break None;
                };
                if timestamp(record).wrapping_sub(start) as u64 >= width {
                    break Some(record);
                }
                same(pane, record);
            };
        }
    }

    /// The pane of `timestamp`, for records that come one by one.
    #[inline(always)]
    pub fn at(&mut self, timestamp: i64) -> &mut T {
        self.change(timestamp);
        &mut self.open[self.current].1
    }

    /// Makes the pane of `timestamp` the current one, and gives its start.
    #[inline(always)]
    fn change(&mut self, timestamp: i64) -> i64 {
        if (timestamp.wrapping_sub(self.current_start) as u64) < self.width as u64 {
            return self.current_start;
        }
        self.open(timestamp)
    }

    #[cold]
    #[inline(never)]
    fn open(&mut self, timestamp: i64) -> i64 {
        let start = timestamp - timestamp.rem_euclid(self.width);
        let at = self.open.partition_point(|(other, _)| *other < start);
        if self.open.get(at).is_none_or(|(other, _)| *other != start) {
            self.open
                .insert(at, (start, self.spare.pop().unwrap_or_default()));
        }
        self.current = at;
        self.current_start = start;
        start
    }

    /// Hands the panes that no record from `watermark` on falls into to `closed`, with their end, in
    /// order. `closed` leaves of a pane what the next is to begin with.
    #[inline(always)]
    pub fn close(&mut self, watermark: i64, mut closed: impl FnMut(i64, &mut T)) {
        while self
            .open
            .front()
            .is_some_and(|(start, _)| start + self.width <= watermark)
        {
            let (start, mut pane) = self.open.pop_front().expect("just seen");
            closed(start + self.width, &mut pane);
            self.spare.push(pane);
            self.current_start = NOWHERE;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pane_closes_when_nothing_can_fall_into_it_any_more() {
        let mut panes = Panes::<Vec<i64>>::new(10);
        let mut closed = Vec::new();
        panes.run(
            &[1, 9, 12, 8, 14, 20],
            |&timestamp| timestamp,
            |pane, &t| pane.push(t),
        );
        panes.close(9, |_, _| unreachable!());
        panes.close(15, |end, pane| closed.push((end, std::mem::take(pane))));
        assert_eq!(closed, [(10, vec![1, 9, 8])]);
        panes.at(15).push(15);
        panes.close(i64::MAX, |end, pane| {
            closed.push((end, std::mem::take(pane)))
        });
        assert_eq!(closed[1..], [(20, vec![12, 14, 15]), (30, vec![20])]);
    }
}
