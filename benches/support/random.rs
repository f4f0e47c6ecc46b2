//! Random numbers that are the same in every run.

/// Marsaglia's xorshift, of 64 bits.
pub(crate) struct Random(u64);

impl Random {
    /// The numbers that follow `seed`, which must not be zero.
    pub(crate) fn new(seed: u64) -> Self {
        Random(seed)
    }

    /// A number from zero up to but excluding `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}
