//! Records on their way to the subtask that owns their key: a ring for every pair of subtasks, filled
//! and drained in chunks.

use harness::BLOCK_RECORDS;
use rtrb::{Consumer, Producer, RingBuffer};

/// Records a ring holds: 512 KiB of 16-byte ones, which both sides' caches hold.
const RING_RECORDS: usize = 32 << 10;

/// The subtask that owns `key`. Its bits are not those by which a table places the key.
#[inline(always)]
pub(crate) fn owner(key: u64, parallelism: usize) -> usize {
    let product = u128::from(key ^ 0x13198A2E_03707344) * 0xD6E8_FEB8_6659_FD93;
    let hash = (product as u64) ^ ((product >> 64) as u64);
    ((u128::from(hash) * parallelism as u128) >> 64) as usize
}

/// How many of `keys` to make room for at one of their owners: a share is not exact, so a twentieth more, and some for
/// the few.
pub(crate) fn share(keys: usize, parallelism: usize) -> usize {
    let share = keys.div_ceil(parallelism);
    share + share / 20 + 100
}

/// One subtask's ends of all the rings it has.
pub(crate) struct Exchange<T> {
    index: usize,
    /// To every other subtask.
    outgoing: Vec<Option<Producer<T>>>,
    /// From every other subtask.
    incoming: Vec<(usize, Consumer<T>)>,
    /// A block's records by owner, of which `counts` are in use.
    staged: Vec<[T; BLOCK_RECORDS]>,
    counts: Vec<usize>,
}

impl<T: Copy + Default> Exchange<T> {
    /// The ends of every subtask.
    pub(crate) fn new(parallelism: usize) -> impl Iterator<Item = Self> {
        let mut ends: Vec<_> = (0..parallelism)
            .map(|index| Exchange {
                index,
                outgoing: (0..parallelism).map(|_| None).collect(),
                incoming: Vec::new(),
                staged: vec![[T::default(); BLOCK_RECORDS]; parallelism],
                counts: vec![0; parallelism],
            })
            .collect();
        for from in 0..parallelism {
            for to in (0..parallelism).filter(|to| *to != from) {
                let (producer, consumer) = RingBuffer::new(RING_RECORDS);
                ends[from].outgoing[to] = Some(producer);
                ends[to].incoming.push((from, consumer));
            }
        }
        ends.into_iter()
    }

    /// Deals a block out by owner. What is this subtask's own goes to `arrived` at once, and so does
    /// whatever the others have sent meanwhile, with the index of its sender.
    #[inline(always)]
    pub(crate) fn send<R>(
        &mut self,
        block: &[R],
        deal: impl Fn(&R) -> (usize, T),
        mut arrived: impl FnMut(usize, &[T]),
    ) {
        self.counts.fill(0);
        for record in block {
            let (owner, sent) = deal(record);
            // No branch: which way a record goes cannot be predicted.
            self.staged[owner][self.counts[owner] % BLOCK_RECORDS] = sent;
            self.counts[owner] += 1;
        }
        for to in 0..self.staged.len() {
            let mut at = 0;
            while to != self.index && at < self.counts[to] {
                let producer = self.outgoing[to]
                    .as_mut()
                    .expect("a ring to every other subtask");
                let (sent, _) = producer.push_partial_slice(&self.staged[to][at..self.counts[to]]);
                at += sent.len();
                if sent.is_empty() && drain(&mut self.incoming, &mut arrived) == 0 {
                    std::thread::yield_now();
                }
            }
        }
        arrived(
            self.index,
            &self.staged[self.index][..self.counts[self.index]],
        );
        drain(&mut self.incoming, &mut arrived);
    }

    /// Tells the others that no more will be sent, and takes in what they still send.
    #[inline(always)]
    pub(crate) fn finish(&mut self, mut arrived: impl FnMut(usize, &[T])) {
        self.outgoing.clear();
        while !self.incoming.is_empty() {
            // Whether a ring is abandoned is asked before it is found empty, so that nothing is lost.
            let ended = self
                .incoming
                .iter()
                .map(|(_, consumer)| consumer.is_abandoned());
            let ended: Vec<_> = ended.collect();
            if drain(&mut self.incoming, &mut arrived) == 0 {
                let mut ended = ended.into_iter();
                self.incoming.retain(|_| !ended.next().unwrap_or(false));
                std::thread::yield_now();
            }
        }
    }
}

/// Hands over what has arrived, and says how much that was.
#[inline(always)]
fn drain<T>(incoming: &mut [(usize, Consumer<T>)], arrived: &mut impl FnMut(usize, &[T])) -> usize {
    let mut count = 0;
    for (from, consumer) in incoming {
        let ready = consumer.slots();
        if ready == 0 {
            continue;
        }
        let chunk = consumer.read_chunk(ready).expect("that many are ready");
        let (first, second) = chunk.as_slices();
        arrived(*from, first);
        arrived(*from, second);
        chunk.commit_all();
        count += ready;
    }
    count
}
