//! q5 and q7: counts and maxima of windows.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;

use foldhash::fast::FixedState;
use harness::{Bid, Digest, Inputs, Options, Outcome, blocks, h3, h4, run_subtasks};
use hashbrown::HashMap;
use hashbrown::hash_map::Entry;

use crate::exchange::{Exchange, owner};
use crate::key_table::KeyTable;
use crate::panes::Panes;

const SLIDE_MS: i64 = 2_000;
const WINDOW_MS: i64 = 10_000;
const TUMBLE_MS: i64 = 10_000;

/// Bids per auction.
type Counts = KeyTable<u64>;

/// Counts of the last panes, summed: a pane that comes is added, one that goes is taken off.
#[derive(Default)]
struct Sliding {
    totals: HashMap<u64, u64, FixedState>,
    panes: VecDeque<(i64, Counts)>,
    spare: Vec<Counts>,
}

/// A window's largest count, ordered so that the largest wins: the count, the inverted auction.
type Most = (u64, u64);

impl Sliding {
    /// Takes in the pane that ends at `end`, leaving an empty one in its place; fires the windows that
    /// end with it or before it.
    fn take(&mut self, end: i64, pane: &mut Counts, fire: &mut impl FnMut(i64, Most)) {
        self.fire_before(end, fire);
        for (auction, count) in pane.iter() {
            *self.totals.entry(auction).or_insert(0) += count;
        }
        let empty = self.spare.pop().unwrap_or_default();
        self.panes.push_back((end, std::mem::replace(pane, empty)));
        self.fire(end, fire);
    }

    /// Fires the windows that end after the last pane taken in, before `limit`.
    fn fire_before(&mut self, limit: i64, fire: &mut impl FnMut(i64, Most)) {
        let Some(&(last, _)) = self.panes.back() else {
            return;
        };
        let mut end = last + SLIDE_MS;
        while end < limit && !self.panes.is_empty() {
            self.fire(end, fire);
            end += SLIDE_MS;
        }
    }

    /// Fires the window that ends at `end`, without the panes that stand before it.
    fn fire(&mut self, end: i64, fire: &mut impl FnMut(i64, Most)) {
        while self
            .panes
            .front()
            .is_some_and(|(pane, _)| *pane <= end - WINDOW_MS)
        {
            let (_, mut gone) = self.panes.pop_front().expect("just seen");
            for (auction, count) in gone.iter() {
                if let Entry::Occupied(mut total) = self.totals.entry(auction) {
                    *total.get_mut() -= count;
                    if *total.get() == 0 {
                        total.remove();
                    }
                }
            }
            gone.clear();
            self.spare.push(gone);
        }
        let counts = self
            .totals
            .iter()
            .map(|(auction, count)| (*count, !*auction));
        if let Some(most) = counts.max() {
            fire(end, most);
        }
    }
}

/// One count a bid in its pane of two seconds; windows are sums of five panes.
pub(crate) fn q5(options: &Options, inputs: &Inputs) -> Outcome {
    let (bids, jitter) = (inputs.bids(), options.jitter_ms);
    run_subtasks(bids.len(), vec![()], |_, ()| {
        let mut digest = Digest::default();
        let mut fire = |end, (count, auction): Most| digest.add(h3(end as u64, !auction, count));
        let mut sliding = Sliding::default();
        let mut panes: Panes<Counts> = Panes::new(SLIDE_MS);
        for block in blocks(bids, 0, 1) {
            panes.run(
                block,
                |bid| bid.date_time,
                |pane, bid| *pane.value(bid.auction) += 1,
            );
            let watermark = block[block.len() - 1].date_time - jitter;
            panes.close(watermark, |end, pane| sliding.take(end, pane, &mut fire));
        }
        panes.close(i64::MAX, |end, pane| sliding.take(end, pane, &mut fire));
        sliding.fire_before(i64::MAX, &mut fire);
        digest
    })
}

/// What counting needs of a bid.
#[derive(Clone, Copy, Default)]
struct Vote {
    auction: u64,
    date_time: i64,
}

