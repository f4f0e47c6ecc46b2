//! q5 and q7: counts and maxima of windows.

use std::collections::BTreeMap;
use std::sync::Mutex;

use harness::{
    BLOCK_RECORDS, Bid, Counts, Digest, Inputs, Most, Options, Outcome, Panes, SLIDE_MS, Sliding,
    blocks, h3, h4, pages, run_subtasks,
};

use crate::exchange::{Exchange, owner};

const TUMBLE_MS: i64 = 10_000;

/// One count a bid in its pane of two seconds; windows are sums of five panes.
pub(crate) fn q5(options: &Options, inputs: &'static Inputs) -> Outcome {
    let (bids, jitter) = (inputs.bids(), options.jitter_ms);
    run_subtasks(bids.len(), vec![()], |_, ()| {
        let mut digest = Digest::default();
        let mut fire = |end, most| digest.add(hash_of_most(end, most));
        let mut sliding = Sliding::default();
        let mut panes: Panes<Counts> = Panes::new(SLIDE_MS);
        for block in blocks(bids, 0, 1) {
            for page in pages(block) {
                panes.run(
                    page,
                    |bid| bid.date_time,
                    |pane, bid| *pane.value(bid.auction) += 1,
                );
            }
            let watermark = block[block.len() - 1].date_time - jitter;
            panes.close(watermark, |end, pane| sliding.take(end, pane, &mut fire));
        }
        panes.close(i64::MAX, |end, pane| sliding.take(end, pane, &mut fire));
        sliding.advance(i64::MAX, &mut fire);
        digest
    })
}

/// The windows of the auctions that one subtask owns.
struct Owned {
    panes: Panes<Counts>,
    sliding: Sliding,
    /// How far each source has come.
    watermarks: Vec<i64>,
    fired: Vec<(i64, Most)>,
}

impl Owned {
    fn new(sources: usize) -> Self {
        Owned {
            panes: Panes::new(SLIDE_MS),
            sliding: Sliding::default(),
            watermarks: vec![i64::MIN; sources],
            fired: Vec::new(),
        }
    }

    /// Nothing from `source` will fall before `watermark` any more.
    fn advance(&mut self, source: usize, watermark: i64) {
        self.watermarks[source] = self.watermarks[source].max(watermark);
        let watermark = *self.watermarks.iter().min().expect("there is a source");
        let (sliding, fired) = (&mut self.sliding, &mut self.fired);
        self.panes.close(watermark, |end, pane| {
            sliding.take(end, pane, &mut |end, most| fired.push((end, most)));
        });
    }

    /// Nothing will come any more: gives all windows that have fired.
    fn finish(mut self) -> Vec<(i64, Most)> {
        for source in 0..self.watermarks.len() {
            self.advance(source, i64::MAX);
        }
        let fired = &mut self.fired;
        self.sliding
            .advance(i64::MAX, &mut |end, most| fired.push((end, most)));
        self.fired
    }
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
            let mut owned = Owned::new(parallelism);
            let mut arrived = |from: usize, votes: &[Vote]| {
                owned.panes.run(
                    votes,
                    |vote| vote.date_time,
                    |pane, vote| *pane.value(vote.auction) += 1,
                );
                if let Some(last) = votes.last() {
                    owned.advance(from, last.date_time - jitter);
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
                for page in pages(block) {
                    exchange.send(page, deal, &mut arrived);
                }
            }
            exchange.finish(arrived);
            windows.hand_in(owned.finish(), hash_of_most)
        },
    )
}

/// The bids on an auction that one source has seen in a pane.
#[derive(Clone, Copy, Default)]
struct Part {
    auction: u64,
    count: u64,
    end: i64,
}

/// Bids counted by pane where they are read. The counts of a pane that is complete there are dealt out by
/// owner, and added up there.
pub(crate) fn q5_two_phase(options: &Options, inputs: &'static Inputs) -> Outcome {
    let (bids, parallelism, jitter) = (inputs.bids(), options.parallelism, options.jitter_ms);
    let windows = Largest::new(parallelism);
    let contexts = Exchange::new(parallelism).collect();
    run_subtasks(
        bids.len(),
        contexts,
        |index, exchange: &mut Exchange<Part>| {
            let mut owned = Owned::new(parallelism);
            let mut arrived = |from: usize, parts: &[Part]| {
                owned.panes.run(
                    parts,
                    |part| part.end - SLIDE_MS,
                    |pane, part| *pane.value(part.auction) += part.count,
                );
                if let Some(last) = parts.last() {
                    // Panes come in order; of the last one there may be more.
                    owned.advance(from, last.end - SLIDE_MS);
                }
            };
            let mut parts = Vec::new();
            let mut complete = |end, pane: &mut Counts| {
                let part = |(auction, count)| Part {
                    auction,
                    count,
                    end,
                };
                parts.extend(pane.iter().map(part));
                pane.clear();
                let deal = |part: &Part| (owner(part.auction, parallelism), *part);
                for some in parts.chunks(BLOCK_RECORDS) {
                    exchange.send(some, deal, &mut arrived);
                }
                parts.clear();
            };
            let mut panes: Panes<Counts> = Panes::new(SLIDE_MS);
            for block in blocks(bids, index, parallelism) {
                for page in pages(block) {
                    panes.run(
                        page,
                        |bid| bid.date_time,
                        |pane, bid| *pane.value(bid.auction) += 1,
                    );
                }
                panes.close(block[block.len() - 1].date_time - jitter, &mut complete);
            }
            panes.close(i64::MAX, &mut complete);
            exchange.finish(arrived);
            windows.hand_in(owned.finish(), hash_of_most)
        },
    )
}

fn hash_of_most(end: i64, (count, auction): Most) -> u64 {
    h3(end as u64, !auction, count)
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
            for page in pages(block) {
                panes.run(
                    page,
                    |bid| bid.date_time,
                    |highest, bid| {
                        if bid.price >= highest.0 {
                            *highest = (*highest).max((bid.price, !bid.auction, !bid.bidder));
                        }
                    },
                );
            }
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
