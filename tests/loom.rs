//! Models of the ring: every interleaving and every outcome that the memory model allows, up to a bound on
//! preemptions (`LOOM_MAX_PREEMPTIONS`, here three unless stated otherwise).
//!
//! `RUSTFLAGS="--cfg loom" cargo test --release --test loom`
//!
//! Loom knows the ring's bytes in units of 16 (`ring/memory.rs`): a read that is not ordered after the write it sees,
//! or a write that is not ordered after the read it overwrites, fails the model, as does a worker that sleeps
//! forever.
#![cfg(loom)]

use loom::thread;
use thalweg::record::FrameKind;
use thalweg::ring::{Consumer, Parker, Producer, RingError, RingOptions, ring};
use thalweg::time::Timestamp;

/// The number of frames in the rings below: the minimum.
const FRAMES: u64 = 4;

fn model(body: impl Fn() + Send + Sync + 'static) {
    let executions = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
    let count = std::sync::Arc::clone(&executions);
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound.get_or_insert(3);
    builder.check(move || {
        count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        body();
    });
    println!("{executions:?} executions");
}

/// A ring of four frames of 8 payload bytes.
fn fixed() -> RingOptions {
    RingOptions::new().capacity(1).fixed_payload(8)
}

fn push(producer: &mut Producer, number: u64) -> Result<(), RingError> {
    let payload = number.to_ne_bytes();
    producer.push(FrameKind::RECORD, 0, Timestamp(number as i64), &payload)
}

/// Reads available frames, at most `limit`, and returns their number; they must continue from `next`.
fn read(consumer: &mut Consumer, next: u64, limit: usize) -> u64 {
    let mut count = 0;
    let mut batch = consumer.read();
    for frame in batch.frames().take(limit) {
        assert_eq!(frame.payload, (next + count).to_ne_bytes());
        assert_eq!(frame.header.time, Timestamp((next + count) as i64));
        count += 1;
    }
    batch.release();
    count
}

/// Reads until `count` frames have arrived, at most `limit` per batch.
fn read_all(mut consumer: Consumer, count: u64, limit: usize) {
    let mut seen = 0;
    while seen < count {
        let now = read(&mut consumer, seen, limit);
        seen += now;
        if now == 0 {
            thread::yield_now();
        }
    }
    assert!(consumer.is_empty());
}

#[test]
fn records_published_one_by_one_arrive_in_order() {
    model(|| {
        let (mut producer, consumer) = ring(fixed());
        let reader = thread::spawn(move || read_all(consumer, 3, usize::MAX));
        for number in 0..3 {
            push(&mut producer, number).unwrap();
            producer.publish();
        }
        reader.join().unwrap();
    });
}

#[test]
fn batches_arrive_whole_and_may_be_released_in_part() {
    model(|| {
        let (mut producer, consumer) = ring(fixed());
        let reader = thread::spawn(move || read_all(consumer, 4, 1));
        for batch in 0..2 {
            push(&mut producer, batch * 2).unwrap();
            push(&mut producer, batch * 2 + 1).unwrap();
            producer.publish();
        }
        reader.join().unwrap();
    });
}

#[test]
fn runs_arrive_whole() {
    model(|| {
        let (mut producer, consumer) = ring(fixed());
        let reader = thread::spawn(move || read_all(consumer, 3, usize::MAX));
        let mut run = producer.claim_run(8, 3).unwrap();
        let records = (0_u64..3).map(|number| (Timestamp(number as i64), number.to_ne_bytes()));
        assert_eq!(run.extend(FrameKind::RECORD, records), 3);
        run.commit();
        producer.publish();
        reader.join().unwrap();
    });
}

#[test]
fn released_room_is_written_again_after_the_wrap() {
    model(|| {
        let (mut producer, consumer) = ring(fixed());
        for number in 0..FRAMES {
            push(&mut producer, number).unwrap();
        }
        producer.publish();
        let reader = thread::spawn(move || read_all(consumer, FRAMES + 2, 2));
        for number in FRAMES..FRAMES + 2 {
            while let Err(error) = push(&mut producer, number) {
                assert!(matches!(error, RingError::Full { .. }));
                thread::yield_now();
            }
            producer.publish();
        }
        reader.join().unwrap();
    });
}

#[test]
fn padding_at_the_wrap_is_skipped() {
    model(|| {
        // 144 bytes: after six frames of 16 bytes and one of 32, a frame of 32 does not fit the
        // 16 bytes left.
        let (mut producer, mut consumer) = ring(RingOptions::new().capacity(144));
        for _ in 0..6 {
            let time = Timestamp(-1);
            producer.push(FrameKind::WATERMARK, 0, time, &[]).unwrap();
        }
        producer.publish();
        assert_eq!(consumer.read().frames().count(), 6);
        let reader = thread::spawn(move || read_all(consumer, 2, usize::MAX));
        for number in 0..2 {
            push(&mut producer, number).unwrap();
            producer.publish();
        }
        reader.join().unwrap();
    });
}

#[test]
fn consumer_sees_everything_published_before_the_close() {
    model(|| {
        let (mut producer, mut consumer) = ring(fixed());
        let writer = thread::spawn(move || {
            push(&mut producer, 0).unwrap();
            producer.publish();
            push(&mut producer, 1).unwrap();
        });
        let mut seen = 0;
        while !consumer.is_closed() {
            seen += read(&mut consumer, seen, usize::MAX);
            thread::yield_now();
        }
        assert_eq!(seen, 1, "the second was committed and not published");
        writer.join().unwrap();
    });
}

