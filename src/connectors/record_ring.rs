//! A ring of records of one type, between a job and the program around it.
//!
//! The only file on this floor that reads bytes in place: what goes in is the bytes of a `V`, so what comes out is a
//! `V`.
#![expect(unsafe_code, reason = "reads records in place from their own bytes")]

use std::collections::VecDeque;
use std::fmt;
use std::marker::PhantomData;

use crate::record::{FrameKind, Wire, in_place};
use crate::ring::{Consumer, Producer, RingError, RingOptions, Waker, ring};
use crate::time::Timestamp;

/// The producing end of a record ring.
pub(super) struct RecordProducer<V: ?Sized> {
    producer: Producer,
    /// The bytes of records that did not fit, one after another.
    spilled: Vec<u8>,
    /// The offset of the first of them in `spilled`.
    spilled_start: usize,
    /// The length and timestamp of each.
    spilled_records: VecDeque<(usize, Timestamp)>,
    record: PhantomData<fn(&V)>,
}

/// The consuming end of a record ring.
pub(super) struct RecordConsumer<V: ?Sized> {
    consumer: Consumer,
    record: PhantomData<fn(&V)>,
}

impl<V: ?Sized> fmt::Debug for RecordProducer<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.producer.fmt(f)
    }
}

impl<V: ?Sized> fmt::Debug for RecordConsumer<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.consumer.fmt(f)
    }
}

/// Creates a ring of about `capacity` bytes, of which each record uses 16 for a header.
pub(super) fn record_ring<V: Wire + ?Sized>(
    capacity: usize,
) -> (RecordProducer<V>, RecordConsumer<V>) {
    let options = RingOptions::new().capacity(capacity);
    let (producer, consumer) = ring(match V::LENGTH {
        Some(length) => options.fixed_payload(length),
        None => options,
    });
    let producer = RecordProducer {
        producer,
        spilled: Vec::new(),
        spilled_start: 0,
        spilled_records: VecDeque::new(),
        record: PhantomData,
    };
    let consumer = RecordConsumer {
        consumer,
        record: PhantomData,
    };
    (producer, consumer)
}

impl<V: Wire + ?Sized> RecordProducer<V> {
    /// Writes a record, which becomes visible with [`publish`](RecordProducer::publish).
    #[inline]
    pub(super) fn push(&mut self, record: &V, at: Timestamp) -> Result<(), RingError> {
        let payload = record.as_bytes();
        self.producer.push(FrameKind::RECORD, 0, at, payload)
    }

    /// Writes a record, or spills it if the ring is full or other records are already spilled.
    #[inline]
    pub(super) fn push_or_spill(&mut self, record: &V, at: Timestamp) -> Result<(), RingError> {
        if self.spilled_records.is_empty() {
            match self.push(record, at) {
                Err(RingError::Full { .. }) => {}
                done => return done,
            }
        }
        self.spill(record.as_bytes(), at);
        Ok(())
    }

    #[cold]
    fn spill(&mut self, payload: &[u8], at: Timestamp) {
        self.spilled.extend_from_slice(payload);
        self.spilled_records.push_back((payload.len(), at));
    }

    /// Writes spilled records while there is room.
    pub(super) fn drain_spilled(&mut self) -> Result<(), RingError> {
        while let Some(&(length, at)) = self.spilled_records.front() {
            let end = self.spilled_start + length;
            let payload = &self.spilled[self.spilled_start..end];
            match self.producer.push(FrameKind::RECORD, 0, at, payload) {
                Err(RingError::Full { .. }) => return Ok(()),
                done => done?,
            }
            self.spilled_start = end;
            self.spilled_records.pop_front();
        }
        self.spilled.clear();
        self.spilled_start = 0;
        Ok(())
    }

    /// Whether there are spilled records.
    #[inline(always)]
    pub(super) fn has_spilled(&self) -> bool {
        !self.spilled_records.is_empty()
    }

    /// Makes what was written visible to the reader.
    #[inline]
    pub(super) fn publish(&mut self) {
        self.producer.publish();
    }

    /// Whether the reader is gone.
    pub(super) fn is_closed(&self) -> bool {
        self.producer.is_closed()
    }

    pub(super) fn set_consumer_waker(&mut self, waker: Option<Waker>) {
        self.producer.set_consumer_waker(waker);
    }
}

impl<V: Wire + ?Sized> RecordConsumer<V> {
    /// Passes published, contiguous records to `take` until it returns `false`; returns their number, which is zero
    /// only if there are none.
    #[inline]
    pub(super) fn read(&mut self, mut take: impl FnMut(&V, Timestamp) -> bool) -> usize {
        let mut count = 0;
        let mut batch = self.consumer.read();
        for frame in batch.frames() {
            // SAFETY: every frame of this ring was written by `RecordProducer<V>`, made together
            // with this end in `record_ring`, from `V::as_bytes`; a ring aligns payloads to 16
            // bytes.
            let record = unsafe { in_place::<V>(frame.payload) };
            count += 1;
            if !take(record, frame.header.time) {
                break;
            }
        }
        count
    }

    /// Whether there is currently nothing to read.
    pub(super) fn is_empty(&mut self) -> bool {
        self.consumer.is_empty()
    }

    /// Whether the writer is gone and everything it published has been read.
    pub(super) fn is_closed(&mut self) -> bool {
        self.consumer.is_closed()
    }

    pub(super) fn set_producer_waker(&mut self, waker: Option<Waker>) {
        self.consumer.set_producer_waker(waker);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kept_records_come_out_in_order_with_their_timestamps() {
        let (mut producer, mut consumer) = record_ring::<str>(128);
        let words = (0..50).map(|n| "x".repeat(n % 17)).collect::<Vec<_>>();
        for (at, word) in words.iter().enumerate() {
            producer.push_or_spill(word, Timestamp(at as i64)).unwrap();
        }
        assert!(producer.has_spilled());
        let mut found = Vec::new();
        while found.len() < words.len() {
            producer.drain_spilled().unwrap();
            producer.publish();
            consumer.read(|word, at| {
                assert_eq!(at, Timestamp(found.len() as i64));
                found.push(word.to_owned());
                found.len() % 5 != 0
            });
        }
        assert_eq!(found, words);
        assert!(!producer.has_spilled() && producer.spilled.is_empty());
    }
}
