//! The job's end of a durable inlet.

use std::collections::VecDeque;
use std::marker::PhantomData;
use std::sync::Arc;

use crate::connectors::splits::{Position, PositionReader};
use crate::operator::{
    BoxError, Collector, CommitQueue, OpenContext, Push, Source, SourceReader, SourceStatus,
};
use crate::record::{Far, Record, Wire};

use super::DurableInletError;
use super::frame::take_record;
use super::inlet::Shared;
use super::log::{LogFiles, Segment};

/// How error messages refer to this source.
const NAME: &str = "a durable inlet";

/// The job's end of a [`DurableInlet`](super::DurableInlet): a source of parallelism 1 that ends when all inlets are
/// dropped and everything has been read.
#[derive(Debug)]
pub struct DurableInletSource<T: ?Sized> {
    files: LogFiles,
    shared: Arc<Shared>,
    record: PhantomData<fn(&T)>,
}

impl<T: ?Sized> DurableInletSource<T> {
    pub(super) fn new(files: LogFiles, shared: Arc<Shared>) -> Self {
        DurableInletSource {
            files,
            shared,
            record: PhantomData,
        }
    }
}

impl<T: Record + ?Sized> Source for DurableInletSource<T> {
    type Out = Far<T>;
    type Reader = DurableInletReader<T>;

    fn max_parallelism(&self) -> u32 {
        1
    }

    fn is_bounded(&self) -> bool {
        false
    }

    fn check_positions(&self) -> Result<(), BoxError> {
        Ok(())
    }

    fn reader(&self, _index: u32, _parallelism: u32) -> DurableInletReader<T> {
        DurableInletReader {
            files: self.files.clone(),
            shared: Arc::clone(&self.shared),
            next: None,
            segment: None,
            body: Vec::new(),
            read: 0,
            last: 0,
            removals: CommitQueue::default(),
            positions: VecDeque::new(),
            record: PhantomData,
        }
    }
}

/// Reads the log of a durable inlet.
#[derive(Debug)]
pub struct DurableInletReader<T: ?Sized> {
    files: LogFiles,
    shared: Arc<Shared>,
    /// The number of the next record; `None` until the beginning of the log is known.
    next: Option<u64>,
    segment: Option<Segment>,
    /// The records of the current frame, and how many of its bytes have been read.
    body: Vec<u128>,
    read: usize,
    /// One past the number of the current frame's last record.
    last: u64,
    /// Removes segments covered by complete checkpoints, on another thread.
    removals: CommitQueue,
    /// The reader's positions at the barriers of incomplete checkpoints, in order.
    positions: VecDeque<(u64, u64)>,
    record: PhantomData<fn(&T)>,
}

impl<T: Record + ?Sized> DurableInletReader<T> {
    /// Opens the segment that contains the record `next`.
    fn open_segment(&mut self, next: u64) -> Result<&mut Segment, DurableInletError> {
        let all = self.files.segments()?;
        let own = all.iter().rev().find(|first| **first <= next);
        let first = *own.ok_or(DurableInletError::Removed {
            first: all.first().copied().unwrap_or(0),
            wanted: next,
        })?;
        Ok(self.segment.insert(self.files.open(first)?))
    }

    /// Reads the frame that contains the record `next`, which is on the disk.
    fn read_frame(&mut self, next: u64) -> Result<(), DurableInletError> {
        loop {
            let segment = match &mut self.segment {
                Some(segment) => segment,
                None => self.open_segment(next)?,
            };
            let (path, offset) = (segment.path.clone(), segment.offset);
            let Some(frame) = segment.next()? else {
                // The next segment must start with this record; if it does not exist, the current one is damaged.
                if self.open_segment(next)?.path == path {
                    return Err(DurableInletError::damaged(&path, offset));
                }
                continue;
            };
            let (first, end) = (frame.header.first, frame.header.first + frame.header.count);
            if first > next {
                return Err(DurableInletError::damaged(&path, offset));
            }
            if next < end {
                (self.body, self.read, self.last) = (frame.body, 0, end);
                let bytes: &[u8] = bytemuck::cast_slice(&self.body);
                let mut rest = bytes;
                for _ in first..next {
                    take_record(&mut rest).ok_or(DurableInletError::damaged(&path, offset))?;
                }
                self.read = bytes.len() - rest.len();
                return Ok(());
            }
        }
    }

