//! q5 and q7: windows by hand, as Timely has none. Times are event times, so that a frontier is a
//! watermark.

use std::collections::BTreeMap;

use harness::{
    Bid, Counts, Inputs, Most, Options, Outcome, Panes, SLIDE_MS, Sliding, h3, h4, mix64,
};
use serde::{Deserialize, Serialize};
use timely::container::CapacityContainerBuilder;
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::{Exchange, Pipeline};
use timely::dataflow::operators::vec::Map;
use timely::dataflow::operators::{Capability, Operator};
use timely::progress::frontier::MutableAntichain;

use crate::run::{Pace, QUANTUM, run};

const TUMBLE_MS: i64 = 10_000;

/// The event time that nothing will come before.
pub(crate) fn watermark(frontier: &MutableAntichain<u64>) -> i64 {
    frontier
        .frontier()
        .first()
        .map_or(i64::MAX, |time| *time as i64)
}

/// Lets go of all times before the frontier.
fn follow(held: &mut Option<Capability<u64>>, frontier: &MutableAntichain<u64>) {
    match (held.as_mut(), frontier.frontier().first()) {
        (Some(capability), Some(time)) => capability.downgrade(time),
        _ => *held = None,
    }
}

/// What counting needs of a bid.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Vote {
    auction: u64,
    date_time: i64,
}

/// Votes dealt out by auction and counted by pane; each worker's largest dealt out by window.
pub(crate) fn q5(options: &Options, inputs: &'static Inputs) -> Outcome {
    run(
        options,
        inputs,
        |_| inputs.bids().len(),
        |scope, run| {
            let bids = run.blocks(scope, run.inputs.bids(), Pace::timed(QUANTUM), |bid| {
                bid.date_time
            });
            let votes = bids.map(|bid| Vote {
                auction: bid.auction,
                date_time: bid.date_time,
            });
            let parts = most(
                votes,
                |vote| vote.auction,
                |panes, votes| {
                    let count = |pane: &mut Counts, vote: &Vote| *pane.value(vote.auction) += 1;
                    panes.run(votes, |vote| vote.date_time, count);
                },
            );
            run.sink(largest(parts), |&(end, (count, auction))| {
                h3(end as u64, !auction, count)
            });
        },
    )
}

/// The bids on an auction that one worker has seen in a pane.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Part {
    auction: u64,
    count: u64,
    end: i64,
}

/// Bids counted by pane on the worker that reads them, the counts of complete panes dealt out by auction
/// and added up; each worker's largest dealt out by window.
pub(crate) fn q5_two_phase(options: &Options, inputs: &'static Inputs) -> Outcome {
    run(
        options,
        inputs,
        |_| inputs.bids().len(),
        |scope, run| {
            let bids = run.blocks(scope, run.inputs.bids(), Pace::timed(QUANTUM), |bid| {
                bid.date_time
            });
            let parts = most(
                counts(bids),
                |part| part.auction,
                |panes, parts| {
                    let add = |pane: &mut Counts, part: &Part| {
                        *pane.value(part.auction) += part.count;
                    };
                    panes.run(parts, |part| part.end - SLIDE_MS, add);
                },
            );
            run.sink(largest(parts), |&(end, (count, auction))| {
                h3(end as u64, !auction, count)
            });
        },
    )
}

/// How often each auction of a pane is bid on, on this worker.
fn counts<'s>(bids: StreamVec<'s, u64, Bid>) -> StreamVec<'s, u64, Part> {
    bids.unary_frontier::<CapacityContainerBuilder<Vec<Part>>, _, _, _>(
        Pipeline,
        "count",
        |capability, _| {
            let mut held = Some(capability);
            let mut panes: Panes<Counts> = Panes::new(SLIDE_MS);
            move |(input, frontier), output| {
                input.for_each(|_, bids| {
                    let count = |pane: &mut Counts, bid: &Bid| *pane.value(bid.auction) += 1;
                    panes.run(bids, |bid| bid.date_time, count);
                });
                let Some(capability) = held.as_mut() else {
                    return;
                };
                let mut session = output.session(capability);
                panes.close(watermark(frontier), |end, pane| {
                    session.give_iterator(pane.iter().map(|(auction, count)| Part {
                        auction,
                        count,
                        end,
                    }));
                    pane.clear();
                });
                drop(session);
                follow(&mut held, frontier);
            }
        },
    )
}