/// Auctions dealt out by owner, counted by pane there; the owners' windows are compared at the end.
pub(crate) fn q5_exchange(options: &Options, inputs: &Inputs) -> Outcome {
    let (bids, parallelism, jitter) = (inputs.bids(), options.parallelism, options.jitter_ms);
    let windows = Largest::new(parallelism);
    let contexts = Exchange::new(parallelism).collect();
    run_subtasks(
        bids.len(),
        contexts,
        |index, exchange: &mut Exchange<Vote>| {
            let mut fired = Vec::new();
            let mut sliding = Sliding::default();
            let mut panes: Panes<Counts> = Panes::new(SLIDE_MS);
            // How far each source has come.
            let mut watermarks = vec![i64::MIN; parallelism];
            let mut arrived = |from: usize, votes: &[Vote]| {
                panes.run(
                    votes,
                    |vote| vote.date_time,
                    |pane, vote| *pane.value(vote.auction) += 1,
                );
                if let Some(last) = votes.last() {
                    watermarks[from] = watermarks[from].max(last.date_time - jitter);
                    let watermark = *watermarks.iter().min().expect("there is a source");
                    panes.close(watermark, |end, pane| {
                        sliding.take(end, pane, &mut |end, most| fired.push((end, most)));
                    });
                }
            };
            for block in blocks(bids, index, parallelism) {
                let deal = |bid: &Bid| {
                    let vote = Vote {
                        auction: bid.auction,
                        date_time: bid.date_time,
                    };
                    (owner(bid.auction, parallelism), vote)
                };
                exchange.send(block, deal, &mut arrived);
            }
            exchange.finish(arrived);
            let mut fire = |end, most| fired.push((end, most));
            panes.close(i64::MAX, |end, pane| sliding.take(end, pane, &mut fire));
            sliding.fire_before(i64::MAX, &mut fire);
            windows.hand_in(fired, |end, (count, auction)| {
                h3(end as u64, !auction, count)
            })
        },
    )
}

/// The highest bid of a window, ordered so that the largest wins: price, inverted auction and bidder.
type Highest = (u64, u64, u64);

/// One comparison a bid. Every subtask keeps the highest of its blocks.
pub(crate) fn q7(options: &Options, inputs: &Inputs) -> Outcome {
    let (bids, parallelism, jitter) = (inputs.bids(), options.parallelism, options.jitter_ms);
    let windows = Largest::new(parallelism);
    run_subtasks(bids.len(), vec![(); parallelism], |index, ()| {
        let mut fired = Vec::new();
        let mut panes: Panes<Highest> = Panes::new(TUMBLE_MS);
        for block in blocks(bids, index, parallelism) {
            panes.run(
                block,
                |bid| bid.date_time,
                |highest, bid| {
                    if bid.price >= highest.0 {
                        *highest = (*highest).max((bid.price, !bid.auction, !bid.bidder));
                    }
                },
            );
            let watermark = block[block.len() - 1].date_time - jitter;
            panes.close(watermark, |end, pane| {
                fired.push((end, std::mem::take(pane)))
            });
        }
        panes.close(i64::MAX, |end, pane| fired.push((end, *pane)));
        windows.hand_in(fired, |end, (price, auction, bidder)| {
            h4(end as u64, price, !auction, !bidder)
        })
    })
}

/// Where subtasks bring the windows that each has a part of; the largest part counts.
struct Largest<V> {
    /// Subtasks still to come, and the windows by end.
    windows: Mutex<(usize, BTreeMap<i64, V>)>,
}

impl<V: Ord + Copy> Largest<V> {
    fn new(subtasks: usize) -> Self {
        Largest {
            windows: Mutex::new((subtasks, BTreeMap::new())),
        }
    }

    /// Hands in one subtask's windows. The last to do so is answered with the digest of them all.
    fn hand_in(&self, fired: Vec<(i64, V)>, hash: impl Fn(i64, V) -> u64) -> Digest {
        let mut windows = self.windows.lock().expect("nobody panics holding it");
        for (end, part) in fired {
            let whole = windows.1.entry(end).or_insert(part);
            *whole = (*whole).max(part);
        }
        windows.0 -= 1;
        let mut digest = Digest::default();
        if windows.0 == 0 {
            windows
                .1
                .iter()
                .for_each(|(end, whole)| digest.add(hash(*end, *whole)));
        }
        digest
    }
}
