//! The reading end of a ring: reads published frames in place, and releases them.
//!
//! ```text
//!  base                 cursor ─────── taken ────────── end                     base + capacity
//!   ├── the producer's ────┼─ to be released ┼── published ──┼── not known ─────────────┤
//! ```
//! A [`Batch`] is everything published and contiguous when it is read: at most up to the ring's end, after which the
//! next batch begins. Frames borrow from their batch. When it is dropped or released, it returns the frames taken to
//! the producer, all with one store: a frame that outlives that does not compile.
#![expect(
    unsafe_code,
    reason = "reads frames from memory shared with the producer"
)]

use super::memory::Shared;
use super::options::Geometry;
use super::parker::Waker;
use super::sync::{Arc, Ordering};
use crate::record::{FrameHeader, FrameKind, HEADER_SIZE};
use std::marker::PhantomData;

/// The reading end of a ring. Used by one thread at a time: `Send`, but neither `Sync` nor `Clone`.
///
/// Dropping it closes the ring: its contents are lost, and the producer notices when the ring is full or when it asks.
#[derive(Debug)]
pub struct Consumer {
    /// Where the next frame begins.
    cursor: *const u8,
    /// End of the bytes from `cursor` on that are contiguous and known to be published.
    end: *const u8,
    stride: usize,
    base: *const u8,
    /// Position of `base` in this lap.
    lap: u64,
    capacity: usize,
    producer_waker: Option<Waker>,
    shared: Arc<Shared>,
}

// SAFETY: the pointers lead into `shared.memory`, which lives as long as this value and does not depend on the thread
// that uses it; the bytes this end may access are its own on any thread. `Sync` is withheld by the pointers.
unsafe impl Send for Consumer {}

impl Consumer {
    pub(super) fn new(shared: Arc<Shared>, geometry: Geometry, waker: Option<Waker>) -> Self {
        let base = shared.memory.base().cast_const();
        Consumer {
            cursor: base,
            end: base,
            stride: geometry.stride,
            base,
            lap: 0,
            capacity: geometry.capacity,
            producer_waker: waker,
            shared,
        }
    }

    /// Reads what is published and contiguous. Empty only if nothing is published.
    ///
    /// Loads the producer's position only if everything seen before was released. What follows after the ring's end is
    /// in the next batch.
    #[inline]
    pub fn read(&mut self) -> Batch<'_> {
        self.look();
        Batch {
            taken: self.cursor,
            end: self.end,
            consumer: self,
        }
    }

    /// As [`read`](Consumer::read), but without frames that begin at or after the position `end`. Positions count the
    /// bytes of all frames ever published, see [`unread`](Consumer::unread).
    pub fn read_to(&mut self, end: u64) -> Batch<'_> {
        self.look();
        let published = self.end.addr() - self.cursor.addr();
        let wanted = end.saturating_sub(self.position());
        let wanted = usize::try_from(wanted).map_or(published, |wanted| wanted.min(published));
        Batch {
            taken: self.cursor,
            // SAFETY: no more than the bytes from the cursor to the end.
            end: unsafe { self.cursor.add(wanted) },
            consumer: self,
        }
    }

    /// Looks at the published frames from the position `from` on, or from where the next read begins if that is later,
    /// across the ring's end. None of them is taken.
    pub fn unread(&mut self, from: u64) -> Unread<'_> {
        Unread {
            position: from.max(self.position()),
            tail: self.shared.tail.position.load(Ordering::Acquire),
            consumer: self,
        }
    }

    /// Whether there is nothing to read. *No* stays true until this consumer reads; *yes* may be out of date at once.
    pub fn is_empty(&mut self) -> bool {
        self.look();
        self.cursor == self.end
    }

    /// Whether the producer is gone and everything it published has been read and released: once
    /// true, always true.
    pub fn is_closed(&mut self) -> bool {
        // In this order: what was published before the producer was dropped is visible after its flag is.
        self.shared.tail.closed.load(Ordering::Acquire) && self.is_empty()
    }

    /// The number of bytes published and not released, including headers and padding. There may be more by now.
    #[must_use]
    pub fn published(&self) -> usize {
        let tail = self.shared.tail.position.load(Ordering::Acquire);
        (tail - self.position()) as usize
    }

    /// The size of the ring in bytes.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// The number of bytes from one frame's start to the next one's, if all frames have one size.
    #[must_use]
    pub fn stride(&self) -> Option<usize> {
        (self.stride != 0).then_some(self.stride)
    }

    /// Sets the waker by which a release wakes the producer's worker from now on. Earlier releases woke nobody: set it
    /// before either side runs.
    pub fn set_producer_waker(&mut self, waker: Option<Waker>) {
        self.producer_waker = waker;
    }

    #[inline(always)]
    fn offset(&self) -> usize {
        self.cursor.addr() - self.base.addr()
    }

    /// Byte total up to the cursor.
    #[inline(always)]
    fn position(&self) -> u64 {
        self.lap + self.offset() as u64
    }

    /// Ensures that the cursor is at a frame, if one is published.
    #[inline(always)]
    fn look(&mut self) {
        // A partly released batch may have left the cursor at the padding.
        if self.cursor == self.end || (self.stride == 0 && self.is_at_pad()) {
            self.look_at_tail();
        }
    }

    /// Moves the end to what the producer has published, and the cursor past the ring's end and past padding, if it is
    /// there.
    fn look_at_tail(&mut self) {
        let tail = self.shared.tail.position.load(Ordering::Acquire);
        if self.offset() == self.capacity {
            self.go_round();
        }
        let published = (tail - self.position()) as usize;
        if published > 0 && self.stride == 0 && self.is_at_pad() {
            // Release the padding now: the frame that follows it may not be published yet.
            self.go_round();
            self.release();
        }
        let published = (tail - self.position()) as usize;
        let contiguous = published.min(self.capacity - self.offset());
        // SAFETY: the sum of the cursor's offset and `contiguous` is at most the capacity.
        self.end = unsafe { self.cursor.add(contiguous) };
    }

    /// Whether the frame at the cursor, which must be published, is the padding up to the ring's end.
    fn is_at_pad(&self) -> bool {
        self.shared.memory.note_read(self.cursor, HEADER_SIZE);
        // SAFETY: the cursor is at a published frame, which begins with a header.
        let header = unsafe { self.cursor.cast::<FrameHeader>().read() };
        header.kind() == FrameKind::PAD
    }

    fn go_round(&mut self) {
        self.lap += self.capacity as u64;
        self.cursor = self.base;
    }

    /// Returns everything before the cursor to the producer.
    #[inline(always)]
    fn release(&self) {
        let head = &self.shared.head.position;
        head.store(self.position(), Ordering::Release);
        if let Some(waker) = &self.producer_waker {
            waker.wake();
        }
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        self.shared.head.closed.store(true, Ordering::Release);
        if let Some(waker) = &self.producer_waker {
            waker.wake();
        }
    }
}