/// Of every window, the auction with the most bids among those dealt to this worker. `take` counts
/// records by pane.
fn most<'s, R>(
    records: StreamVec<'s, u64, R>,
    auction: fn(&R) -> u64,
    take: impl Fn(&mut Panes<Counts>, &[R]) + 'static,
) -> StreamVec<'s, u64, (i64, Most)>
where
    R: Send + Serialize + for<'a> Deserialize<'a> + 'static,
{
    let by_auction = Exchange::new(move |record: &R| mix64(auction(record)));
    records.unary_frontier::<CapacityContainerBuilder<Vec<(i64, Most)>>, _, _, _>(
        by_auction,
        "most",
        |capability, _| {
            let mut held = Some(capability);
            let mut panes: Panes<Counts> = Panes::new(SLIDE_MS);
            let mut sliding = Sliding::default();
            move |(input, frontier), output| {
                input.for_each(|_, records| take(&mut panes, records));
                let watermark = watermark(frontier);
                let Some(capability) = held.as_mut() else {
                    return;
                };
                let mut session = output.session(capability);
                let mut fire = |end, most| session.give((end, most));
                panes.close(watermark, |end, pane| sliding.take(end, pane, &mut fire));
                sliding.advance(watermark, &mut fire);
                drop(session);
                follow(&mut held, frontier);
            }
        },
    )
}

/// A window's highest bid, ordered so that the largest wins: price, inverted auction and bidder.
type Highest = (u64, u64, u64);

/// Each worker's highest bid of a window, dealt out by window.
pub(crate) fn q7(options: &Options, inputs: &'static Inputs) -> Outcome {
    run(
        options,
        inputs,
        |_| inputs.bids().len(),
        |scope, run| {
            let bids = run.blocks(scope, run.inputs.bids(), Pace::timed(QUANTUM), |bid| {
                bid.date_time
            });
            let parts = bids
                .unary_frontier::<CapacityContainerBuilder<Vec<(i64, Highest)>>, _, _, _>(
                    Pipeline,
                    "highest",
                    |capability, _| {
                        let mut held = Some(capability);
                        let mut panes: Panes<Highest> = Panes::new(TUMBLE_MS);
                        move |(input, frontier), output| {
                            input.for_each(|_, bids| {
                                panes.run(
                                    bids,
                                    |bid| bid.date_time,
                                    |highest, bid| {
                                        if bid.price >= highest.0 {
                                            let bid = (bid.price, !bid.auction, !bid.bidder);
                                            *highest = (*highest).max(bid);
                                        }
                                    },
                                );
                            });
                            let Some(capability) = held.as_mut() else {
                                return;
                            };
                            let mut session = output.session(capability);
                            panes.close(watermark(frontier), |end, pane| {
                                session.give((end, std::mem::take(pane)));
                            });
                            drop(session);
                            follow(&mut held, frontier);
                        }
                    },
                );
            let highest = largest(parts);
            run.sink(highest, |&(end, (price, auction, bidder))| {
                h4(end as u64, price, !auction, !bidder)
            });
        },
    )
}

/// Of every window, the largest of the workers' parts, when no more will come.
fn largest<'s, V>(parts: StreamVec<'s, u64, (i64, V)>) -> StreamVec<'s, u64, (i64, V)>
where
    V: Ord + Copy + Send + Serialize + for<'a> Deserialize<'a> + 'static,
{
    let by_window = Exchange::new(|part: &(i64, V)| (part.0 / SLIDE_MS) as u64);
    parts.unary_frontier::<CapacityContainerBuilder<Vec<(i64, V)>>, _, _, _>(
        by_window,
        "largest",
        |capability, _| {
            let mut held = Some(capability);
            let mut windows: BTreeMap<i64, V> = BTreeMap::new();
            move |(input, frontier), output| {
                input.for_each(|_, parts| {
                    for (end, part) in parts.drain(..) {
                        let whole = windows.entry(end).or_insert(part);
                        *whole = (*whole).max(part);
                    }
                });
                let Some(capability) = held.as_mut() else {
                    return;
                };
                let watermark = watermark(frontier);
                let mut session = output.session(capability);
                while let Some(window) = windows.first_entry().filter(|w| *w.key() <= watermark) {
                    session.give(window.remove_entry());
                }
                drop(session);
                follow(&mut held, frontier);
            }
        },
    )
}
