//! What overtaking barriers rely on: reserved room, and frames that are looked at but not taken.

use proptest::prelude::*;

use super::*;
use crate::record::FrameKind;
use crate::time::Timestamp;

fn push(producer: &mut Producer, time: i64, length: usize) -> Result<(), RingError> {
    producer.push(FrameKind::RECORD, 0, Timestamp(time), &vec![7; length])
}

fn push_reserved(producer: &mut Producer, time: i64) -> Result<(), RingError> {
    producer.push_reserved(FrameKind::BARRIER, 3, Timestamp(time))
}

fn unread(consumer: &mut Consumer, from: u64) -> (Vec<i64>, u64) {
    let mut unread = consumer.unread(from);
    let mut times = Vec::new();
    while let Some(frame) = unread.next() {
        times.push(frame.header.time.0);
    }
    (times, unread.position())
}

fn take_to(consumer: &mut Consumer, end: u64, limit: usize) -> Vec<i64> {
    let mut batch = consumer.read_to(end);
    let frames = batch.frames().take(limit);
    frames.map(|frame| frame.header.time.0).collect()
}

#[test]
fn frame_gets_into_a_full_ring_if_room_is_kept_for_it() {
    for before in 0..12 {
        let (mut producer, mut consumer) = ring(RingOptions::new().capacity(160).reserve(2));
        // The ring is full at a different place each time.
        for _ in 0..before {
            push(&mut producer, -1, 0).unwrap();
            producer.publish();
            assert_eq!(consumer.read().frames().count(), 1);
        }
        let mut pushed = 0;
        while push(&mut producer, pushed, 0).is_ok() {
            pushed += 1;
        }
        assert_eq!(pushed, 10, "the reserve comes on top of the capacity");
        push_reserved(&mut producer, 100).unwrap();
        assert!(push(&mut producer, 101, 0).is_err(), "the rest is kept");
        push_reserved(&mut producer, 102).unwrap();
        assert!(push_reserved(&mut producer, 103).is_err());
        producer.publish();
        let mut expected: Vec<i64> = (0..pushed).chain([100, 102]).collect();
        let (seen, end) = unread(&mut consumer, 0);
        assert_eq!(seen, expected);
        let mut taken = take_to(&mut consumer, end, 3);
        while taken.len() < expected.len() {
            let more = take_to(&mut consumer, end, 3);
            assert!(!more.is_empty());
            taken.extend(more);
        }
        assert_eq!(taken, expected);
        expected.clear();
        while push(&mut producer, 7, 0).is_ok() {
            expected.push(7);
        }
        assert_eq!(expected.len(), 10, "the room is kept again");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 4 } else { 256 }))]

    #[test]
    fn unread_frames_are_those_that_will_be_taken_and_a_bound_is_kept(
        steps in proptest::collection::vec((0..4_u8, 0..50_usize), 1..if cfg!(miri) { 20 } else { 300 })
    ) {
        let (mut producer, mut consumer) = ring(RingOptions::new().capacity(256).reserve(1));
        let (mut next, mut waiting) = (0, std::collections::VecDeque::new());
        let mut logged: (Vec<i64>, u64) = (Vec::new(), 0);
        for (step, size) in steps {
            match step {
                0 => {
                    if push(&mut producer, next, size).is_ok() {
                        waiting.push_back(next);
                        next += 1;
                    }
                }
                1 => {
                    if push_reserved(&mut producer, next).is_ok() {
                        waiting.push_back(next);
                        next += 1;
                    }
                }
                2 => {
                    producer.publish();
                    let (more, end) = unread(&mut consumer, logged.1);
                    logged.0.extend(more);
                    logged.1 = end;
                    prop_assert_eq!(logged.0.last().copied().unwrap_or(-1), next - 1);
                }
                _ => {
                    producer.publish();
                    for time in take_to(&mut consumer, logged.1, size % 5) {
                        prop_assert_eq!(waiting.pop_front(), Some(time));
                        prop_assert!(logged.0.contains(&time), "read before it was looked at");
                    }
                }
            }
        }
    }
}
