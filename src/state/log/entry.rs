//! The records of a log as checkpoints see them: keyed entries whose key is the record's key and its place in the log,
//! and whose value is the record.
//!
//! Many records have the same key, and of entries with equal keys the last one wins: the place distinguishes them. It
//! is encoded in big-endian order, so that sorting the entries of one key by their bytes puts them in the order of
//! their places. The hash is that of the record's key alone, which decides which subtask owns them.

use std::any::type_name;
use std::ops::RangeInclusive;

use rkyv::util::AlignedVec;

use crate::record::{
    FRAME_ALIGN, FormError, KeyHash, KeyHasher, StoredKey, Wire, take_item, with_length,
};
use crate::state::schema::{StateKind, StateSchema, TypeLayout, decode_key};

/// The length of an encoded key and place, if it is the same for all.
const fn length<S: StoredKey>() -> Option<usize> {
    match S::LENGTH {
        Some(length) => Some(length + size_of::<u64>()),
        None => None,
    }
}

/// The schema of logs of records of type `V` with keys of type `S`.
#[must_use]
pub fn log_schema<S: StoredKey, V: Wire + ?Sized>(name: &str, kind: StateKind) -> StateSchema {
    StateSchema {
        name: name.into(),
        kind,
        key: TypeLayout {
            name: type_name::<(S, u64)>().into(),
            length: length::<S>().map(|length| length as u32),
            shape: 0,
            version: 0,
        },
        value: TypeLayout::of_wire::<V>(),
    }
}

/// Returns the hash of the record's key in an encoded key and place.
///
/// # Errors
/// [`FormError`] if the bytes are not such a key.
pub fn hash_of_logged<S: StoredKey>(
    hasher: &KeyHasher,
    mut bytes: &[u8],
) -> Result<KeyHash, FormError> {
    let key: S = decode_key(&mut bytes)?;
    Ok(hasher.hash(key.key()))
}

/// Appends the key, the place in the log and the bytes of a record.
pub fn encode_logged<S: StoredKey, V: Wire + ?Sized>(
    key: &S,
    place: u64,
    record: &V,
    bytes: &mut Vec<u8>,
) {
    with_length(length::<S>(), bytes, |bytes| {
        with_length(S::LENGTH, bytes, |bytes| key.encode(bytes));
        bytes.extend_from_slice(&place.to_be_bytes());
    });
    with_length(V::LENGTH, bytes, |bytes| {
        bytes.extend_from_slice(record.as_bytes());
    });
}

/// Calls `record` with every record in these entries whose key has one of these hashes.
///
/// # Errors
/// [`FormError`] if the bytes are not such entries.
pub fn logged_records<S: StoredKey, V: Wire + ?Sized>(
    mut bytes: &[u8],
    hasher: &KeyHasher,
    hashes: &RangeInclusive<KeyHash>,
    mut record: impl FnMut(KeyHash, &S, &V),
) -> Result<(), FormError> {
    let mut aligned = AlignedVec::<FRAME_ALIGN>::new();
    while !bytes.is_empty() {
        let mut item = take_item(length::<S>(), &mut bytes)?;
        let key: S = decode_key(&mut item)?;
        if item.len() != size_of::<u64>() {
            return Err(FormError::new::<u64>(item, "a place has eight bytes"));
        }
        let item = take_item(V::LENGTH, &mut bytes)?;
        let hash = hasher.hash(key.key());
        if !hashes.contains(&hash) {
            continue;
        }
        if item.as_ptr().addr().is_multiple_of(V::ALIGN) {
            record(hash, &key, V::from_bytes(item)?);
        } else {
            aligned.clear();
            aligned.extend_from_slice(item);
            record(hash, &key, V::from_bytes(&aligned)?);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Key, KeyGroupAssignment, MaxParallelism};

    fn hasher() -> KeyHasher {
        KeyHasher::new(KeyGroupAssignment::Hash, MaxParallelism::default_for(1))
    }

    const ALL: RangeInclusive<KeyHash> = KeyHash(0)..=KeyHash(u64::MAX);

    #[test]
    fn records_come_back_with_their_keys() {
        let mut bytes = Vec::new();
        let text = |n: u64| "x".repeat(n as usize % 7);
        for n in 0..50 {
            encode_logged::<_, str>(&text(n / 3).as_str().to_stored(), n, &text(n), &mut bytes);
        }
        let mut found = Vec::new();
        let record = |hash: KeyHash, key: &<str as Key>::Stored, record: &str| {
            assert_eq!(hash, hasher().hash(key.key()));
            found.push((key.to_string(), record.to_owned()));
        };
        logged_records::<_, str>(&bytes, &hasher(), &ALL, record).unwrap();
        assert!(
            (0..50)
                .map(|n| (text(n / 3), text(n)))
                .eq(found.into_iter())
        );
        let mut few = Vec::new();
        let hash = hasher().hash("xx");
        let record = |_, key: &<str as Key>::Stored, _: &str| few.push(key.to_string());
        logged_records::<_, str>(&bytes, &hasher(), &(hash..=hash), record).unwrap();
        assert!(!few.is_empty() && few.iter().all(|key| key == "xx"));
    }

    #[test]
    fn entries_of_one_key_sort_by_their_places() {
        let entry = |place| {
            let mut bytes = Vec::new();
            encode_logged::<u32, u64>(&7, place, &1, &mut bytes);
            bytes
        };
        let places = [0, 1, 255, 256, 1 << 16, u64::from(u32::MAX), u64::MAX];
        assert!(places.map(entry).is_sorted());
    }

    #[test]
    fn damaged_bytes_are_an_error() {
        let mut bytes = Vec::new();
        encode_logged::<u32, [u64; 2]>(&7, 3, &[1, 2], &mut bytes);
        for cut in 1..bytes.len() {
            let nothing = |_, _: &u32, _: &[u64; 2]| {};
            let found = logged_records(&bytes[..cut], &hasher(), &ALL, nothing);
            assert!(found.is_err(), "cut at {cut}");
        }
    }
}
