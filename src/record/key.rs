//! Keys: what a stream is partitioned by.

use compact_str::CompactString;

use super::compact_text::is_same;
use super::form::FormError;
use super::key_hash::KeyHash;
use super::short_bytes::equal;
use crate::time::Timestamp;

/// A key: equality, a stable hash, and an owned form that keyed state can store.
///
/// Implemented for integers, `bool`, `char`, timestamps, strings and byte strings (borrowed too, so that keying by a
/// `&str` never allocates per record), and tuples of up to five owned keys. Floating-point numbers are not keys, because
/// their equality is not an equivalence relation.
///
/// [`plain_key!`](crate::plain_key) makes a key of your own type if that is plain data. Any other type implements this
/// trait and [`StoredKey`], most easily by means of its fields:
///
/// ```
/// use thalweg::record::{FormError, Key, KeyHash, StoredKey};
///
/// #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
/// struct Customer(String);
///
/// impl Key for Customer {
///     type Stored = Customer;
///     fn key_hash(&self) -> KeyHash { self.0.key_hash() }
///     fn to_stored(&self) -> Customer { self.clone() }
///     fn java_hash(&self) -> i32 { self.0.java_hash() }
/// }
///
/// impl StoredKey for Customer {
///     type Key = Customer;
///     const LENGTH: Option<usize> = String::LENGTH;
///     fn key(&self) -> &Customer { self }
///     fn encode(&self, bytes: &mut Vec<u8>) { self.0.encode(bytes); }
///     fn decode(bytes: &[u8]) -> Result<Self, FormError> { String::decode(bytes).map(Customer) }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a key",
    note = "keys are integers, `bool`, `char`, `Timestamp`, `str`, `[u8]`, `String`, `[u8; N]` and tuples of those",
    note = "your own type: write `thalweg::plain_key!` where it is plain data, or implement `Key` and `StoredKey`"
)]
pub trait Key: Eq + 'static {
    /// The owned form: a [`CompactString`] for `str` (up to 24 bytes are stored inline, not behind a pointer), the key
    /// itself for an integer.
    type Stored: StoredKey<Key = Self>;

    /// The stable hash: the same in every process, on every platform.
    fn key_hash(&self) -> KeyHash;

    /// The owned form of this key.
    fn to_stored(&self) -> Self::Stored;

    /// Java's `hashCode` of the equivalent Java key, for Flink's key-group assignment.
    fn java_hash(&self) -> i32;
}

/// The owned form of a key, as stored in state tables and checkpoints. [`Key`] has an example.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the owned form of a key",
    note = "a `Key` is kept in its `Stored` form, which must implement `StoredKey`: equality, order and bytes"
)]
pub trait StoredKey: Clone + Send + Eq + Ord + std::fmt::Debug + 'static {
    /// The key as user functions see it: `str` for [`CompactString`].
    type Key: Key<Stored = Self> + ?Sized;

    /// The encoded length of every key, if it is the same for all.
    const LENGTH: Option<usize>;

    /// Whether a key's bytes are its encoding, so that [`itself`](Self::itself) returns them.
    const IN_PLACE: bool = false;

    /// The key as user functions see it.
    fn key(&self) -> &Self::Key;

    /// Whether this is the stored form of `key`.
    #[inline(always)]
    fn is(&self, key: &Self::Key) -> bool {
        self.key() == key
    }

    /// Appends the key's encoding, which is the same in every process with this byte order.
    fn encode(&self, bytes: &mut Vec<u8>);

    /// The bytes that [`encode`](Self::encode) would append, if the key is its own encoding
    /// ([`IN_PLACE`](Self::IN_PLACE)).
    fn itself(&self) -> &[u8] {
        &[]
    }

    /// Decodes a key after validating the bytes.
    ///
    /// # Errors
    /// [`FormError`] if the bytes are not a valid key.
    fn decode(bytes: &[u8]) -> Result<Self, FormError>;
}

/// Java's hash of a 64-bit number.
const fn java_long(value: i64) -> i32 {
    (value ^ (value as u64 >> 32) as i64) as i32
}

/// `BigInteger.hashCode`: over the 32-bit digits of the magnitude, from the highest; the sign is the caller's.
const fn java_magnitude(magnitude: u128) -> i32 {
    let (mut hash, mut bits) = (0i32, u128::BITS);
    while bits > 0 {
        bits -= 32;
        hash = hash
            .wrapping_mul(31)
            .wrapping_add((magnitude >> bits) as i32);
    }
    hash
}