/// One frame of a batch, in place.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// Kind, time and the 24 bits beside the kind.
    pub header: FrameHeader,
    /// The payload's exact bytes, aligned to 16.
    pub payload: &'a [u8],
}

impl<'a> Frame<'a> {
    /// The frame that begins at `start`.
    ///
    /// # Safety
    /// A committed frame must begin there, and remain unchanged for `'a`.
    #[inline(always)]
    unsafe fn at(start: *const u8) -> Self {
        // SAFETY: by the contract there is a header, aligned as frames are, followed by as many initialised bytes as it
        // says.
        unsafe {
            let header = start.cast::<FrameHeader>().read();
            let payload = start.add(HEADER_SIZE);
            std::hint::assert_unchecked(payload.addr().is_multiple_of(16));
            Frame {
                header,
                payload: std::slice::from_raw_parts(payload, header.length as usize),
            }
        }
    }
}

/// Published frames that are looked at without being taken.
#[derive(Debug)]
pub struct Unread<'a> {
    consumer: &'a mut Consumer,
    position: u64,
    tail: u64,
}

impl<'a> Unread<'a> {
    /// The position up to which frames have been looked at.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The next frame.
    #[expect(
        clippy::should_implement_trait,
        reason = "a frame is borrowed from this, not from the ring"
    )]
    pub fn next(&mut self) -> Option<Frame<'_>> {
        loop {
            if self.position >= self.tail {
                return None;
            }
            let Consumer {
                base,
                capacity,
                stride,
                lap,
                shared,
                ..
            } = &*self.consumer;
            let offset = (self.position - lap) as usize % capacity;
            shared
                .memory
                .note_read(base.wrapping_add(offset), HEADER_SIZE);
            // SAFETY: the position is that of a frame that is published and not released: it begins between the cursor,
            // before which everything is released, and the tail, and positions advance from frame to frame.
            let frame = unsafe { Frame::at(base.add(offset)) };
            self.position += frame.header.stride().max(*stride) as u64;
            if frame.header.kind() != FrameKind::PAD {
                return Some(frame);
            }
        }
    }
}

/// Frames that were published when it was read, and are contiguous.
///
/// Dropping it releases the frames that were taken from it, and no others: a reader that stops after *k* frames finds
/// the rest in the next batch.
#[derive(Debug)]
pub struct Batch<'a> {
    consumer: &'a mut Consumer,
    /// Everything before this has been taken.
    taken: *const u8,
    end: *const u8,
}

