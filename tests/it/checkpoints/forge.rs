//! Forged files: arbitrary bytes under valid checksums, so that a reader gets past them.

use xxhash_rust::xxh3::xxh3_64;

const SUM: usize = 8;
const SEGMENT_HEADER: usize = 64;
const TRAILER: usize = 48;
/// The offsets in the trailer of the index's offset, length and checksum.
const INDEX_OFFSET: usize = 16;
const INDEX_LENGTH: usize = 24;
const INDEX_SUM: usize = 32;

fn put(bytes: &mut [u8], number: u64) {
    bytes.copy_from_slice(&number.to_le_bytes());
}

fn number(bytes: &[u8]) -> usize {
    u64::from_le_bytes(bytes.try_into().expect("eight bytes")) as usize
}

/// Sets the checksum at the end of `bytes` to that of everything before it.
fn seal(bytes: &mut [u8]) {
    if let Some((body, sum)) = bytes.split_last_chunk_mut::<SUM>() {
        put(sum, xxh3_64(body));
    }
}

/// Makes a manifest's checksum valid.
pub(crate) fn manifest(mut bytes: Vec<u8>) -> Vec<u8> {
    seal(&mut bytes);
    bytes
}

/// Makes the checksums of a segment's header, index and trailer valid.
pub(crate) fn segment(mut bytes: Vec<u8>) -> Vec<u8> {
    if bytes.len() < SEGMENT_HEADER + TRAILER {
        return bytes;
    }
    seal(&mut bytes[..SEGMENT_HEADER]);
    let end = bytes.len() - TRAILER;
    let (body, trailer) = bytes.split_at_mut(end);
    let start = number(&trailer[INDEX_OFFSET..][..8]);
    let length = number(&trailer[INDEX_LENGTH..][..8]);
    let index = start
        .checked_add(length)
        .and_then(|end| body.get(start..end));
    if let Some(index) = index {
        put(&mut trailer[INDEX_SUM..][..8], xxh3_64(index));
    }
    seal(trailer);
    bytes
}
