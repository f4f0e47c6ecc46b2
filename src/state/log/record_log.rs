//! `RecordLog`: a sequence of records, stored as the bytes of their form and read in place.
//!
//! Appending copies a record's bytes once and allocates nothing while the pool has chunks; a log grows by one chunk at
//! a time, so nothing is ever moved, and ends by returning its chunks, however many records it holds. Records of fixed
//! length are stored contiguously, as many per chunk as the largest power of two that fits; for others the log holds
//! spans, and the bytes are in separate chunks.
//!
//! ```text
//! plain data   │ record 0 │ record 1 │ …  │ record 255 │      slot i: chunk i / 256, place i % 256
//!
//! the rest     │ span 0 │ span 1 │ …                          span: chunk, offset, length
//!              │ record 0, to a multiple of 16 │ record 1 │   its bytes
//! ```
//! *Invariant:* all slots except the last `left` ones are written, and each holds what `as_bytes` of a `V` returned.

#![expect(
    unsafe_code,
    reason = "writes records into raw memory and reads them in place"
)]

use std::marker::PhantomData;
use std::ptr::NonNull;

use super::super::prefetch::prefetch;
use super::chunk::{CHUNK_SIZE, Chunk, ChunkPool};
use crate::record::{FRAME_ALIGN, Wire, in_place};

/// Where the bytes of a record without a fixed length are.
#[derive(Clone, Copy)]
struct Span {
    chunk: u32,
    offset: u32,
    length: usize,
}

/// Records of type `V`, in insertion order.
pub struct RecordLog<V: ?Sized> {
    /// The next free slot.
    next: NonNull<u8>,
    /// Free slots in the last chunk.
    left: usize,
    /// Slots in all chunks.
    room: usize,
    slots: Vec<Chunk>,
    bytes: Vec<Chunk>,
    /// How much of the last chunk of `bytes` is used.
    filled: usize,
    record: PhantomData<fn(&V)>,
}

// SAFETY: `next` points into a chunk that the log owns, and records of a form are bytes without
// pointers to anything else.
unsafe impl<V: ?Sized> Send for RecordLog<V> {}

impl<V: ?Sized> Default for RecordLog<V> {
    fn default() -> Self {
        RecordLog {
            next: NonNull::dangling(),
            left: 0,
            room: 0,
            slots: Vec::new(),
            bytes: Vec::new(),
            filled: 0,
            record: PhantomData,
        }
    }
}

impl<V: ?Sized> std::fmt::Debug for RecordLog<V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RecordLog")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

impl<V: ?Sized> RecordLog<V> {
    /// How many records there are.
    #[inline(always)]
    #[must_use]
    pub fn len(&self) -> usize {
        self.room - self.left
    }

    /// Whether there are none.
    #[inline(always)]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Removes all records and returns their memory to the pool: one step per chunk.
    pub fn clear(&mut self, spare: &mut ChunkPool) {
        for chunk in self.slots.drain(..).chain(self.bytes.drain(..)) {
            spare.put(chunk);
        }
        spare.forget();
        (self.room, self.left, self.filled) = (0, 0, 0);
    }
}

impl<V: Wire + ?Sized> RecordLog<V> {
    /// Whether slots hold the records themselves.
    const INLINE: bool = matches!(V::LENGTH, Some(length) if length <= CHUNK_SIZE);
    /// The size of a slot in bytes.
    const SLOT: usize = match V::LENGTH {
        Some(length) if Self::INLINE => length,
        _ => size_of::<Span>(),
    };
    /// The base-2 logarithm of the number of slots per chunk; arbitrary if records have no bytes.
    const SLOTS_LOG2: u32 = match CHUNK_SIZE.checked_div(Self::SLOT) {
        Some(slots) => slots.ilog2(),
        None => CHUNK_SIZE.ilog2(),
    };
    /// How many slots a chunk has.
    const SLOTS: usize = 1 << Self::SLOTS_LOG2;

    /// Appends a record.
    #[inline(always)]
    pub fn push(&mut self, record: &V, spare: &mut ChunkPool) {
        if self.left == 0 {
            self.grow(spare);
        }
        let bytes = record.as_bytes();
        // SAFETY: `next` is a free slot of the last chunk, `SLOT` bytes long and aligned for records (or spans); a
        // record of fixed length has as many bytes. After the last slot of a chunk `next` may point to its end, and
        // `left` is 0.
        unsafe {
            if Self::INLINE {
                assert_eq!(bytes.len(), Self::SLOT, "a form's length");
                self.next.copy_from_nonoverlapping(
                    NonNull::new_unchecked(bytes.as_ptr().cast_mut()),
                    Self::SLOT,
                );
            } else {
                let span = self.store(bytes, spare);
                self.next.cast::<Span>().write(span);
            }
            self.next = self.next.add(Self::SLOT);
        }
        self.left -= 1;
    }

