//! What a ring guarantees, on one thread and on two.

use super::*;
use crate::record::{FrameKind, HEADER_SIZE, frame_size};
use crate::time::Timestamp;
use proptest::prelude::*;
use std::collections::VecDeque;
use std::thread;

/// A frame as the model holds it.
type Held = (Timestamp, Vec<u8>);

fn push(producer: &mut Producer, time: i64, payload: &[u8]) -> Result<(), RingError> {
    producer.push(FrameKind::RECORD, 7, Timestamp(time), payload)
}

/// Takes up to `limit` frames of one batch, which were checked to be upcoming.
fn take(consumer: &mut Consumer, limit: usize) -> Vec<Held> {
    let held = |frame: Frame<'_>| (frame.header.time, frame.payload.to_vec());
    let mut batch = consumer.read();
    let upcoming: Vec<_> = batch.frames().upcoming().map(held).collect();
    let taken: Vec<_> = batch.frames().take(limit).map(held).collect();
    assert_eq!(taken, upcoming[..limit.min(upcoming.len())]);
    taken
}

fn times(frames: &[Held]) -> Vec<i64> {
    frames.iter().map(|(time, _)| time.0).collect()
}

#[derive(Clone, Debug)]
enum Step {
    Push(usize),
    /// Claims, and commits with less.
    Claim(usize, usize),
    Run(usize, usize),
    Publish,
    Read(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let length = 0..80_usize;
    let step = prop_oneof![
        4 => length.clone().prop_map(Step::Push),
        2 => (length.clone(), 0..80_usize).prop_map(|(claim, less)| Step::Claim(claim, less)),
        1 => (length, 1..6_usize).prop_map(|(length, count)| Step::Run(length, count)),
        3 => Just(Step::Publish),
        4 => (0..8_usize).prop_map(Step::Read),
    ];
    proptest::collection::vec(step, 1..if cfg!(miri) { 20 } else { 400 })
}

/// The ring beside two queues: the committed frames, and the published ones.
struct Model {
    producer: Producer,
    consumer: Consumer,
    committed: VecDeque<Held>,
    published: VecDeque<Held>,
    next: i64,
}

impl Model {
    fn payload(&self, length: usize) -> Vec<u8> {
        (0..length)
            .map(|at| (self.next as usize * 31 + at) as u8)
            .collect()
    }

    fn hold(&mut self, payload: Vec<u8>) {
        self.committed.push_back((Timestamp(self.next), payload));
        self.next += 1;
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Push(length) => {
                let payload = self.payload(length);
                let room = self.producer.has_room(length);
                let pushed = push(&mut self.producer, self.next, &payload);
                assert_eq!(pushed.is_ok(), room);
                if room {
                    self.hold(payload);
                }
            }
            Step::Claim(length, less) => {
                let payload = self.payload(length.saturating_sub(less));
                let time = Timestamp(self.next);
                let Ok(mut claim) = self.producer.claim(length) else {
                    return;
                };
                assert_eq!(claim.payload().len(), length);
                claim.payload()[..payload.len()].copy_from_slice(&payload);
                claim.commit(FrameKind::RECORD, 7, time, payload.len());
                self.hold(payload);
            }
            Step::Run(length, count) => self.run(length, count),
            Step::Publish => {
                self.producer.publish();
                self.published.append(&mut self.committed);
            }
            Step::Read(limit) => {
                let frames = take(&mut self.consumer, limit);
                assert!(limit == 0 || self.published.is_empty() || !frames.is_empty());
                for frame in frames {
                    assert_eq!(Some(frame), self.published.pop_front());
                }
                assert_eq!(self.consumer.is_empty(), self.published.is_empty());
            }
        }
    }

    fn run(&mut self, length: usize, count: usize) {
        let first = self.next;
        let payloads: Vec<_> = (0..count)
            .map(|at| vec![(first as usize + at) as u8; length])
            .collect();
        let Ok(mut run) = self.producer.claim_run(length, count) else {
            return;
        };
        let room = run.remaining();
        assert!((1..=count).contains(&room));
        let records = (first..).map(Timestamp).zip(payloads.iter());
        assert_eq!(run.extend(FrameKind::RECORD, records), room);
        run.commit();
        for payload in payloads.into_iter().take(room) {
            self.hold(payload);
        }
    }
}

