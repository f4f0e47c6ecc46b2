//! Reasons why a ring did not accept a frame.

/// A frame could not be claimed. Nothing was written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RingError {
    /// There is no room at present. Try again once the consumer has released enough.
    #[error("ring is full: a frame of {size} bytes does not fit")]
    Full {
        /// The size of the frame in bytes, including header and padding.
        size: usize,
    },
    /// The payload can never fit, even in an empty ring: make the ring (or the stride) larger.
    #[error("payload of {size} bytes is over the ring's limit of {limit} bytes")]
    TooLarge {
        /// The size of the payload in bytes.
        size: usize,
        /// The size in bytes of the largest payload that this ring accepts.
        limit: usize,
    },
    /// There is no room, and there will be none: the consumer is gone.
    #[error("the ring's consumer is gone")]
    Closed,
}