    /// Appends records until `more` returns `None`. The write position stays in registers meanwhile.
    #[inline(always)]
    pub fn extend<'a>(&mut self, spare: &mut ChunkPool, mut more: impl FnMut() -> Option<&'a V>)
    where
        V: 'a,
    {
        if !Self::INLINE {
            while let Some(record) = more() {
                self.push(record, spare);
            }
            return;
        }
        let (mut next, mut left) = (self.next, self.left);
        while let Some(record) = more() {
            if left == 0 {
                self.left = 0;
                self.grow(spare);
                (next, left) = (self.next, self.left);
            }
            let bytes = record.as_bytes();
            assert_eq!(bytes.len(), Self::SLOT, "a form's length");
            // SAFETY: as in `push`: `next` is a free slot, and `left` of them remain.
            unsafe {
                next.copy_from_nonoverlapping(
                    NonNull::new_unchecked(bytes.as_ptr().cast_mut()),
                    Self::SLOT,
                );
                next = next.add(Self::SLOT);
            }
            left -= 1;
        }
        (self.next, self.left) = (next, left);
    }

    #[cold]
    #[inline(never)]
    fn grow(&mut self, spare: &mut ChunkPool) {
        const { assert!(V::ALIGN <= FRAME_ALIGN) };
        let chunk = spare.take();
        self.next = chunk.start();
        self.left = Self::SLOTS;
        self.room += self.left;
        self.slots.push(chunk);
    }

    /// Copies the bytes of a record without a fixed length.
    fn store(&mut self, bytes: &[u8], spare: &mut ChunkPool) -> Span {
        let room = (self.bytes.last()).map_or(0, |chunk| chunk.size() - self.filled);
        if bytes.len() > room || room == 0 {
            self.filled = 0;
            self.bytes.push(if bytes.len() <= CHUNK_SIZE {
                spare.take()
            } else {
                Chunk::new(bytes.len().next_multiple_of(FRAME_ALIGN))
            });
        }
        let chunk = self
            .bytes
            .last()
            .expect("a chunk with room was found or added");
        // SAFETY: the chunk has room for this many bytes from `filled` on, which no record uses.
        unsafe {
            let source = NonNull::new_unchecked(bytes.as_ptr().cast_mut());
            (chunk.start().add(self.filled)).copy_from_nonoverlapping(source, bytes.len());
        }
        let span = Span {
            chunk: self.bytes.len() as u32 - 1,
            offset: self.filled as u32,
            length: bytes.len(),
        };
        // Chunks are multiples of the alignment long.
        self.filled += bytes.len().next_multiple_of(FRAME_ALIGN);
        span
    }

    /// Returns the record at `index`, counted from 0.
    ///
    /// # Panics
    /// If there is no such record.
    #[inline(always)]
    #[must_use]
    pub fn get(&self, index: usize) -> &V {
        assert!(index < self.len(), "a log is read where it is written");
        // SAFETY: the slot is one of those that have been written.
        unsafe { self.read(self.slot(index)) }
    }

    /// Prefetches the cache line at which the slot of a record begins.
    #[inline(always)]
    pub fn prefetch(&self, index: usize) {
        if index < self.len() {
            // SAFETY: there is a record at `index`, in this slot.
            let slot = unsafe { self.slot(index) };
            prefetch(slot.as_ptr());
        }
    }

    /// The contiguous records from `start` on, in order; empty only if there are no more records.
    #[inline]
    #[must_use]
    pub fn run_from(&self, start: usize) -> Run<'_, V> {
        let left = self.len().saturating_sub(start);
        let slot = if left == 0 {
            NonNull::dangling()
        } else {
            // SAFETY: there is a record at `start`, in this slot.
            unsafe { self.slot(start) }
        };
        Run {
            log: self,
            slot,
            left: left.min(Self::SLOTS - start % Self::SLOTS),
        }
    }

    /// # Safety
    /// There is such a slot.
    #[inline(always)]
    unsafe fn slot(&self, index: usize) -> NonNull<u8> {
        let place = index % Self::SLOTS;
        // SAFETY: the caller guarantees that the slot exists, and with it the chunk that contains it.
        unsafe {
            let chunk = self.slots.get_unchecked(index >> Self::SLOTS_LOG2);
            chunk.start().add(place * Self::SLOT)
        }
    }

    /// # Safety
    /// The slot must belong to this log, and have been written.
    #[inline(always)]
    unsafe fn read(&self, slot: NonNull<u8>) -> &V {
        // SAFETY: a written slot holds either a record's bytes, aligned because slots are as long as records and chunks
        // are more aligned than any record; or a span of written bytes, which starts at a multiple of 16 from the start
        // of a chunk. Neither changes while the log is borrowed.
        unsafe {
            let (start, length) = if Self::INLINE {
                (slot, Self::SLOT)
            } else {
                let span = slot.cast::<Span>().read();
                let chunk = self.bytes.get_unchecked(span.chunk as usize);
                (chunk.start().add(span.offset as usize), span.length)
            };
            in_place::<V>(std::slice::from_raw_parts(start.as_ptr(), length))
        }
    }
}

/// Contiguous records of a log, in order.
pub struct Run<'a, V: ?Sized> {
    log: &'a RecordLog<V>,
    /// The slot of the next record, if there is one.
    slot: NonNull<u8>,
    /// How many records are left, all in one chunk.
    left: usize,
}