fn follow(options: RingOptions, steps: &[Step]) {
    let (producer, consumer) = ring(options);
    let mut model = Model {
        producer,
        consumer,
        committed: VecDeque::new(),
        published: VecDeque::new(),
        next: 0,
    };
    for step in steps {
        model.step(step);
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 3 } else { 400 },
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn frames_of_any_length_arrive_as_sent(steps in steps(), capacity in 320..700_usize) {
        follow(RingOptions::new().capacity(capacity), &steps);
    }

    #[test]
    fn frames_of_one_stride_arrive_as_sent(steps in steps(), capacity in 1..700_usize) {
        follow(RingOptions::new().capacity(capacity).fixed_payload(60), &steps);
    }
}

#[test]
fn header_arrives_as_sent() {
    let (mut producer, mut consumer) = ring(RingOptions::new());
    let time = Timestamp(i64::MIN + 1);
    let payload = [9; 33];
    producer
        .push(FrameKind::BARRIER, 0xabcdef, time, &payload)
        .unwrap();
    producer.publish();
    let mut batch = consumer.read();
    let frame = batch.frames().next().unwrap();
    assert_eq!(frame.header.kind(), FrameKind::BARRIER);
    assert_eq!(frame.header.aux(), 0xabcdef);
    assert_eq!(frame.header.time, time);
    assert_eq!(frame.header.length, 33);
    assert_eq!(frame.payload, payload);
    assert_eq!(frame.payload.as_ptr().addr() % 16, 0);
}

#[test]
fn signals_without_payload_arrive_between_records() {
    for options in [RingOptions::new(), RingOptions::new().fixed_payload(24)] {
        let (mut producer, mut consumer) = ring(options);
        push(&mut producer, 1, &[1; 24]).unwrap();
        let time = Timestamp(2);
        producer.push(FrameKind::WATERMARK, 0, time, &[]).unwrap();
        push(&mut producer, 3, &[3; 24]).unwrap();
        producer.publish();
        let frames = take(&mut consumer, 9);
        assert_eq!(times(&frames), [1, 2, 3]);
        assert!(frames[1].1.is_empty());
        assert_eq!(frames[2].1, [3; 24]);
    }
}

#[test]
fn nothing_is_seen_before_publish() {
    let (mut producer, mut consumer) = ring(RingOptions::new());
    push(&mut producer, 1, &[]).unwrap();
    assert!(consumer.is_empty() && consumer.read().is_empty());
    assert_eq!(producer.unpublished(), HEADER_SIZE);
    producer.publish();
    assert_eq!(producer.unpublished(), 0);
    assert_eq!(consumer.published(), HEADER_SIZE);
    assert!(!consumer.is_empty());
}

#[test]
fn dropped_claim_and_dropped_run_leave_nothing() {
    let (mut producer, mut consumer) = ring(RingOptions::new());
    producer.claim(100).unwrap().payload().fill(1);
    let mut run = producer.claim_run(8, 3).unwrap();
    run.push(FrameKind::RECORD, 0, Timestamp(1), &[1; 8]);
    drop(run);
    push(&mut producer, 2, &[]).unwrap();
    producer.publish();
    assert_eq!(times(&take(&mut consumer, 9)), [2]);
}

#[test]
fn ring_takes_exactly_its_capacity() {
    // Four strides of 64 bytes; and four quarters of 256.
    let fixed = RingOptions::new().capacity(200).fixed_payload(48);
    for options in [fixed, RingOptions::new().capacity(256)] {
        let (mut producer, mut consumer) = ring(options);
        for lap in 0..3 {
            assert_eq!(producer.free(), 256);
            for time in 0..4 {
                push(&mut producer, lap * 4 + time, &[0; 48]).unwrap();
            }
            assert_eq!(producer.free(), 0);
            assert!(!producer.has_room(0));
            let full = push(&mut producer, 0, &[0; 48]);
            assert_eq!(full, Err(RingError::Full { size: 64 }));
            producer.publish();
            assert_eq!(take(&mut consumer, 9).len(), 4);
        }
    }
}

#[test]
fn frame_that_does_not_fit_before_the_end_goes_to_the_start() {
    let (mut producer, mut consumer) = ring(RingOptions::new().capacity(256));
    for time in 0..3 {
        push(&mut producer, time, &[0; 48]).unwrap();
    }
    push(&mut producer, 3, &[0; 16]).unwrap();
    producer.publish();
    assert_eq!(take(&mut consumer, 3).len(), 3);
    // 32 bytes are left before the end, 192 in total.
    push(&mut producer, 4, &[4; 48]).unwrap();
    assert_eq!(producer.free(), 256 - 32 - 32 - 64);
    producer.publish();
    assert_eq!(times(&take(&mut consumer, 9)), [3]);
    assert_eq!(take(&mut consumer, 9), [(Timestamp(4), vec![4; 48])]);
    assert_eq!(producer.free(), 256);
}