/// The hash of two words: of the low one, and then of the high one.
const fn wide_hash(value: u128) -> KeyHash {
    KeyHash::of_u64(value as u64).then(KeyHash::of_u64((value >> 64) as u64))
}

macro_rules! plain_number_key {
    ($($type:ty => $hash:expr, $java:expr;)*) => { $(
        impl Key for $type {
            type Stored = $type;

            #[inline(always)]
            fn key_hash(&self) -> KeyHash {
                ($hash)(*self)
            }

            #[inline(always)]
            fn to_stored(&self) -> $type {
                *self
            }

            #[inline(always)]
            fn java_hash(&self) -> i32 {
                ($java)(*self)
            }
        }

        impl StoredKey for $type {
            type Key = $type;

            const LENGTH: Option<usize> = Some(size_of::<$type>());
            const IN_PLACE: bool = true;

            #[inline(always)]
            fn key(&self) -> &$type {
                self
            }

            #[inline(always)]
            fn encode(&self, bytes: &mut Vec<u8>) {
                bytes.extend_from_slice(self.itself());
            }

            #[inline(always)]
            fn itself(&self) -> &[u8] {
                bytemuck::bytes_of(self)
            }

            #[inline(always)]
            fn decode(bytes: &[u8]) -> Result<$type, FormError> {
                bytemuck::checked::try_pod_read_unaligned(bytes)
                    .map_err(|e| FormError::new::<$type>(bytes, e))
            }
        }
    )* };
}

macro_rules! integer_key {
    ($($type:ty => $java:expr;)*) => {
        plain_number_key! { $($type => |v| KeyHash::of_u64(v as u64), $java;)* }
    };
}

plain_number_key! {
    u128 => wide_hash, java_magnitude;
    i128 => |v| wide_hash(v as u128),
        |v: i128| java_magnitude(v.unsigned_abs()).wrapping_mul(v.signum() as i32);
    Timestamp => |at: Timestamp| KeyHash::of_u64(at.0 as u64), |at: Timestamp| java_long(at.0);
}

integer_key! {
    u8 => i32::from; u16 => i32::from; i8 => i32::from; i16 => i32::from;
    i32 => |v| v; u32 => |v| v as i32;
    i64 => java_long; u64 => |v| java_long(v as i64);
    usize => |v| java_long(v as i64); isize => |v| java_long(v as i64);
    bool => |v| if v { 1231 } else { 1237 };
    char => |v| v as i32;
}

macro_rules! text_key {
    ($borrowed:ty, $stored:ty, $bytes:expr, $is:expr, $java:expr, $read:expr) => {
        impl Key for $borrowed {
            type Stored = $stored;

            #[inline(always)]
            fn key_hash(&self) -> KeyHash {
                KeyHash::of_bytes($bytes(self))
            }

            fn to_stored(&self) -> $stored {
                self.into()
            }

            fn java_hash(&self) -> i32 {
                $java(self)
            }
        }

        impl StoredKey for $stored {
            type Key = $borrowed;

            const LENGTH: Option<usize> = None;

            #[inline(always)]
            fn key(&self) -> &$borrowed {
                self
            }

            #[inline(always)]
            fn is(&self, key: &$borrowed) -> bool {
                $is(self, key)
            }

            fn encode(&self, bytes: &mut Vec<u8>) {
                bytes.extend_from_slice($bytes(self));
            }

            fn decode(bytes: &[u8]) -> Result<$stored, FormError> {
                $read(bytes).map(Into::into)
            }
        }
    };
}

/// Validates bytes as UTF-8 text.
fn text(bytes: &[u8]) -> Result<&str, FormError> {
    std::str::from_utf8(bytes).map_err(|e| FormError::new::<str>(bytes, e))
}

/// `String.hashCode`: over UTF-16 units.
fn java_string(text: &str) -> i32 {
    text.encode_utf16().fold(0i32, |h, unit| {
        h.wrapping_mul(31).wrapping_add(i32::from(unit))
    })
}

