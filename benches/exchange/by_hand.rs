//! The same exchanges by two threads over `rtrb`.

use std::sync::Arc;
use std::sync::atomic::{Ordering::Acquire, fence};
use std::time::Duration;

use crossbeam_utils::Backoff;
use rtrb::{Consumer, Producer, RingBuffer};

use super::Exchange;
use super::record::{Arrived, Bidding};
use super::support::cores::on_two_cores;

/// The default size of a job's rings in bytes.
const RING_BYTES: usize = 128 * 1024;
/// How many records a thread takes at a time.
const CHUNK: usize = 256;

/// What one thread sends and receives by hand.
struct Hand<'a, T> {
    exchange: Exchange,
    records: &'a [T],
    passes: usize,
    to: Vec<Producer<T>>,
    from: Vec<Consumer<T>>,
    arrived: Arrived,
}

impl<T: Bidding + Clone> Hand<'_, T> {
    fn run(mut self) -> Arrived {
        let mut routed: Vec<Vec<&T>> = vec![Vec::with_capacity(CHUNK); self.to.len()];
        let mut to = std::mem::take(&mut self.to);
        for _ in 0..self.passes {
            for chunk in self.records.chunks(CHUNK) {
                if matches!(self.exchange, Exchange::OneHop | Exchange::Broadcast) {
                    to.iter_mut().for_each(|to| self.send(to, chunk.iter()));
                } else {
                    self.route(chunk, &mut routed);
                    for (to, routed) in to.iter_mut().zip(&mut routed) {
                        self.send(to, routed.drain(..));
                    }
                }
                self.receive();
            }
        }
        drop(to);
        let idle = Backoff::new();
        while !self.from.iter().all(Consumer::is_abandoned) {
            if self.receive() {
                idle.reset();
            }
            idle.snooze();
        }
        // What a thread wrote before it left can be seen from here on.
        fence(Acquire);
        self.receive();
        self.arrived
    }

    /// Deals the records of a chunk out to the receivers.
    fn route<'b>(&self, chunk: &'b [T], routed: &mut [Vec<&'b T>]) {
        let receivers = routed.len();
        for (index, record) in chunk.iter().enumerate() {
            let receiver = match self.exchange {
                Exchange::Keyed => {
                    let hash = record.auction().wrapping_mul(0x9E37_79B9_7F4A_7C15);
                    (hash >> 32) as usize % receivers
                }
                _ => index % receivers,
            };
            routed[receiver].push(record);
        }
    }

    /// Writes all these records to a ring, and receives while that has no room.
    fn send<'b>(&mut self, to: &mut Producer<T>, mut records: impl ExactSizeIterator<Item = &'b T>)
    where
        T: 'b,
    {
        let idle = Backoff::new();
        while records.len() > 0 {
            let room = to.slots().min(records.len());
            if room == 0 {
                self.receive();
                idle.snooze();
                continue;
            }
            idle.reset();
            let chunk = to.write_chunk_uninit(room).expect("there is room");
            chunk.fill_from_iter(records.by_ref().take(room).cloned());
        }
    }

    /// Reads whatever has arrived; returns whether anything has.
    fn receive(&mut self) -> bool {
        let before = self.arrived.count;
        for from in &mut self.from {
            let ready = from.slots();
            let chunk = from.read_chunk(ready).expect("that many are there");
            let (first, second) = chunk.as_slices();
            for record in first.iter().chain(second) {
                self.arrived.add(1, record.digest());
            }
            chunk.commit_all();
        }
        self.arrived.count > before
    }
}

pub(crate) fn by_hand<T>(
    exchange: Exchange,
    parts: &[Arc<[T]>],
    passes: usize,
) -> (Duration, Arrived)
where
    T: Bidding + Clone + Send + Sync,
{
    let hand = |records, to, from| Hand {
        exchange,
        records,
        passes,
        to,
        from,
        arrived: Arrived::default(),
    };
    let ring = || RingBuffer::new(RING_BYTES / size_of::<T>());
    let (first, second) = if let [part] = parts {
        let (to, from) = ring();
        let nothing: &[T] = &[];
        (
            hand(part, vec![to], vec![]),
            hand(nothing, vec![], vec![from]),
        )
    } else {
        let [(to_self, from_self), (there, arriving)] = [ring(), ring()];
        let [(back, returning), (to_other, from_other)] = [ring(), ring()];
        (
            hand(&parts[0], vec![to_self, there], vec![from_self, returning]),
            hand(&parts[1], vec![back, to_other], vec![arriving, from_other]),
        )
    };
    let (mut arrived, other, took) = on_two_cores(|| first.run(), || second.run());
    arrived.add(other.count, other.sum);
    (took, arrived)
}
