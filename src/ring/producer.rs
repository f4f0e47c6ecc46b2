//! The writing end of a ring: claim, write, commit, publish.
//!
//! ```text
//!  base                 published      cursor            limit                  base + capacity
//!   ├── the consumer's ──────┼── committed ──┼── known free ──┼── not known ─────────┤
//! ```
//! A frame fits if `cursor + size ≤ limit`: one comparison. Only if that fails is the consumer's head read again and
//! the wrap-around handled; so the cache line that the consumer writes is fetched about once per lap and not once per
//! frame. Committing moves `cursor`, which nobody else sees; publishing hands everything up to it to the consumer by
//! one store.
#![expect(
    unsafe_code,
    reason = "writes frames into memory shared with the consumer"
)]

use super::error::RingError;
use super::memory::Shared;
use super::options::Geometry;
use super::parker::Waker;
use super::sync::{Arc, Ordering};
use crate::record::{FrameHeader, FrameKind, HEADER_SIZE, ShortBytes, frame_size};
use crate::time::Timestamp;

/// The writing end of a ring. Used by one thread at a time: `Send`, but neither `Sync` nor `Clone`.
///
/// Dropping it closes the ring. Published frames can still be read; committed but unpublished ones are lost.
#[derive(Debug)]
pub struct Producer {
    /// Where the next frame begins.
    cursor: *mut u8,
    /// End of the bytes from `cursor` on that are contiguous and known to be free.
    limit: *mut u8,
    payload_max: usize,
    /// The minimum size of a frame: the stride, or zero.
    size_min: usize,
    base: *mut u8,
    /// Position of `base` in this lap.
    lap: u64,
    /// The position up to which the consumer has been notified.
    published: u64,
    capacity: usize,
    /// Bytes that only [`push_reserved`](Producer::push_reserved) may use.
    reserve: usize,
    consumer_waker: Option<Waker>,
    shared: Arc<Shared>,
}

// SAFETY: the pointers lead into `shared.memory`, which lives as long as this value and does not depend on the thread
// that uses it; the bytes this end may access are its own on any thread. `Sync` is withheld, which the pointers ensure:
// every method that writes takes `&mut self`.
unsafe impl Send for Producer {}

impl Producer {
    pub(super) fn new(shared: Arc<Shared>, geometry: Geometry, waker: Option<Waker>) -> Self {
        let base = shared.memory.base();
        Producer {
            cursor: base,
            limit: base.wrapping_add(geometry.capacity - geometry.reserve),
            payload_max: geometry.payload_max,
            size_min: geometry.stride,
            base,
            lap: 0,
            published: 0,
            capacity: geometry.capacity,
            reserve: geometry.reserve,
            consumer_waker: waker,
            shared,
        }
    }

    /// Commits a frame whose payload is a copy of `payload`. It is not visible until [`publish`](Producer::publish).
    ///
    /// Only the low 24 bits of `aux` are kept. With a payload of constant length this is a comparison and a handful of
    /// moves.
    ///
    /// # Errors
    /// [`RingError`]; the frame was not written.
    #[inline(always)]
    pub fn push(
        &mut self,
        kind: FrameKind,
        aux: u32,
        time: Timestamp,
        payload: &[u8],
    ) -> Result<(), RingError> {
        let size = self.make_room(payload.len())?;
        let header = FrameHeader::new(kind, aux, payload.len() as u32, time);
        // SAFETY: `make_room` found `size` free bytes at the cursor, and the frame takes no more.
        unsafe { write_frame(self.cursor, header, payload) };
        self.advance(kind, size);
        Ok(())
    }

    /// Commits a frame without payload, which may use the reserved room
    /// ([`RingOptions::reserve`](super::RingOptions::reserve)), so that it fits into a full ring.
    ///
    /// # Errors
    /// [`RingError`], if the reserve is used up as well.
    pub fn push_reserved(
        &mut self,
        kind: FrameKind,
        aux: u32,
        time: Timestamp,
    ) -> Result<(), RingError> {
        let (size, reserve) = (HEADER_SIZE.max(self.size_min), self.reserve);
        self.reserve = 0;
        if size > self.known_room() {
            let found = self.find_room(size);
            self.reserve = reserve;
            found?;
        }
        self.reserve = reserve;
        let pushed = self.push(kind, aux, time, &[]);
        // The rest of the reserve is not available to other frames.
        self.look_at_head();
        pushed
    }