#[test]
fn padding_alone_is_no_frame_and_is_given_back() {
    let (mut producer, mut consumer) = ring(RingOptions::new().capacity(256));
    for time in 0..3 {
        push(&mut producer, time, &[0; 48]).unwrap();
    }
    push(&mut producer, 3, &[0; 16]).unwrap();
    producer.publish();
    assert_eq!(take(&mut consumer, 9).len(), 4);
    // The claim wraps around the end, pads, and is dropped.
    drop(producer.claim(48).unwrap());
    producer.publish();
    assert!(consumer.read().is_empty() && consumer.is_empty());
    assert_eq!(producer.free(), 256);
    drop(producer);
    assert!(consumer.is_closed());
}

#[test]
fn batch_that_ends_in_padding_is_empty_after_its_last_frame() {
    let (mut producer, mut consumer) = ring(RingOptions::new().capacity(256));
    for time in 0..3 {
        push(&mut producer, time, &[0; 48]).unwrap();
    }
    push(&mut producer, 3, &[0; 16]).unwrap();
    producer.publish();
    assert_eq!(take(&mut consumer, 1).len(), 1);
    push(&mut producer, 4, &[0; 48]).unwrap();
    producer.publish();
    // The known frames end before the padding; the next ones begin with it.
    assert_eq!(take(&mut consumer, 2).len(), 2);
    let mut batch = consumer.read();
    let taken = batch.frames().take(1).count();
    assert_eq!((taken, batch.is_empty()), (1, true));
    batch.release();
    assert_eq!(times(&take(&mut consumer, 9)), [4]);
}

#[test]
fn payload_over_the_limit_is_told_from_a_full_ring() {
    let (mut producer, _consumer) = ring(RingOptions::new().capacity(1024));
    let limit = 1024 / 4 - HEADER_SIZE;
    assert_eq!(producer.payload_max(), limit);
    for size in [limit + 1, 1024, usize::MAX] {
        let error = producer.claim(size).unwrap_err();
        assert_eq!(error, RingError::TooLarge { size, limit });
        assert!(producer.claim_run(size, 1).is_err());
    }
    assert!(producer.claim(limit).is_ok());
}

#[test]
fn payload_over_the_stride_is_too_large() {
    let (mut producer, _consumer) = ring(RingOptions::new().fixed_payload(40));
    assert!(push(&mut producer, 0, &[0; 48]).is_ok());
    let too_large = RingError::TooLarge {
        size: 49,
        limit: 48,
    };
    assert_eq!(push(&mut producer, 0, &[0; 49]), Err(too_large));
}

#[test]
fn largest_frame_fits_an_empty_ring_wherever_it_stands() {
    let (mut producer, mut consumer) = ring(RingOptions::new().capacity(512));
    let largest = vec![1; producer.payload_max()];
    for lap in 0..32 {
        push(&mut producer, lap, &largest).unwrap();
        producer.publish();
        push(&mut producer, lap, &[]).unwrap();
        producer.publish();
        while !consumer.is_empty() {
            take(&mut consumer, 9);
        }
    }
}

#[test]
fn consumer_that_goes_closes_a_full_ring() {
    let (mut producer, consumer) = ring(RingOptions::new().capacity(64));
    drop(consumer);
    assert!(producer.is_closed());
    for time in 0..4 {
        push(&mut producer, time, &[]).unwrap();
    }
    assert_eq!(push(&mut producer, 4, &[]), Err(RingError::Closed));
}

#[test]
fn producer_that_goes_leaves_what_it_published() {
    let (mut producer, mut consumer) = ring(RingOptions::new());
    push(&mut producer, 1, &[]).unwrap();
    producer.publish();
    push(&mut producer, 2, &[]).unwrap();
    drop(producer);
    assert!(!consumer.is_closed());
    assert_eq!(times(&take(&mut consumer, 9)), [1]);
    assert!(consumer.is_closed());
}