impl Batch<'_> {
    /// Takes the frames, in order. Can be called again; continues where the last one stopped.
    #[inline(always)]
    pub fn frames(&mut self) -> Frames<'_> {
        Frames {
            cursor: self.taken,
            end: self.end,
            stride: self.consumer.stride,
            taken: &mut self.taken,
            shared: &self.consumer.shared,
            frames: PhantomData,
        }
    }

    /// Whether every frame has been taken.
    #[inline(always)]
    #[must_use]
    pub fn is_empty(&mut self) -> bool {
        self.frames().peek().is_none()
    }

    /// The number of bytes of the frames not yet taken, including headers and padding.
    #[inline(always)]
    #[must_use]
    pub fn size(&self) -> usize {
        self.end.addr() - self.taken.addr()
    }

    /// Returns the frames taken to the producer, with one store. The same as dropping, but explicit.
    #[inline(always)]
    pub fn release(self) {}
}

impl Drop for Batch<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        if self.taken != self.consumer.cursor {
            let size = self.taken.addr() - self.consumer.cursor.addr();
            let memory = &self.consumer.shared.memory;
            memory.note_read(self.consumer.cursor, size);
            self.consumer.cursor = self.taken;
            self.consumer.release();
        }
    }
}

/// The frames of a batch; each one that it yields counts as taken.
#[derive(Debug)]
pub struct Frames<'a> {
    cursor: *const u8,
    end: *const u8,
    stride: usize,
    taken: &'a mut *const u8,
    shared: &'a Shared,
    frames: PhantomData<&'a [u8]>,
}

impl<'a> Frames<'a> {
    /// The frame that [`next`](Iterator::next) would yield, without taking it.
    #[inline(always)]
    #[must_use]
    pub fn peek(&self) -> Option<Frame<'a>> {
        if self.cursor == self.end {
            return None;
        }
        // SAFETY: between cursor and end there are published frames, the first of which begins at the cursor. They
        // remain unchanged until the batch releases them, which it cannot before `'a` has ended.
        let frame = unsafe { Frame::at(self.cursor) };
        (self.stride != 0 || frame.header.kind() != FrameKind::PAD).then_some(frame)
    }

    /// The frames that [`next`](Iterator::next) would yield, in order, without taking any.
    #[inline(always)]
    pub fn upcoming(&self) -> impl Iterator<Item = Frame<'a>> {
        let (mut cursor, end, stride) = (self.cursor, self.end, self.stride);
        let memory = &self.shared.memory;
        std::iter::from_fn(move || {
            if cursor == end {
                return None;
            }
            memory.note_read(cursor, HEADER_SIZE);
            // SAFETY: as in `peek`; the cursor advances from frame to frame.
            let frame = unsafe { Frame::at(cursor) };
            if stride == 0 && frame.header.kind() == FrameKind::PAD {
                return None;
            }
            // SAFETY: as in `next`.
            cursor = unsafe { cursor.add(frame.header.stride().max(stride)) };
            Some(frame)
        })
    }

    /// The payload of the frame `count` after the next one (`ahead(0)`), if frames have one size and it is in this
    /// batch; `None` otherwise. Nothing is taken.
    ///
    /// For prefetching what the record will need: in a loop over the frames, look some ahead, then take one.
    #[inline(always)]
    #[must_use]
    pub fn ahead(&self, count: usize) -> Option<&'a [u8]> {
        let distance = count.saturating_mul(self.stride);
        if self.stride == 0 || distance >= self.end.addr() - self.cursor.addr() {
            return None;
        }
        // SAFETY: the frames are a stride apart, so one begins there, and it is before the end; for the rest see
        // `peek`.
        Some(unsafe { Frame::at(self.cursor.add(distance)) }.payload)
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = Frame<'a>;

    #[inline(always)]
    fn next(&mut self) -> Option<Frame<'a>> {
        if self.cursor == self.end {
            return None;
        }
        self.shared.memory.note_read(self.cursor, HEADER_SIZE);
        // SAFETY: as in `peek`.
        let frame = unsafe { Frame::at(self.cursor) };
        // With a stride the next frame's position does not depend on the contents of this one, so the processor
        // proceeds without waiting for the header to arrive from the other core.
        let size = if self.stride != 0 {
            self.stride
        } else {
            if frame.header.kind() == FrameKind::PAD {
                self.cursor = self.end;
                *self.taken = self.end;
                return None;
            }
            frame.header.stride()
        };
        // SAFETY: the frame begins before the end, so it does not extend past it.
        self.cursor = unsafe { self.cursor.add(size) };
        *self.taken = self.cursor;
        Some(frame)
    }
}
