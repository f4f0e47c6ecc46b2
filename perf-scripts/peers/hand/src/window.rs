//! q5 and q7: counts and maxima of windows.

use std::collections::BTreeMap;
use std::sync::Mutex;

use harness::{
    Bid, Counts, Digest, Inputs, Most, Options, Outcome, Panes, SLIDE_MS, Sliding, blocks, h3, h4,
    run_subtasks,
};

use crate::exchange::{Exchange, owner};

const TUMBLE_MS: i64 = 10_000;

/// One count a bid in its pane of two seconds; windows are sums of five panes.
pub(crate) fn q5(options: &Options, inputs: &'static Inputs) -> Outcome {
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
        sliding.advance(i64::MAX, &mut fire);
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
pub(crate) fn q5_exchange(options: &Options, inputs: &'static Inputs) -> Outcome {
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
            sliding.advance(i64::MAX, &mut fire);
            windows.hand_in(fired, |end, (count, auction)| {
                h3(end as u64, !auction, count)
            })
        },
    )
}

/// The highest bid of a window, ordered so that the largest wins: price, inverted auction and bidder.
type Highest = (u64, u64, u64);

/// One comparison a bid. Every subtask keeps the highest of its blocks.
pub(crate) fn q7(options: &Options, inputs: &'static Inputs) -> Outcome {
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