    /// Claims room for a payload of at most `length` bytes, to be written in place.
    ///
    /// # Errors
    /// [`RingError`], as if the payload had all of these bytes.
    #[inline(always)]
    pub fn claim(&mut self, length: usize) -> Result<Claim<'_>, RingError> {
        self.make_room(length)?;
        Ok(Claim {
            producer: self,
            length,
        })
    }

    /// Claims contiguous room for at least one and at most `count` frames of exactly `length` payload bytes each: as
    /// many as there is room for without wrapping around the ring's end.
    ///
    /// # Errors
    /// [`RingError`], if there is not even room for one. A `count` of zero counts as one.
    pub fn claim_run(&mut self, length: usize, count: usize) -> Result<Run<'_>, RingError> {
        let size = self.make_room(length)?;
        if self.known_room() < size.saturating_mul(count) {
            self.look_at_head();
        }
        let count = (self.known_room() / size).min(count.max(1));
        Ok(Run {
            cursor: self.cursor,
            // SAFETY: `count · size ≤ limit − cursor`, and the limit is in or at the end of the memory.
            end: unsafe { self.cursor.add(count * size) },
            size,
            length,
            producer: self,
        })
    }

    /// Hands all committed frames to the consumer: one release store and, if the consumer's worker can park, a fence
    /// and a check whether it is parked. Does nothing if nothing was committed.
    #[inline(always)]
    pub fn publish(&mut self) {
        let position = self.position();
        if position != self.published {
            self.published = position;
            self.shared.tail.position.store(position, Ordering::Release);
            if let Some(waker) = &self.consumer_waker {
                waker.wake();
            }
        }
    }

    /// Whether [`push`](Producer::push) or [`claim`](Producer::claim) of `length` payload bytes would succeed now. The
    /// consumer only ever makes room, so *yes* stays true until this producer commits something; *no* may be out of
    /// date at once (unless `length` exceeds [`payload_max`](Producer::payload_max)).
    pub fn has_room(&mut self, length: usize) -> bool {
        self.make_room(length).is_ok()
    }

    /// The number of bytes not taken by frames, including headers and padding. There may be more by now, not fewer.
    /// They need not be contiguous: a frame of that size may be refused, see [`has_room`](Producer::has_room). For
    /// metrics, and to check before a batch whether most of it will fit.
    #[must_use]
    pub fn free(&self) -> usize {
        let head = self.shared.head.position.load(Ordering::Acquire);
        let used = (self.position() - head) as usize;
        (self.capacity - used).saturating_sub(self.reserve)
    }

    /// The size of the ring in bytes.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// The size in bytes of the largest payload that the ring accepts: its stride, or else a quarter of the capacity,
    /// without the header.
    #[must_use]
    pub fn payload_max(&self) -> usize {
        self.payload_max
    }

    /// The number of bytes committed since the last publish.
    #[must_use]
    pub fn unpublished(&self) -> usize {
        (self.position() - self.published) as usize
    }

    /// Whether the consumer is gone: once true, always true, and frames published but not read never will be. Frames
    /// can still be committed until the ring is full.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.shared.head.closed.load(Ordering::Acquire)
    }

    /// Sets the waker by which [`publish`](Producer::publish) wakes the consumer's worker from now on. Earlier
    /// publishes woke nobody: set it before either side runs.
    pub fn set_consumer_waker(&mut self, waker: Option<Waker>) {
        self.consumer_waker = waker;
    }

    /// Bytes from the cursor to the known limit.
    #[inline(always)]
    fn known_room(&self) -> usize {
        self.limit.addr() - self.cursor.addr()
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

    /// Ensures that a frame with `length` payload bytes has room at the cursor, and returns the frame's size.
    #[inline(always)]
    fn make_room(&mut self, length: usize) -> Result<usize, RingError> {
        if length > self.payload_max {
            return Err(self.too_large(length));
        }
        let size = frame_size(length).max(self.size_min);
        if size > self.known_room() {
            self.find_room(size)?;
        }
        Ok(size)
    }

    #[cold]
    #[inline(never)]
    fn too_large(&self, size: usize) -> RingError {
        RingError::TooLarge {
            size,
            limit: self.payload_max,
        }
    }

    /// Moves the limit to what the consumer has released. Returns the number of free bytes, contiguous or not.
    fn look_at_head(&mut self) -> usize {
        let free = self.free();
        let contiguous = free.min(self.capacity - self.offset());
        // SAFETY: the sum of the cursor's offset and `contiguous` is at most the capacity.
        self.limit = unsafe { self.cursor.add(contiguous) };
        free
    }

    /// Called when the known room is used up: finds more, wrapping around the end if necessary.
    #[cold]
    #[inline(never)]
    fn find_room(&mut self, size: usize) -> Result<(), RingError> {
        let free = self.look_at_head();
        if self.known_room() >= size {
            return Ok(());
        }
        let to_end = self.capacity - self.offset();
        // If the bytes up to the end are too few, they are padded, but only together with a frame that follows:
        // otherwise a full ring would fill with padding.
        if to_end >= size || free < to_end + size {
            return Err(if self.is_closed() {
                RingError::Closed
            } else {
                RingError::Full { size }
            });
        }
        if to_end > 0 {
            let length = (to_end - HEADER_SIZE) as u32;
            let pad = FrameHeader::new(FrameKind::PAD, 0, length, Timestamp::MIN);
            self.shared.memory.note_write(self.cursor, HEADER_SIZE);
            // SAFETY: `to_end` bytes at the cursor are free and a multiple of the frame alignment,
            // so a header fits.
            unsafe { self.cursor.cast::<FrameHeader>().write(pad) };
        }
        self.lap += self.capacity as u64;
        self.cursor = self.base;
        // SAFETY: `free` is at most the capacity.
        self.limit = unsafe { self.base.add(free - to_end) };
        Ok(())
    }

    /// Moves the cursor past a frame of `size` bytes that has been written there.
    #[inline(always)]
    fn advance(&mut self, kind: FrameKind, size: usize) {
        assert!(kind != FrameKind::PAD, "pad frames are the ring's own");
        debug_assert!(size <= self.known_room());
        self.shared.memory.note_write(self.cursor, size);
        // SAFETY: `size` is at most the known room, so this is in or at the end of the memory.
        self.cursor = unsafe { self.cursor.add(size) };
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        self.shared.tail.closed.store(true, Ordering::Release);
        if let Some(waker) = &self.consumer_waker {
            waker.wake();
        }
    }
}