/// `Arrays.hashCode(byte[])`: over signed bytes.
fn java_bytes(bytes: &[u8]) -> i32 {
    bytes.iter().fold(1i32, |h, &b| {
        h.wrapping_mul(31).wrapping_add(i32::from(b as i8))
    })
}

text_key!(
    str,
    CompactString,
    str::as_bytes,
    is_same,
    java_string,
    text
);
text_key!(
    [u8],
    Box<[u8]>,
    std::convert::identity,
    equal,
    java_bytes,
    Ok::<_, FormError>
);

impl Key for String {
    type Stored = String;

    #[inline]
    fn key_hash(&self) -> KeyHash {
        KeyHash::of_bytes(self.as_bytes())
    }

    fn to_stored(&self) -> String {
        self.clone()
    }

    fn java_hash(&self) -> i32 {
        java_string(self)
    }
}

impl StoredKey for String {
    type Key = String;

    const LENGTH: Option<usize> = None;

    fn key(&self) -> &String {
        self
    }

    #[inline(always)]
    fn is(&self, key: &String) -> bool {
        equal(self.as_bytes(), key.as_bytes())
    }

    fn encode(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(self.as_bytes());
    }

    fn decode(bytes: &[u8]) -> Result<String, FormError> {
        text(bytes).map(str::to_owned)
    }
}

impl<const N: usize> Key for [u8; N] {
    type Stored = [u8; N];

    #[inline]
    fn key_hash(&self) -> KeyHash {
        KeyHash::of_bytes(self)
    }

    fn to_stored(&self) -> [u8; N] {
        *self
    }

    fn java_hash(&self) -> i32 {
        java_bytes(self)
    }
}

impl<const N: usize> StoredKey for [u8; N] {
    type Key = [u8; N];

    const LENGTH: Option<usize> = Some(N);
    const IN_PLACE: bool = true;

    fn key(&self) -> &[u8; N] {
        self
    }

    fn encode(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(self);
    }

    #[inline(always)]
    fn itself(&self) -> &[u8] {
        self
    }

    fn decode(bytes: &[u8]) -> Result<[u8; N], FormError> {
        <[u8; N]>::try_from(bytes).map_err(|e| FormError::new::<[u8; N]>(bytes, e))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks that a key comes back from its bytes, and says how many these are.
    fn there_and_back<S: StoredKey>(key: S) -> usize {
        let mut bytes = Vec::new();
        key.encode(&mut bytes);
        assert_eq!(S::decode(&bytes).expect("a key"), key);
        assert!(S::LENGTH.is_none_or(|length| length == bytes.len()));
        assert!(!S::IN_PLACE || key.itself() == bytes);
        bytes.push(0);
        assert!(S::decode(&bytes).is_err(), "{key:?} with a byte too many");
        bytes.len() - 1
    }

    #[test]
    fn keys_come_back_from_their_bytes() {
        assert_eq!(there_and_back(u128::MAX - 1), 16);
        assert_eq!(there_and_back(i128::MIN), 16);
        assert_eq!(there_and_back(Timestamp(-7)), 8);
        assert_eq!(there_and_back((1u8, 2u16, 3u32, 4u64)), 15);
        assert_eq!(there_and_back((1u8, 'b', 3u32, Timestamp(4), [5; 3])), 20);
        assert_eq!(there_and_back(("a key".to_owned(), 2u8)), 10);
    }

    #[test]
    fn both_words_of_a_wide_number_count() {
        let hashes = [0, 1, 1 << 64, 1 << 127, u128::MAX].map(|key| key.key_hash());
        for (at, hash) in hashes.iter().enumerate() {
            assert!(!hashes[..at].contains(hash));
        }
        assert_eq!((-1_i128).key_hash(), u128::MAX.key_hash());
        assert_eq!(Timestamp(-5).key_hash(), (-5_i64).key_hash());
    }

    #[test]
    fn wide_numbers_have_the_hash_of_a_big_integer() {
        let cases = [
            (0, 0),
            (1, 1),
            (-1, -1),
            (1 << 32, 31),
            (-(1 << 32) - 5, -36),
            (1 << 64, 961),
        ];
        for (key, hash) in cases {
            assert_eq!(i128::java_hash(&key), hash, "{key}");
        }
        assert_eq!((1_u128 << 64).java_hash(), 961);
        assert_eq!(Timestamp(1 << 32).java_hash(), (1_i64 << 32).java_hash());
    }
}
