//! Tuples of owned keys, which are keys.

use super::form::{FormError, take_item, with_length};
use super::key::{Key, StoredKey};
use super::key_hash::KeyHash;

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
tuple_key!(A, B 1, C 2, D 3);
tuple_key!(A, B 1, C 2, D 3, E 4);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_of_a_tuple_counts() {
        let key = (1u8, 2u16, 3u32, 4u64, 5i8);
        let others = [
            (0u8, 2u16, 3u32, 4u64, 5i8),
            (1, 0, 3, 4, 5),
            (1, 2, 0, 4, 5),
            (1, 2, 3, 0, 5),
            (1, 2, 3, 4, 0),
        ];
        for other in others {
            assert_ne!(key.key_hash(), other.key_hash(), "{other:?}");
            assert_ne!(key.java_hash(), other.java_hash(), "{other:?}");
        }
    }
}
