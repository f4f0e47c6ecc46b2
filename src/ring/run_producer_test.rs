//! Records come out of a ring of runs as they went in, wherever their run was collected.

use std::collections::VecDeque;

use proptest::collection::vec;
use proptest::prelude::*;

use super::{Consumer, RingError, RingOptions, RunProducer, ring};
use crate::record::{FrameHeader, FrameKind, Wire, visit_run};
use crate::time::Timestamp;

/// A frame that the ring had no room for.
type Kept = (FrameHeader, Vec<u8>);

/// Sends through a small ring, and keeps what does not fit.
struct Sender {
    ring: RunProducer,
    kept: VecDeque<Kept>,
    /// How many runs were collected in the ring, and how many apart from it.
    runs: [usize; 2],
}

impl Sender {
    fn send<V: Wire + ?Sized>(&mut self, record: &V, at: Timestamp) {
        if self.ring.push(record, at) {
            return;
        }
        self.end();
        if !self.ring.begin(record, at, !self.kept.is_empty()) {
            let payload = record.as_bytes();
            let header = FrameHeader::new(FrameKind::RECORD, 0, payload.len() as u32, at);
            self.kept.push_back((header, payload.to_vec()));
            self.push_kept();
        }
    }

    fn end(&mut self) {
        let before = self.ring.ring().unpublished();
        match self.ring.end() {
            Some((_, header, payload)) => {
                self.kept.push_back((header, payload.to_vec()));
                self.runs[1] += 1;
            }
            None => self.runs[0] += usize::from(self.ring.ring().unpublished() > before),
        }
        self.push_kept();
    }

    /// Pushes what fits.
    fn push_kept(&mut self) {
        let ring = self.ring.ring_mut();
        while let Some((header, payload)) = self.kept.front() {
            match ring.push(header.kind(), header.aux(), header.time, payload) {
                Ok(()) => self.kept.pop_front(),
                Err(RingError::Full { .. }) => break,
                Err(error) => panic!("{error}"),
            };
        }
        ring.publish();
    }
}

/// Reads everything that has been published.
fn receive<V: Wire + ?Sized>(consumer: &mut Consumer, received: &mut Vec<(Vec<u8>, Timestamp)>) {
    for frame in consumer.read().frames() {
        let header = frame.header;
        let mut visit = |record: &V, at| received.push((record.as_bytes().to_vec(), at));
        if header.kind() == FrameKind::RECORD {
            visit(V::from_bytes(frame.payload).expect("a record"), header.time);
        } else {
            visit_run(header, frame.payload, &mut visit).expect("a run");
        }
    }
}

/// Sends records, some of which are followed by the end of the run and some by a look into the ring; returns how many
/// runs were collected in the ring, and how many apart.
fn check<V: Wire + ?Sized>(records: &[(&V, Timestamp, [bool; 2])]) -> [usize; 2] {
    let (producer, mut consumer) = ring(RingOptions::new().capacity(2048));
    let mut sender = Sender {
        ring: RunProducer::new(producer, 4096),
        kept: VecDeque::new(),
        runs: [0; 2],
    };
    let mut received = Vec::new();
    for &(record, at, [ends, reads]) in records {
        sender.send(record, at);
        if ends {
            sender.end();
        }
        if reads {
            receive::<V>(&mut consumer, &mut received);
        }
    }
    sender.end();
    while received.len() < records.len() {
        receive::<V>(&mut consumer, &mut received);
        sender.push_kept();
    }
    let sent = records.iter();
    let sent: Vec<_> = sent
        .map(|(r, at, _)| (r.as_bytes().to_vec(), *at))
        .collect();
    assert_eq!(received, sent);
    sender.runs
}

/// What is done after a record: the run is ended, the ring is read.
fn after() -> impl Strategy<Value = [bool; 2]> {
    (prop::bool::weighted(0.1), prop::bool::weighted(0.05)).prop_map(Into::into)
}

/// Timestamps, of which many are none.
fn times() -> impl Strategy<Value = Timestamp> {
    prop_oneof![9 => Just(Timestamp::MIN), 1 => (0..9i64).prop_map(Timestamp)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 4 } else { 128 }))]

    #[test]
    fn records_of_one_length_arrive_in_order(records in vec((any::<[u64; 2]>(), times(), after()), 0..600)) {
        let records: Vec<_> = records.iter().map(|(r, at, after)| (r, *at, *after)).collect();
        check(&records);
    }

    #[test]
    fn records_of_any_length_arrive_in_order(records in vec(("[a-z]{0,60}", times(), after()), 0..600)) {
        let records: Vec<_> = records.iter().map(|(r, at, after)| (&**r, *at, *after)).collect();
        check(&records);
    }
}

#[test]
fn runs_are_collected_in_the_ring_while_there_is_room() {
    let records: Vec<u64> = (0..4000).collect();
    let send = |reads| {
        let records = records.iter().map(|r| (r, Timestamp::MIN, [false, reads]));
        check(&records.collect::<Vec<_>>())
    };
    assert_eq!(send(true), [65, 0]);
    let [in_place, apart] = send(false);
    assert!(in_place > 0 && apart > 0, "{in_place} and {apart}");
}

#[test]
#[should_panic(expected = "a run has been begun in the ring")]
fn nothing_is_sent_between_the_records_of_a_run() {
    let (producer, _consumer) = ring(RingOptions::new());
    let mut producer = RunProducer::new(producer, 4096);
    producer.begin(&1u64, Timestamp::MIN, false);
    producer.ring_mut();
}
