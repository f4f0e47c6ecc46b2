//! The writing end of a ring of runs: records are written where the ring has them read.
#![expect(unsafe_code, reason = "lends the ring's memory to a run")]

use std::ptr::NonNull;

use super::Producer;
use crate::record::{FrameHeader, RunWriter, Wire};
use crate::time::Timestamp;

/// A [`Producer`] with a run that is being collected, in the ring's memory if there is room.
#[derive(Debug)]
pub(crate) struct RunProducer {
    producer: Producer,
    /// What is lent to it is the next frame's payload.
    run: RunWriter,
    /// The usual length of a run.
    usual: usize,
}

impl RunProducer {
    /// Creates a producer of runs of about `usual` bytes, or of a quarter of the largest payload that the ring takes.
    pub(crate) fn new(producer: Producer, usual: usize) -> Self {
        RunProducer {
            usual: usual.min(producer.payload_max() / 4),
            producer,
            run: RunWriter::default(),
        }
    }

    /// Appends a record to the run. Returns `false`, and does nothing, if a run has to be [begun](Self::begin) for it.
    #[inline(always)]
    pub(crate) fn push<V: Wire + ?Sized>(&mut self, record: &V, at: Timestamp) -> bool {
        self.run.push(record, at)
    }

    /// Begins a run with this record, after the previous one has been [ended](Self::end): in the ring, unless it must
    /// be `apart` or there is no room. Returns `false`, and does nothing, if the record should have a frame of its own.
    pub(crate) fn begin<V: Wire + ?Sized>(
        &mut self,
        record: &V,
        at: Timestamp,
        apart: bool,
    ) -> bool {
        assert!(self.run.is_empty() && !self.run.is_lent());
        let producer = &mut self.producer;
        let lend = |length| {
            if apart {
                return None;
            }
            let mut claim = producer.claim(length).ok()?;
            Some(NonNull::from(claim.payload()).cast())
        };
        // SAFETY: the claim found so many bytes, which are initialised and the producer's own until it commits
        // something. It commits nothing before the run is ended: nothing else can be done with it until then.
        unsafe { self.run.begin_in(record, at, self.usual, lend) && self.run.push(record, at) }
    }

    /// Ends the run, if there is one. If it is in the ring, it is committed; otherwise the frame to be pushed is
    /// returned, and the producer.
    pub(crate) fn end(&mut self) -> Option<(&mut Producer, FrameHeader, &[u8])> {
        if self.run.is_empty() {
            return None;
        }
        let is_in_place = self.run.is_lent();
        let (header, payload) = self.run.end();
        if !is_in_place {
            return Some((&mut self.producer, header, payload));
        }
        let claim = self.producer.claim(payload.len());
        let claim = claim.expect("room for as much was found when the run was begun");
        claim.commit(header.kind(), header.aux(), header.time, payload.len());
        None
    }

    /// The ring.
    pub(crate) fn ring(&self) -> &Producer {
        &self.producer
    }

    /// The ring, to send something else, after the run has been [ended](Self::end).
    ///
    /// # Panics
    /// If there is a run in the ring.
    #[inline]
    pub(crate) fn ring_mut(&mut self) -> &mut Producer {
        assert!(!self.run.is_lent(), "a run has been begun in the ring");
        &mut self.producer
    }
}