/// Payloads up to this size are written by [`write_in_order`]: beyond it `memcpy` is as good.
#[cfg(target_arch = "x86_64")]
const IN_ORDER_MAX: usize = 256;

/// Writes header and payload.
///
/// # Safety
/// `start` must be aligned for frames, and the bytes of such a frame from there on must belong to the caller.
#[inline(always)]
unsafe fn write_frame(start: *mut u8, header: FrameHeader, payload: &[u8]) {
    #[cfg(target_arch = "x86_64")]
    if payload.len() <= IN_ORDER_MAX && payload.len().is_multiple_of(16) {
        // SAFETY: the caller guarantees place and alignment.
        unsafe { write_in_order(start, header, payload) };
        return;
    }
    if let Some(short) = ShortBytes::of(payload) {
        // SAFETY: the caller guarantees place and alignment; a frame's size is a multiple of 16, so one with any
        // payload has 16 bytes after its header.
        unsafe {
            start.cast::<FrameHeader>().write(header);
            short.write(&mut *start.add(HEADER_SIZE).cast());
        }
        return;
    }
    // SAFETY: the caller guarantees place and alignment; a slice that was borrowed from elsewhere cannot overlap bytes
    // that belong to the caller.
    unsafe {
        start.cast::<FrameHeader>().write(header);
        start
            .add(HEADER_SIZE)
            .copy_from_nonoverlapping(payload.as_ptr(), payload.len());
    }
}

/// Writes a frame without padding from its first byte to its last, 16 bytes at a time.
///
/// Otherwise the compiler writes the end before the beginning, and the header in two parts. That is the same work, but
/// the lines written are ones that the other core has just read, and regaining such a line takes twice as long
/// (measured on Zen 4 with 64-byte frames) unless its stores come in ascending order and cover all of it. Hence the
/// volatile stores: they are not reordered. Prefetching lines for writing (`prefetchw`) was tried in addition and
/// gained nothing.
///
/// # Safety
/// As for [`write_frame`]; and the payload's length must be a multiple of 16.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn write_in_order(start: *mut u8, header: FrameHeader, payload: &[u8]) {
    use std::arch::x86_64::{__m128i, _mm_loadu_si128};
    let mut place = start.cast::<__m128i>();
    // SAFETY: the header is 16 initialised bytes, and so is every chunk; `start` is aligned to 16, and the bytes after
    // it belong to the caller, as many as header and payload have.
    unsafe {
        place.write_volatile(_mm_loadu_si128((&raw const header).cast()));
        for chunk in payload.chunks_exact(16) {
            place = place.add(1);
            place.write_volatile(_mm_loadu_si128(chunk.as_ptr().cast()));
        }
    }
}

