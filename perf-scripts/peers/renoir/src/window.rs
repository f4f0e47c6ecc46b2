//! q5 and q7: custom operators on timestamped elements, as Renoir's own windows do not begin at
//! multiples of their size.

use std::collections::{BTreeMap, VecDeque};

use harness::{Counts, Inputs, Most, Options, Outcome, Panes, SLIDE_MS, Sliding, h3, h4};
use renoir::Stream;
use renoir::operator::{ElementGenerator, ExchangeData, Operator, StreamElement};
use serde::{Deserialize, Serialize};

use crate::run::{Run, by_key, run};

const TUMBLE_MS: i64 = 10_000;

/// What a windowed operator does; [`step`] does the rest.
pub(crate) trait Windows<I, O>: Clone + Send + 'static {
    /// Takes in a record.
    fn take(&mut self, record: I, time: i64, rows: &mut VecDeque<O>);

    /// Nothing before `watermark` will come any more.
    fn advance(&mut self, watermark: i64, rows: &mut VecDeque<O>);
}

/// What an operator holds between two calls.
#[derive(Clone)]
pub(crate) struct Held<W, O> {
    windows: W,
    rows: VecDeque<O>,
    /// What is to follow the rows.
    then: Option<StreamElement<O>>,
    time: i64,
}

impl<W, O> Held<W, O> {
    pub(crate) fn new(windows: W) -> Self {
        Held {
            windows,
            rows: VecDeque::new(),
            then: None,
            time: 0,
        }
    }
}

/// The next element of a windowed operator: rows that are due, then the watermark that made them so.
pub(crate) fn step<I, O, W: Windows<I, O>>(
    held: &mut Held<W, O>,
    mut elements: ElementGenerator<'_, impl Operator<Out = I>>,
) -> StreamElement<O> {
    loop {
        if let Some(row) = held.rows.pop_front() {
            return StreamElement::Timestamped(row, held.time);
        }
        if let Some(element) = held.then.take() {
            return element;
        }
        match elements.next() {
            StreamElement::Timestamped(record, time) => {
                held.time = time;
                held.windows.take(record, time, &mut held.rows);
            }
            StreamElement::Watermark(watermark) => {
                // Rows are of windows that end no later.
                held.time = watermark + 1;
                held.windows.advance(watermark + 1, &mut held.rows);
                held.then = Some(StreamElement::Watermark(watermark));
            }
            StreamElement::FlushAndRestart => {
                held.windows.advance(i64::MAX, &mut held.rows);
                held.then = Some(StreamElement::FlushAndRestart);
            }
            StreamElement::FlushBatch => return StreamElement::FlushBatch,
            StreamElement::Terminate => return StreamElement::Terminate,
            StreamElement::Item(_) => unreachable!("all records have timestamps"),
        }
    }
}

/// Counts of the auctions that are this replica's.
#[derive(Clone)]
struct Counting {
    panes: Panes<Counts>,
    sliding: Sliding,
}

impl Counting {
    fn new() -> Self {
        let (panes, sliding) = (Panes::new(SLIDE_MS), Sliding::default());
        Counting { panes, sliding }
    }

    /// Closes what is over by then; adds the windows that end to `rows`.
    fn fire(&mut self, watermark: i64, rows: &mut VecDeque<(i64, Most)>) {
        let mut fire = |end, most| rows.push_back((end, most));
        let sliding = &mut self.sliding;
        self.panes
            .close(watermark, |end, pane| sliding.take(end, pane, &mut fire));
        sliding.advance(watermark, &mut fire);
    }
}

impl Windows<(u64, u64), (i64, Most)> for Counting {
    #[inline]
    fn take(&mut self, (auction, _): (u64, u64), time: i64, _: &mut VecDeque<(i64, Most)>) {
        *self.panes.at(time).value(auction) += 1;
    }

    fn advance(&mut self, watermark: i64, rows: &mut VecDeque<(i64, Most)>) {
        self.fire(watermark, rows);
    }
}

/// Auctions dealt out and counted by pane; each replica's largest dealt out by window.
pub(crate) fn q5(options: &Options, inputs: &'static Inputs) -> Outcome {
    let bids = inputs.bids();
    run(
        options,
        |_| bids.len(),
        |run| {
            let votes = run
                .timed(run.records(bids), |bid| bid.date_time)
                .map(|bid| bid.auction);
            by_key!(run, votes, |auction| *auction, |keyed| {
                let mut held = Held::new(Counting::new());
                let parts = keyed.rich_map_custom(move |elements| step(&mut held, elements));
                largest(run, parts, |end, (count, auction)| {
                    h3(end as u64, !auction, count)
                });
            });
        },
    )
}

/// The bids on an auction that one replica has seen in a pane.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Part {
    auction: u64,
    count: u64,
    end: i64,
}

/// How often each auction of a pane is bid on, on this replica.
#[derive(Clone)]
struct Parts {
    panes: Panes<Counts>,
}

