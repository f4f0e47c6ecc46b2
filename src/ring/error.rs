//! Why a ring did not take a frame.

/// A frame could not be claimed. Nothing was written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RingError {
    /// There is no room now. There will be when the consumer has released enough; try again then.
    #[error("ring is full: a frame of {size} bytes does not fit")]
    Full {
        /// Bytes of the frame, header and padding included.
        size: usize,
    },
    /// The payload can never fit, however empty the ring is: make the ring (or the stride) larger.
    #[error("payload of {size} bytes is over the ring's limit of {limit} bytes")]
    TooLarge {
        /// Bytes of the payload.
        size: usize,
        /// Bytes of the largest payload this ring takes.
        limit: usize,
    },
    /// There is no room, and none will come: the consumer is gone.
    #[error("the ring's consumer is gone")]
    Closed,
}