/// Room for one payload, to be written in place. Dropping it commits nothing.
#[derive(Debug)]
#[must_use = "a claim that is not committed writes nothing"]
pub struct Claim<'a> {
    producer: &'a mut Producer,
    length: usize,
}

impl Claim<'_> {
    /// The payload's bytes, aligned to 16. They hold whatever was there, but are never undefined: the ring's memory is
    /// initialised when it is created.
    #[inline(always)]
    pub fn payload(&mut self) -> &mut [u8] {
        // SAFETY: the claim found a frame's room for `length` payload bytes at the cursor, the
        // memory is initialised, and while this claim borrows the producer nobody else writes
        // there.
        unsafe {
            let start = self.producer.cursor.add(HEADER_SIZE);
            std::hint::assert_unchecked(start.addr().is_multiple_of(16));
            std::slice::from_raw_parts_mut(start, self.length)
        }
    }

    /// Commits the frame with the first `length` bytes of the payload; the rest of the claim is returned. The frame is
    /// not visible until [`Producer::publish`].
    ///
    /// # Panics
    /// If `length` is more than was claimed.
    #[inline(always)]
    pub fn commit(self, kind: FrameKind, aux: u32, time: Timestamp, length: usize) {
        assert!(length <= self.length, "more committed than claimed");
        let size = frame_size(length).max(self.producer.size_min);
        let header = FrameHeader::new(kind, aux, length as u32, time);
        // SAFETY: the claim found room for a frame that is no smaller than this one.
        unsafe { self.producer.cursor.cast::<FrameHeader>().write(header) };
        self.producer.advance(kind, size);
    }
}

/// Room for several frames of one size, which are written one after the other without checking the ring. Dropping it
/// commits nothing.
#[derive(Debug)]
#[must_use = "a run that is not committed writes nothing"]
pub struct Run<'a> {
    producer: &'a mut Producer,
    cursor: *mut u8,
    end: *mut u8,
    size: usize,
    length: usize,
}

impl Run<'_> {
    /// How many more frames can be pushed.
    #[inline(always)]
    #[must_use]
    pub fn remaining(&self) -> usize {
        (self.end.addr() - self.cursor.addr()) / self.size
    }

    /// Writes the next frame.
    ///
    /// # Panics
    /// If the payload's length is not the claimed one, or the run is used up.
    #[inline(always)]
    pub fn push(&mut self, kind: FrameKind, aux: u32, time: Timestamp, payload: &[u8]) {
        assert!(payload.len() == self.length, "not the length claimed");
        assert!(self.cursor != self.end, "more frames than claimed");
        assert!(kind != FrameKind::PAD, "pad frames are the ring's own");
        let header = FrameHeader::new(kind, aux, payload.len() as u32, time);
        self.producer
            .shared
            .memory
            .note_write(self.cursor, self.size);
        // SAFETY: the cursor is a whole number of frames before the end of the claim, and not at the end yet.
        unsafe {
            write_frame(self.cursor, header, payload);
            self.cursor = self.cursor.add(self.size);
        }
    }

    /// Writes a frame for each record until either the run or the records are used up, and returns how many. No record
    /// is taken that is not written.
    ///
    /// # Panics
    /// If a payload's length is not the claimed one.
    #[inline]
    pub fn extend<P: AsRef<[u8]>>(
        &mut self,
        kind: FrameKind,
        records: impl IntoIterator<Item = (Timestamp, P)>,
    ) -> usize {
        let remaining = self.remaining();
        let mut records = records.into_iter();
        for count in 0..remaining {
            let Some((time, payload)) = records.next() else {
                return count;
            };
            self.push(kind, 0, time, payload.as_ref());
        }
        remaining
    }

    /// Commits the frames pushed, however many. They are not visible until [`Producer::publish`].
    #[inline(always)]
    pub fn commit(self) {
        self.producer.cursor = self.cursor;
    }
}
