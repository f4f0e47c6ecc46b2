//! Options for creating a ring.

use super::consumer::Consumer;
use super::memory::Shared;
use super::parker::Waker;
use super::producer::Producer;
use super::sync::Arc;
use crate::record::{FRAME_ALIGN, HEADER_SIZE, frame_size};

/// The default capacity in bytes: larger rings have the same throughput, and with this one both sides' parts of it stay
/// in a second-level cache.
const CAPACITY_DEFAULT: usize = 256 * 1024;
/// A frame takes at most this fraction of the ring, so that wrapping around wastes little, and a ring whose consumer
/// keeps up is never full for lack of contiguous bytes.
const FRAMES_MIN: usize = 4;
/// The size of the largest frame: a header holds the length as 32 bits, and there is room for that and no more.
const FRAME_MAX: usize = 1 << 31;

/// The properties of a ring: its capacity, whether its frames have one size, whom it wakes.
///
/// ```
/// use thalweg::record::FrameKind;
/// use thalweg::ring::{RingOptions, ring};
/// use thalweg::time::Timestamp;
///
/// let (mut producer, mut consumer) = ring(RingOptions::new().capacity(4096));
/// producer.push(FrameKind::RECORD, 0, Timestamp(7), b"hello")?;
/// producer.publish();
///
/// let mut batch = consumer.read();
/// for frame in batch.frames() {
///     assert_eq!((frame.header.time, frame.payload), (Timestamp(7), &b"hello"[..]));
/// }
/// batch.release();
/// # Ok::<(), thalweg::ring::RingError>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct RingOptions {
    capacity: usize,
    payload: Option<usize>,
    reserve: usize,
    consumer_waker: Option<Waker>,
    producer_waker: Option<Waker>,
}

impl RingOptions {
    /// A ring of 256 KiB for frames of any length that wakes nobody.
    pub fn new() -> Self {
        RingOptions {
            capacity: CAPACITY_DEFAULT,
            payload: None,
            reserve: 0,
            consumer_waker: None,
            producer_waker: None,
        }
    }

    /// Sets the size of the ring in bytes, including headers and padding. It is rounded up to whole frames, and to at
    /// least four of the largest frame.
    pub fn capacity(mut self, bytes: usize) -> Self {
        self.capacity = bytes;
        self
    }

    /// The least [capacity](Self::capacity) of a ring that takes a payload of so many bytes; `None` if no ring does.
    #[must_use]
    pub fn capacity_for(payload: usize) -> Option<usize> {
        let fits = payload <= FRAME_MAX - HEADER_SIZE;
        fits.then(|| FRAMES_MIN * frame_size(payload))
    }

    /// Makes every frame as large as one with `payload` bytes of payload: the *stride*. Shorter payloads and signals
    /// are padded to it, longer ones are [`TooLarge`](super::RingError::TooLarge). No frame ever straddles the ring's
    /// end, so there are no pad frames, and a reader can look ahead ([`Frames::ahead`](super::Frames::ahead)).
    pub fn fixed_payload(mut self, payload: usize) -> Self {
        self.payload = Some(payload);
        self
    }

    /// Reserves room for `frames` frames without payload that only [`push_reserved`](super::Producer::push_reserved)
    /// uses. For rings whose frames differ in size.
    pub fn reserve(mut self, frames: usize) -> Self {
        self.reserve = frames * HEADER_SIZE;
        self
    }

    /// Wakes the consumer's worker if it is parked when frames are published. `None`, the default: it never parks, or
    /// the caller wakes it.
    pub fn wake_consumer(mut self, waker: Option<Waker>) -> Self {
        self.consumer_waker = waker;
        self
    }

    /// Wakes the producer's worker if it is parked when bytes are released. `None`, the default: it never parks, or the
    /// caller wakes it.
    pub fn wake_producer(mut self, waker: Option<Waker>) -> Self {
        self.producer_waker = waker;
        self
    }
}

impl Default for RingOptions {
    fn default() -> Self {
        RingOptions::new()
    }
}

/// The sizes of a ring in bytes, fixed for its whole life.
#[derive(Clone, Copy, Debug)]
pub(super) struct Geometry {
    /// The size of the ring's memory: a multiple of the stride, or of the frame alignment.
    pub(super) capacity: usize,
    /// The size of every frame, or zero if frames differ.
    pub(super) stride: usize,
    /// The size of the largest payload.
    pub(super) payload_max: usize,
    /// Bytes reserved for frames without payload.
    pub(super) reserve: usize,
}

impl Geometry {
    fn new(options: &RingOptions) -> Self {
        assert!(
            options.capacity <= isize::MAX as usize / 2,
            "a capacity of {} bytes",
            options.capacity
        );
        match options.payload {
            Some(payload) => {
                assert!(payload < FRAME_MAX, "a payload of {payload} bytes");
                let stride = frame_size(payload);
                let capacity = options.capacity.max(FRAMES_MIN * stride);
                Geometry {
                    capacity: capacity.next_multiple_of(stride),
                    stride,
                    payload_max: stride - HEADER_SIZE,
                    reserve: 0,
                }
            }
            None => {
                let capacity = options.capacity.max(FRAMES_MIN * HEADER_SIZE);
                let reserve = options.reserve;
                let largest = (capacity / FRAMES_MIN).min(FRAME_MAX) / FRAME_ALIGN * FRAME_ALIGN;
                Geometry {
                    capacity: (capacity + reserve).next_multiple_of(FRAME_ALIGN),
                    stride: 0,
                    reserve,
                    payload_max: largest - HEADER_SIZE,
                }
            }
        }
    }
}

/// Creates a ring and returns its two ends.
///
/// Its memory is allocated, zeroed and touched here, by the caller, so that the data plane takes no page faults.
///
/// # Panics
/// If the capacity is beyond the address space, or the fixed payload is 2 GiB or more.
#[must_use]
pub fn ring(options: RingOptions) -> (Producer, Consumer) {
    let geometry = Geometry::new(&options);
    let shared = Arc::new(Shared::new(geometry.capacity));
    let producer = Producer::new(Arc::clone(&shared), geometry, options.consumer_waker);
    let consumer = Consumer::new(shared, geometry, options.producer_waker);
    (producer, consumer)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_capacity_for_a_payload_is_the_least_that_takes_it() {
        let payload_max = |capacity| {
            let options = RingOptions::new().capacity(capacity);
            Geometry::new(&options).payload_max
        };
        for payload in [1, 15, 16, 17, 10_000, FRAME_MAX - HEADER_SIZE] {
            let capacity = RingOptions::capacity_for(payload).unwrap();
            assert!(payload_max(capacity) >= payload, "{payload}");
            assert!(payload_max(capacity - 1) < payload, "{payload}");
        }
        assert_eq!(RingOptions::capacity_for(FRAME_MAX - HEADER_SIZE + 1), None);
        assert_eq!(payload_max(usize::MAX / 4), FRAME_MAX - HEADER_SIZE);
    }
}
