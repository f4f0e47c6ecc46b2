//! The records that are sent, and what is checked of those that arrive.

use std::sync::Arc;

use thalweg::record::{Archived, Pod, Record, View};

use super::support::random::Random;

const KEYS: u64 = 10_000;

/// A record of plain data.
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub(crate) struct Bid {
    pub(crate) auction: u64,
    bidder: u64,
    price: u64,
    pub(crate) at: i64,
}

impl Record for Bid {
    type Form = Pod;
}

/// A record with a text.
#[derive(Clone, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub(crate) struct TextBid {
    bid: [u64; 4],
    channel: String,
}

impl Record for TextBid {
    type Form = Archived;
}

/// What is checked of a record, or of what has become of it.
pub(crate) trait Checked {
    /// A number below 2³² that differs from that of most other records.
    fn digest(&self) -> u64;
}

/// A record, or its archive, as it arrives.
pub(crate) trait Bidding: Checked {
    fn auction(&self) -> u64;
}

#[inline(always)]
fn mix(auction: u64, price: u64) -> u64 {
    (auction << 32 ^ price).wrapping_mul(0xD6E8_FEB8_6659_FD93) >> 32
}

impl Checked for Bid {
    #[inline(always)]
    fn digest(&self) -> u64 {
        mix(self.auction, self.price)
    }
}

impl Bidding for Bid {
    #[inline(always)]
    fn auction(&self) -> u64 {
        self.auction
    }
}

impl Checked for TextBid {
    #[inline(always)]
    fn digest(&self) -> u64 {
        mix(self.bid[0], self.bid[2]) ^ self.channel.len() as u64
    }
}

impl Bidding for TextBid {
    #[inline(always)]
    fn auction(&self) -> u64 {
        self.bid[0]
    }
}

impl Checked for View<TextBid> {
    #[inline(always)]
    fn digest(&self) -> u64 {
        let [auction, price] = [0, 2].map(|field| self.bid[field].to_native());
        mix(auction, price) ^ self.channel.len() as u64
    }
}

impl Bidding for View<TextBid> {
    #[inline(always)]
    fn auction(&self) -> u64 {
        self.bid[0].to_native()
    }
}

/// A digest that was computed upstream.
impl Checked for u64 {
    #[inline(always)]
    fn digest(&self) -> u64 {
        *self
    }
}

/// How many records arrived, and the sum of their digests.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(crate) struct Arrived {
    pub(crate) count: u64,
    pub(crate) sum: u64,
}

impl Arrived {
    #[inline(always)]
    pub(crate) fn add(&mut self, count: u64, sum: u64) {
        self.count += count;
        self.sum += sum;
    }

    /// What arrives if all these do, `times` times.
    pub(crate) fn all<T: Checked>(parts: &[Arc<[T]>], times: u64) -> Self {
        let mut once = Arrived::default();
        let records = parts.iter().flat_map(|part| part.iter());
        records.for_each(|record| once.add(1, record.digest()));
        Arrived {
            count: once.count * times,
            sum: once.sum * times,
        }
    }
}

/// A key of [`KEYS`], or for three records in four always the same one.
fn key(random: &mut Random, is_hot: bool) -> u64 {
    let key = random.below(KEYS);
    if is_hot && random.below(4) > 0 {
        7
    } else {
        key
    }
}

pub(crate) fn bids(count: usize, seed: u64, is_hot: bool) -> Arc<[Bid]> {
    let mut random = Random::new(seed);
    let bid = |at: usize| Bid {
        auction: key(&mut random, is_hot),
        bidder: random.below(1000),
        price: random.below(1 << 20),
        at: at as i64,
    };
    (0..count).map(bid).collect()
}

pub(crate) fn with_text(bids: &Arc<[Bid]>) -> Arc<[TextBid]> {
    let with_text = |bid: &Bid| TextBid {
        bid: [bid.auction, bid.bidder, bid.price, bid.at as u64],
        channel: format!("https://auctions.example/channel/{}", bid.bidder),
    };
    bids.iter().map(with_text).collect()
}