#[test]
fn producer_sees_the_consumer_go() {
    model(|| {
        let (mut producer, mut consumer) = ring(fixed());
        let reader = thread::spawn(move || {
            read(&mut consumer, 0, 1);
        });
        let mut number = 0;
        loop {
            match push(&mut producer, number) {
                Ok(()) => number += 1,
                Err(RingError::Closed) => break,
                Err(_) => thread::yield_now(),
            }
            producer.publish();
        }
        assert!(number >= FRAMES && producer.is_closed());
        reader.join().unwrap();
    });
}

/// In the models below, a worker that parks is always its own thread and never the one that joins: a late `unpark` is
/// harmless to `std`'s `join`, but makes loom's fail with an assertion.
fn spawn_consumer(
    mut parker: Parker,
    mut consumer: Consumer,
    count: u64,
) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        let mut seen = 0;
        while !consumer.is_closed() {
            let now = read(&mut consumer, seen, usize::MAX);
            seen += now;
            if now == 0 {
                let prepared = parker.prepare();
                if consumer.is_empty() && !consumer.is_closed() {
                    assert!(prepared.park(None));
                }
            }
        }
        assert_eq!(seen, count);
    })
}

#[test]
fn parked_consumer_is_woken_by_publish_and_by_close() {
    model(|| {
        let parker = Parker::new();
        let (mut producer, consumer) = ring(fixed().wake_consumer(Some(parker.waker())));
        let reader = spawn_consumer(parker, consumer, 1);
        push(&mut producer, 0).unwrap();
        producer.publish();
        drop(producer);
        reader.join().unwrap();
    });
}

#[test]
fn parked_consumer_is_woken_by_each_publish() {
    model(|| {
        let parker = Parker::new();
        let (mut producer, consumer) = ring(fixed().wake_consumer(Some(parker.waker())));
        let reader = spawn_consumer(parker, consumer, 2);
        for number in 0..2 {
            push(&mut producer, number).unwrap();
            producer.publish();
        }
        drop(producer);
        reader.join().unwrap();
    });
}

/// A producer that fills the ring and writes one frame more, parking while there is no room.
fn spawn_producer(mut parker: Parker, mut producer: Producer) -> thread::JoinHandle<bool> {
    for number in 0..FRAMES {
        push(&mut producer, number).unwrap();
    }
    producer.publish();
    thread::spawn(move || {
        while push(&mut producer, FRAMES).is_err() {
            if producer.is_closed() {
                return false;
            }
            let prepared = parker.prepare();
            if !producer.has_room(8) && !producer.is_closed() {
                assert!(prepared.park(None));
            }
        }
        producer.publish();
        true
    })
}

#[test]
fn parked_producer_is_woken_by_release() {
    model(|| {
        let parker = Parker::new();
        let (producer, consumer) = ring(fixed().wake_producer(Some(parker.waker())));
        let writer = spawn_producer(parker, producer);
        read_all(consumer, FRAMES + 1, usize::MAX);
        assert!(writer.join().unwrap());
    });
}

#[test]
fn parked_producer_is_woken_by_the_consumer_going() {
    model(|| {
        let parker = Parker::new();
        let (producer, consumer) = ring(fixed().wake_producer(Some(parker.waker())));
        let writer = spawn_producer(parker, producer);
        drop(consumer);
        assert!(!writer.join().unwrap());
    });
}

#[test]
fn worker_that_waits_for_two_rings_is_woken_by_either() {
    model(|| {
        let mut parker = Parker::new();
        let waker = Some(parker.waker());
        let (mut left, mut left_end) = ring(fixed().wake_consumer(waker.clone()));
        let (mut right, mut right_end) = ring(fixed().wake_consumer(waker));
        let worker = thread::spawn(move || {
            let mut seen = 0;
            while seen < 2 {
                let now = read(&mut left_end, 0, 1) + read(&mut right_end, 0, 1);
                seen += now;
                if now == 0 {
                    let prepared = parker.prepare();
                    if left_end.is_empty() && right_end.is_empty() {
                        assert!(prepared.park(None));
                    }
                }
            }
        });
        let one = thread::spawn(move || {
            push(&mut left, 0).unwrap();
            left.publish();
        });
        push(&mut right, 0).unwrap();
        right.publish();
        one.join().unwrap();
        worker.join().unwrap();
    });
}

#[test]
fn both_sides_park_and_neither_sleeps_for_ever() {
    model(|| {
        let (parker, reader_parker) = (Parker::new(), Parker::new());
        let options = fixed()
            .wake_producer(Some(parker.waker()))
            .wake_consumer(Some(reader_parker.waker()));
        let (producer, consumer) = ring(options);
        let reader = spawn_consumer(reader_parker, consumer, FRAMES + 1);
        let writer = spawn_producer(parker, producer);
        assert!(writer.join().unwrap());
        reader.join().unwrap();
    });
}

#[test]
fn stream_of_batches_released_one_by_one_arrives_in_order() {
    model(|| {
        let (mut producer, consumer) = ring(fixed());
        let reader = thread::spawn(move || read_all(consumer, 6, 1));
        for number in 0..6 {
            while push(&mut producer, number).is_err() {
                producer.publish();
                thread::yield_now();
            }
            if number % 2 == 1 {
                producer.publish();
            }
        }
        reader.join().unwrap();
    });
}