impl Windows<u64, Part> for Parts {
    #[inline]
    fn take(&mut self, auction: u64, time: i64, _: &mut VecDeque<Part>) {
        *self.panes.at(time).value(auction) += 1;
    }

    fn advance(&mut self, watermark: i64, rows: &mut VecDeque<Part>) {
        self.panes.close(watermark, |end, pane| {
            let part = |(auction, count)| Part {
                auction,
                count,
                end,
            };
            rows.extend(pane.iter().map(part));
            pane.clear();
        });
    }
}

impl Windows<(u64, Part), (i64, Most)> for Counting {
    #[inline]
    fn take(&mut self, (auction, part): (u64, Part), _: i64, _: &mut VecDeque<(i64, Most)>) {
        *self.panes.at(part.end - SLIDE_MS).value(auction) += part.count;
    }

    fn advance(&mut self, watermark: i64, rows: &mut VecDeque<(i64, Most)>) {
        self.fire(watermark, rows);
    }
}

/// Bids counted by pane on the replica that reads them, the counts of complete panes dealt out by auction
/// and added up; each replica's largest dealt out by window.
pub(crate) fn q5_two_phase(options: &Options, inputs: &'static Inputs) -> Outcome {
    let bids = inputs.bids();
    run(
        options,
        |_| bids.len(),
        |run| {
            let votes = run
                .timed(run.records(bids), |bid| bid.date_time)
                .map(|bid| bid.auction);
            let panes = Panes::new(SLIDE_MS);
            let mut held = Held::new(Parts { panes });
            let parts = votes.rich_map_custom(move |elements| step(&mut held, elements));
            by_key!(run, parts, |part| part.auction, |keyed| {
                let mut held = Held::new(Counting::new());
                let parts = keyed.rich_map_custom(move |elements| step(&mut held, elements));
                largest(run, parts, |end, (count, auction)| {
                    h3(end as u64, !auction, count)
                });
            });
        },
    )
}

/// A window's highest bid, ordered so that the largest wins: price, inverted auction and bidder.
type Highest = (u64, u64, u64);

/// The highest bids of this replica's blocks.
#[derive(Clone)]
struct Highs {
    panes: Panes<Highest>,
}

impl Windows<Highest, (i64, Highest)> for Highs {
    #[inline]
    fn take(&mut self, bid: Highest, time: i64, _: &mut VecDeque<(i64, Highest)>) {
        let highest = self.panes.at(time);
        if bid.0 >= highest.0 {
            *highest = (*highest).max(bid);
        }
    }

    fn advance(&mut self, watermark: i64, rows: &mut VecDeque<(i64, Highest)>) {
        self.panes.close(watermark, |end, pane| {
            rows.push_back((end, std::mem::take(pane)))
        });
    }
}

/// Each replica's highest bid of a window, dealt out by window.
pub(crate) fn q7(options: &Options, inputs: &'static Inputs) -> Outcome {
    let bids = inputs.bids();
    run(
        options,
        |_| bids.len(),
        |run| {
            let bids = run.timed(run.records(bids), |bid| bid.date_time);
            let ranked = bids.map(|bid| (bid.price, !bid.auction, !bid.bidder));
            let mut held = Held::new(Highs {
                panes: Panes::new(TUMBLE_MS),
            });
            let parts = ranked.rich_map_custom(move |elements| step(&mut held, elements));
            largest(run, parts, |end, (price, auction, bidder)| {
                h4(end as u64, price, !auction, !bidder)
            });
        },
    )
}

/// Of every window the largest part so far.
#[derive(Clone)]
struct Largest<V> {
    windows: BTreeMap<i64, V>,
}

impl<V: Ord + Copy + Send + 'static> Windows<(i64, (i64, V)), (i64, V)> for Largest<V> {
    fn take(&mut self, (_, (end, part)): (i64, (i64, V)), _: i64, _: &mut VecDeque<(i64, V)>) {
        let whole = self.windows.entry(end).or_insert(part);
        *whole = (*whole).max(part);
    }

    fn advance(&mut self, watermark: i64, rows: &mut VecDeque<(i64, V)>) {
        while let Some(window) = self.windows.first_entry().filter(|w| *w.key() <= watermark) {
            rows.push_back(window.remove_entry());
        }
    }
}

/// Ends `parts` in the largest of every window, hashed.
fn largest<V: Ord + Copy + ExchangeData>(
    run: &Run,
    parts: Stream<impl Operator<Out = (i64, V)> + 'static>,
    hash: impl Fn(i64, V) -> u64 + Clone + Send + 'static,
) {
    by_key!(run, parts, |part| part.0, |keyed| {
        let mut held = Held::new(Largest {
            windows: BTreeMap::new(),
        });
        let whole = keyed.rich_map_custom(move |elements| step(&mut held, elements));
        run.sink(whole, move |(end, value)| hash(*end, *value));
    });
}