impl<V: ?Sized> Clone for Run<'_, V> {
    #[inline(always)]
    fn clone(&self) -> Self {
        Run { ..*self }
    }
}

impl<V: ?Sized> std::fmt::Debug for Run<'_, V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Run")
            .field("left", &self.left)
            .finish_non_exhaustive()
    }
}

impl<V: Wire + ?Sized> Run<'_, V> {
    /// Splits off up to `count` records from the front.
    #[inline(always)]
    #[must_use]
    pub fn take_front(&mut self, count: usize) -> Self {
        let left = self.left.min(count);
        let front = Run { left, ..*self };
        self.left -= left;
        // SAFETY: that many slots lie in the chunk, from `slot` on.
        self.slot = unsafe { self.slot.add(left * RecordLog::<V>::SLOT) };
        front
    }
}

impl<'a, V: Wire + ?Sized> Iterator for Run<'a, V> {
    type Item = &'a V;

    #[inline(always)]
    fn next(&mut self) -> Option<&'a V> {
        self.left = self.left.checked_sub(1)?;
        let slot = self.slot;
        // SAFETY: `slot` is that of a record that was left, so it is written, and ends in the chunk or at its
        // end.
        unsafe {
            self.slot = slot.add(RecordLog::<V>::SLOT);
            Some(self.log.read(slot))
        }
    }

    #[inline(always)]
    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl<V: Wire + ?Sized> ExactSizeIterator for Run<'_, V> {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Archived, Form, Record, Scratch, View};

    #[test]
    fn records_come_back_in_order_across_chunks() {
        let mut spare = ChunkPool::new();
        let mut log = RecordLog::<[u64; 3]>::default();
        for round in 1..3 {
            let count = CHUNK_SIZE as u64 / 16 * round;
            (0..count).for_each(|n| log.push(&[n, n + 1, n + 2], &mut spare));
            assert_eq!(log.len() as u64, count);
            assert!((0..count).all(|n| *log.get(n as usize) == [n, n + 1, n + 2]));
            for start in [0, 1, 511, 512, 513, count - 1, count, count + 1] {
                let mut run = log.run_from(start as usize);
                assert_eq!(run.len() == 0, start >= count);
                let (length, front) = (run.len() as u64, run.take_front(3));
                assert!(
                    front
                        .map(|record| record[0])
                        .eq(start..start + length.min(3))
                );
                assert!(
                    run.map(|record| record[0])
                        .eq(start + length.min(3)..start + length)
                );
            }
            log.clear(&mut spare);
            assert!(log.is_empty());
        }
    }

    #[test]
    fn texts_of_any_length_come_back() {
        let mut spare = ChunkPool::new();
        let mut log = RecordLog::<str>::default();
        let text = |n: usize| match n % 50 {
            0 => String::new(),
            7 => "x".repeat(CHUNK_SIZE + n),
            8 => "y".repeat(CHUNK_SIZE),
            rest => "z".repeat(rest * 13),
        };
        for _ in 0..2 {
            (0..200).for_each(|n| log.push(&text(n), &mut spare));
            assert!((0..200).all(|n| *log.get(n) == text(n)));
            assert!((log.run_from(3).zip(3..200)).all(|(found, n)| *found == text(n)));
            log.clear(&mut spare);
        }
    }

    #[derive(Clone, PartialEq, Debug, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
    struct Order {
        id: u64,
        comment: String,
    }

    impl Record for Order {
        type Form = Archived;
    }

    #[test]
    fn archives_are_read_in_place() {
        let (mut spare, mut scratch) = (ChunkPool::new(), Scratch::new());
        let mut log = RecordLog::<View<Order>>::default();
        let order = |id: u64| Order {
            id,
            comment: "why not ".repeat(id as usize % 9),
        };
        for id in 0..50 {
            log.push(Archived::far(&order(id), &mut scratch), &mut spare);
        }
        assert!((0..50).all(|id| log.get(id as usize).to_owned() == order(id)));
    }

    #[test]
    fn memory_is_used_again_and_goes_back_after_a_peak() {
        let mut spare = ChunkPool::new();
        let mut log = RecordLog::<[u64; 128]>::default();
        let mut fill = |records: u64, spare: &mut ChunkPool| {
            (0..records).for_each(|n| log.push(&[n; 128], spare));
            log.clear(spare);
            spare.memory_bytes()
        };
        let per_chunk = CHUNK_SIZE as u64 / 1024;
        assert_eq!(fill(2 * per_chunk, &mut spare), 2 * CHUNK_SIZE);
        assert_eq!(fill(2 * per_chunk, &mut spare), 2 * CHUNK_SIZE);
        let peak = fill(300 * per_chunk, &mut spare);
        (0..300).for_each(|_| _ = fill(2 * per_chunk, &mut spare));
        assert!(fill(2 * per_chunk, &mut spare) < peak / 3);
    }

    #[test]
    #[should_panic(expected = "where it is written")]
    fn nothing_is_read_behind_the_end() {
        let mut log = RecordLog::<u64>::default();
        log.push(&1, &mut ChunkPool::new());
        let _ = log.get(1);
    }
}