#[test]
fn only_the_frames_taken_are_released() {
    for options in [RingOptions::new(), RingOptions::new().fixed_payload(16)] {
        let (mut producer, mut consumer) = ring(options);
        let capacity = producer.capacity();
        for time in 0..5 {
            push(&mut producer, time, &[0; 16]).unwrap();
        }
        producer.publish();
        let mut batch = consumer.read();
        assert_eq!(batch.size(), 5 * 32);
        let mut frames = batch.frames();
        frames.next();
        assert_eq!(frames.peek().unwrap().header.time, Timestamp(1));
        frames.next();
        assert_eq!(producer.free(), capacity - 5 * 32);
        batch.release();
        assert_eq!(producer.free(), capacity - 3 * 32);
        drop(consumer.read());
        assert_eq!(producer.free(), capacity - 3 * 32);
        assert_eq!(times(&take(&mut consumer, 9)), [2, 3, 4]);
        assert_eq!(producer.free(), capacity);
    }
}

#[test]
fn look_ahead_sees_what_is_published_and_contiguous() {
    let options = RingOptions::new().capacity(4 * 32).fixed_payload(16);
    let (mut producer, mut consumer) = ring(options);
    let payload = |time: i64| [time as u8; 16];
    for time in 0..3 {
        push(&mut producer, time, &payload(time)).unwrap();
    }
    producer.publish();
    let mut batch = consumer.read();
    let mut frames = batch.frames();
    assert_eq!(frames.ahead(0), Some(&payload(0)[..]));
    assert_eq!(frames.ahead(2), Some(&payload(2)[..]));
    frames.next();
    assert_eq!(frames.ahead(1), Some(&payload(2)[..]));
    assert_eq!(frames.ahead(2), None);
    assert_eq!(frames.ahead(usize::MAX), None);
    assert_eq!(frames.count(), 2);
    batch.release();
    for time in 3..6 {
        push(&mut producer, time, &payload(time)).unwrap();
    }
    producer.publish();
    // One frame before the ring's end, two after it.
    assert_eq!(consumer.read().frames().ahead(1), None);
    assert_eq!(times(&take(&mut consumer, 9)), [3]);
    assert_eq!(consumer.read().frames().ahead(1), Some(&payload(5)[..]));
}

#[test]
fn frames_of_any_length_are_not_looked_ahead_at() {
    let (mut producer, mut consumer) = ring(RingOptions::new());
    push(&mut producer, 0, &[]).unwrap();
    producer.publish();
    assert_eq!(consumer.read().frames().ahead(0), None);
}

#[test]
#[should_panic(expected = "more committed than claimed")]
fn commit_of_more_than_was_claimed_panics() {
    let (mut producer, _consumer) = ring(RingOptions::new());
    let claim = producer.claim(8).unwrap();
    claim.commit(FrameKind::RECORD, 0, Timestamp(0), 9);
}

#[test]
#[should_panic(expected = "pad frames are the ring's own")]
fn pad_frame_from_outside_panics() {
    let (mut producer, _consumer) = ring(RingOptions::new());
    let _ = producer.push(FrameKind::PAD, 0, Timestamp(0), &[]);
}

/// Sends `count` frames of varying length through a small ring, with both sides parking.
fn stress(options: RingOptions, count: i64) {
    let length = |time: i64| (time * 7 % 49) as usize;
    let (parker, reader_parker) = (Parker::new(), Parker::new());
    let options = options
        .wake_consumer(Some(reader_parker.waker()))
        .wake_producer(Some(parker.waker()));
    let (mut producer, mut consumer) = ring(options);
    let reader = thread::spawn(move || {
        let mut idle = Idle::new(WaitStrategy::default(), reader_parker);
        let mut next = 0;
        while !consumer.is_closed() {
            let mut batch = consumer.read();
            if batch.is_empty() {
                drop(batch);
                idle.wait(|| !consumer.is_empty() || consumer.is_closed(), None);
                continue;
            }
            idle.reset();
            for frame in batch.frames().take(5) {
                assert_eq!(frame.header.time, Timestamp(next));
                assert_eq!(frame.payload.len(), length(next));
                assert!(frame.payload.iter().all(|byte| *byte == next as u8));
                next += 1;
            }
        }
        assert_eq!(next, count);
    });
    let mut idle = Idle::new(WaitStrategy::default(), parker);
    for time in 0..count {
        let payload = vec![time as u8; length(time)];
        while push(&mut producer, time, &payload).is_err() {
            producer.publish();
            idle.wait(|| producer.has_room(payload.len()), None);
        }
        idle.reset();
        if time % 3 == 0 {
            producer.publish();
        }
    }
    producer.publish();
    drop(producer);
    reader.join().unwrap();
}

#[test]
fn two_threads_hand_over_every_frame_in_order() {
    let count = if cfg!(miri) { 30 } else { 20_000 };
    stress(RingOptions::new().capacity(frame_size(48) * 5), count);
    stress(RingOptions::new().capacity(1).fixed_payload(48), count);
}