    /// Emits records of the frame while the output has room. Returns the number of the next record.
    fn emit<D: Push<Far<T>>>(
        &mut self,
        mut next: u64,
        out: &mut Collector<'_, D>,
    ) -> Result<u64, BoxError> {
        let bytes: &[u8] = bytemuck::cast_slice(&self.body);
        let mut rest = &bytes[self.read..];
        while next < self.last && out.ready() {
            let (at, payload) =
                take_record(&mut rest).ok_or("a frame has fewer records than it says")?;
            out.emit_at(Far::<T>::from_bytes(payload)?, at);
            next += 1;
        }
        self.read = bytes.len() - rest.len();
        Ok(next)
    }
}

impl<T: Record + ?Sized> SourceReader for DurableInletReader<T> {
    type Out = Far<T>;

    fn open(&mut self, cx: &OpenContext) -> Result<(), BoxError> {
        let first = self.files.segments()?.first().copied().unwrap_or(0);
        let (wanted, end) = (*self.next.get_or_insert(first), self.shared.durable());
        if wanted < first {
            return Err(DurableInletError::Removed { first, wanted }.into());
        }
        if wanted > end {
            return Err(DurableInletError::Shorter { end, wanted }.into());
        }
        self.last = wanted;
        self.removals = CommitQueue::new(cx);
        self.shared.set_waker(cx.waker.clone());
        Ok(())
    }

    fn poll<D: Push<Far<T>>>(
        &mut self,
        out: &mut Collector<'_, D>,
    ) -> Result<SourceStatus, BoxError> {
        let mut next = self.next.ok_or("the reader is not open")?;
        while out.ready() {
            if next == self.last {
                // The order matters: records made durable before the end must still be read.
                let closed = self.shared.is_closed();
                if next == self.shared.durable() {
                    return Ok(match closed {
                        true => SourceStatus::Finished,
                        false => SourceStatus::Idle(None),
                    });
                }
                self.read_frame(next)?;
            }
            next = self.emit(next, out)?;
            self.next = Some(next);
        }
        Ok(SourceStatus::More)
    }

    fn position(&mut self, checkpoint: u64, positions: &mut Vec<Vec<u8>>) -> Result<(), BoxError> {
        let next = self.next.ok_or("the reader is not open")?;
        positions.push(Position::of(NAME).number(self.files.log).number(next).end());
        self.positions.push_back((checkpoint, next));
        Ok(())
    }

    fn seek(&mut self, positions: &[Vec<u8>], _readers: u32) -> Result<(), BoxError> {
        for position in positions {
            let mut reader = PositionReader::of(NAME, position)?;
            let (log, next) = (reader.number()?, reader.number()?);
            reader.end()?;
            // Before its first record, a log has no file that would name it.
            if log != self.files.log && next > 0 {
                let path = self.files.path("");
                return Err(DurableInletError::OtherLog { path }.into());
            }
            self.next = Some(next);
        }
        Ok(())
    }

    fn commit(&mut self, checkpoint: u64) {
        let mut covered = None;
        while let Some((at, position)) = self.positions.front()
            && *at <= checkpoint
        {
            covered = Some(*position);
            self.positions.pop_front();
        }
        let Some(position) = covered else { return };
        let (files, durable) = (self.files.clone(), self.shared.durable());
        let removal = self.removals.send(move || {
            if let Err(error) = files.remove_before(position, durable) {
                tracing::warn!(%error, "a log keeps records that a checkpoint has covered");
            }
            Ok(())
        });
        debug_assert!(removal.is_ok(), "what is left is no failure");
    }

    fn has_input(&mut self) -> bool {
        self.next.is_some_and(|next| next < self.shared.durable()) || self.shared.is_closed()
    }

    fn close(&mut self) -> Result<(), BoxError> {
        self.shared.set_waker(None);
        self.segment = None;
        self.removals.wait()
    }
}
