//! What a key must be able to do to live in a table: say its stable hash.

use crate::record::KeyHash;

/// A key in the form in which a table stores it.
///
/// The hash must be the one that callers pass beside the key to the table's methods: a table splits
/// its segments by asking the stored keys. A key whose hash is costly to compute may carry it
/// along.
pub trait TableKey {
    /// The stable hash of this key.
    fn key_hash(&self) -> KeyHash;
}

macro_rules! integer_keys {
    ($($integer:ty),*) => {$(
        impl TableKey for $integer {
            #[inline(always)]
            fn key_hash(&self) -> KeyHash {
                KeyHash::of_u64(*self as u64)
            }
        }
    )*};
}

integer_keys!(u8, u16, u32, u64, i8, i16, i32, i64);

macro_rules! byte_keys {
    ($($bytes:ty => $as_bytes:expr),* $(,)?) => {$(
        impl TableKey for $bytes {
            #[inline]
            fn key_hash(&self) -> KeyHash {
                let as_bytes: fn(&$bytes) -> &[u8] = $as_bytes;
                KeyHash::of_bytes(as_bytes(self))
            }
        }
    )*};
}

byte_keys! {
    String => |text| text.as_bytes(),
    Box<str> => |text| text.as_bytes(),
    Vec<u8> => |bytes| bytes,
    Box<[u8]> => |bytes| bytes,
}

impl TableKey for () {
    #[inline(always)]
    fn key_hash(&self) -> KeyHash {
        KeyHash::of_u64(0)
    }
}

impl<A: TableKey, B: TableKey> TableKey for (A, B) {
    #[inline(always)]
    fn key_hash(&self) -> KeyHash {
        self.0.key_hash().then(self.1.key_hash())
    }
}
