//! Keys: what a stream is partitioned by, and how a record's key is extracted.

use std::borrow::Borrow;

use compact_str::CompactString;

use super::form::{FormError, take_item, with_length};
use super::key_hash::KeyHash;
use super::short_bytes::equal;

/// A key: equality, a stable hash, and an owned form that keyed state can store.
///
/// Implemented for integers, `bool`, `char`, strings and byte strings (borrowed too, so that keying by a `&str` never
/// allocates per record), and pairs and triples of owned keys. Floating-point numbers are not keys, because their
/// equality is not an equivalence relation.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a key",
    note = "keys are integers, `bool`, `char`, `str`, `[u8]`, `String`, `[u8; N]` and tuples of those; \
            for your own type implement `Key`"
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

/// The owned form of a key, as stored in state tables and checkpoints.
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

/// Extracts the key of a record. Implemented by the two kinds of closure that `key_by` and `key_by_ref` take.
pub trait KeySelector<V: ?Sized>: Clone + Send + 'static {
    /// The key's type; unsized (`str`) if the key is borrowed from the record.
    type Key: Key + ?Sized;
    /// The extracted key: an owned value, or a reference into the record.
    type Found<'a>: Borrow<Self::Key>
    where
        V: 'a;

    /// The key of `record`.
    fn key<'a>(&self, record: &'a V) -> Self::Found<'a>;
}

/// A selector that returns an owned key: `|bid| bid.auction`.
#[derive(Clone, Debug)]
pub struct OwnedSelector<F>(pub F);

impl<V, K, F> KeySelector<V> for OwnedSelector<F>
where
    V: ?Sized,
    K: Key,
    F: Fn(&V) -> K + Clone + Send + 'static,
{
    type Key = K;
    type Found<'a>
        = K
    where
        V: 'a;

    #[inline(always)]
    fn key(&self, record: &V) -> K {
        (self.0)(record)
    }
}

/// A selector that borrows the key from the record: `|word| word`.
#[derive(Clone, Debug)]
pub struct BorrowedSelector<F>(pub F);

impl<V, K, F> KeySelector<V> for BorrowedSelector<F>
where
    V: ?Sized,
    K: Key + ?Sized,
    F: for<'a> Fn(&'a V) -> &'a K + Clone + Send + 'static,
{
    type Key = K;
    type Found<'a>
        = &'a K
    where
        V: 'a;

    #[inline(always)]
    fn key<'a>(&self, record: &'a V) -> &'a K {
        (self.0)(record)
    }
}

/// Java's hash of a 64-bit number.
const fn java_long(value: i64) -> i32 {
    (value ^ (value as u64 >> 32) as i64) as i32
}

macro_rules! integer_key {
    ($($type:ty => $java:expr;)*) => { $(
        impl Key for $type {
            type Stored = $type;

            #[inline(always)]
            fn key_hash(&self) -> KeyHash {
                KeyHash::of_u64(*self as u64)
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

integer_key! {
    u8 => i32::from; u16 => i32::from; i8 => i32::from; i16 => i32::from;
    i32 => |v| v; u32 => |v| v as i32;
    i64 => java_long; u64 => |v| java_long(v as i64);
    usize => |v| java_long(v as i64); isize => |v| java_long(v as i64);
    bool => |v| if v { 1231 } else { 1237 };
    char => |v| v as i32;
}

macro_rules! text_key {
    ($borrowed:ty, $stored:ty, $bytes:expr, $java:expr, $read:expr) => {
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
                equal($bytes(self), $bytes(key))
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

text_key!(str, CompactString, str::as_bytes, java_string, text);
text_key!(
    [u8],
    Box<[u8]>,
    std::convert::identity,
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

macro_rules! tuple_key {
    ($first:ident $(, $name:ident $index:tt)+) => {
        impl<$first, $($name),+> Key for ($first, $($name,)+)
        where
            $first: Key<Stored = $first> + StoredKey<Key = $first>,
            $($name: Key<Stored = $name> + StoredKey<Key = $name>,)+
        {
            type Stored = ($first, $($name,)+);

            #[inline]
            fn key_hash(&self) -> KeyHash {
                self.0.key_hash()$(.then(self.$index.key_hash()))+
            }

            fn to_stored(&self) -> Self {
                self.clone()
            }

            /// Flink's tuple hash: `31 · hash + field`, starting from the first field.
            fn java_hash(&self) -> i32 {
                let hash = self.0.java_hash();
                $(let hash = hash.wrapping_mul(31).wrapping_add(self.$index.java_hash());)+
                hash
            }
        }

        impl<$first, $($name),+> StoredKey for ($first, $($name,)+)
        where
            $first: Key<Stored = $first> + StoredKey<Key = $first>,
            $($name: Key<Stored = $name> + StoredKey<Key = $name>,)+
        {
            type Key = Self;

            const LENGTH: Option<usize> = total(&[$first::LENGTH $(, $name::LENGTH)+]);

            #[inline(always)]
            fn key(&self) -> &Self {
                self
            }

            fn encode(&self, bytes: &mut Vec<u8>) {
                put_item(&self.0, bytes);
                $(put_item(&self.$index, bytes);)+
            }

            fn decode(mut bytes: &[u8]) -> Result<Self, FormError> {
                let whole = bytes;
                let key = ($first::decode(take_item($first::LENGTH, &mut bytes)?)?, $(
                    $name::decode(take_item($name::LENGTH, &mut bytes)?)?,
                )+);
                match bytes {
                    [] => Ok(key),
                    rest => Err(FormError::new::<Self>(whole, format!("{} bytes too many", rest.len()))),
                }
            }
        }
    };
}

/// The total length of several items, if each has a fixed one.
const fn total(lengths: &[Option<usize>]) -> Option<usize> {
    let (mut sum, mut at) = (0, 0);
    while at < lengths.len() {
        match lengths[at] {
            Some(length) => sum += length,
            None => return None,
        }
        at += 1;
    }
    Some(sum)
}

/// Appends a key as one item in a sequence: preceded by its length, unless all keys have the same.
fn put_item<S: StoredKey>(key: &S, bytes: &mut Vec<u8>) {
    with_length(S::LENGTH, bytes, |bytes| key.encode(bytes));
}

tuple_key!(A, B 1);
tuple_key!(A, B 1, C 2);
