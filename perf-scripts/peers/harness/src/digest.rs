//! The checksum of a query's output, the same whatever the order of its rows.

const K0: u64 = 0x9E37_79B1_85EB_CA87;
const K1: u64 = 0xC2B2_AE3D_27D4_EB4F;
const K2: u64 = 0x1656_67B1_9E37_79F9;
const K3: u64 = 0x85EB_CA77_C2B2_AE63;

/// The output function of SplitMix64.
#[inline(always)]
pub fn mix64(x: u64) -> u64 {
    let z = x.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// The hash of a row of two fields.
#[inline(always)]
pub fn h2(a: u64, b: u64) -> u64 {
    mix64(a.wrapping_mul(K0).wrapping_add(b.wrapping_mul(K1)))
}

/// The hash of a row of three fields.
#[inline(always)]
pub fn h3(a: u64, b: u64, c: u64) -> u64 {
    let two = a.wrapping_mul(K0).wrapping_add(b.wrapping_mul(K1));
    mix64(two.wrapping_add(c.wrapping_mul(K2)))
}

/// The hash of a row of four fields.
#[inline(always)]
pub fn h4(a: u64, b: u64, c: u64, d: u64) -> u64 {
    let two = a.wrapping_mul(K0).wrapping_add(b.wrapping_mul(K1));
    let three = two.wrapping_add(c.wrapping_mul(K2));
    mix64(three.wrapping_add(d.wrapping_mul(K3)))
}

/// Fowler, Noll and Vo's hash 1a: how a word enters the checksum.
#[inline(always)]
pub fn fnv1a64(word: &[u8]) -> u64 {
    word.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// Rows counted and hashed: what a sink keeps of its input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Digest {
    /// Rows seen.
    pub rows: u64,
    /// The sum of their hashes, modulo 2^64.
    pub checksum: u64,
}

impl Digest {
    /// Takes in a row by its hash.
    #[inline(always)]
    pub fn add(&mut self, hash: u64) {
        self.rows += 1;
        self.checksum = self.checksum.wrapping_add(hash);
    }

    /// Takes in what another sink instance has seen.
    pub fn merge(&mut self, other: Digest) {
        self.rows += other.rows;
        self.checksum = self.checksum.wrapping_add(other.checksum);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_the_published_functions() {
        // SplitMix64 seeded with 0 opens with this number; FNV's authors publish the hash of "a".
        assert_eq!(mix64(0), 0xE220_A839_7B1D_CDAF);
        assert_eq!(fnv1a64(b"a"), 0xaf63_dc4c_8601_ec8c);
    }

    #[test]
    fn checksum_forgets_the_order_of_rows_but_not_of_fields() {
        let (mut one, mut other) = (Digest::default(), Digest::default());
        one.add(h2(1, 2));
        one.add(h2(3, 4));
        other.add(h2(3, 4));
        other.add(h2(1, 2));
        assert_eq!(one, other);
        assert_ne!(h2(1, 2), h2(2, 1));
    }
}
