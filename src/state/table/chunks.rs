//! Encoded entries in equally sized chunks, which are handed over full and returned empty.
//!
//! Writing never moves what is already written, however much that is: a full chunk is set aside, and the next one
//! begun. So every copy that a frozen generation needs costs the same, and the copies take only the memory of the
//! chunks that nobody has fetched yet.

/// A chunk is full when it has nearly this many bytes.
pub const CHUNK_BYTES: usize = 128 << 10;
/// A full-size chunk with less room left than this is full: single additions seldom need more.
pub(super) const ROOM: usize = 4 << 10;
/// How many empty chunks are kept for reuse.
const SPARE: usize = 4;

/// Some encoded entries, one after the other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Chunk {
    /// Their bytes.
    pub bytes: Vec<u8>,
    /// The number of entries.
    pub count: u64,
}

/// Entries in chunks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Chunks {
    full: Vec<Chunk>,
    open: Chunk,
    /// Empty buffers with allocated memory.
    spare: Vec<Vec<u8>>,
}

impl Chunks {
    /// Appends `count` entries, which `write` encodes.
    #[inline]
    pub fn add(&mut self, count: usize, write: impl FnOnce(&mut Vec<u8>)) {
        if self.open.bytes.capacity() - self.open.bytes.len() < ROOM {
            self.make_room();
        }
        write(&mut self.open.bytes);
        self.open.count += count as u64;
    }

    /// Enlarges the current chunk or, if it has full size, sets it aside and begins the next one.
    #[cold]
    fn make_room(&mut self) {
        let (length, capacity) = (self.open.bytes.len(), self.open.bytes.capacity());
        if capacity < CHUNK_BYTES {
            let enlarged = (2 * capacity).clamp(2 * ROOM, CHUNK_BYTES);
            return self.open.bytes.reserve_exact(enlarged - length);
        }
        let bytes = match self.spare.pop() {
            Some(spare) => spare,
            // Having filled one chunk, the entries will probably fill another.
            None => Vec::with_capacity(CHUNK_BYTES),
        };
        let full = std::mem::replace(&mut self.open, Chunk { bytes, count: 0 });
        self.full.push(full);
    }

    /// Moves full chunks to the end of `out` in exchange for its spare ones; with `all`, moves the remaining entries,
    /// too, and returns the spare ones.
    pub(super) fn hand_on(&mut self, all: bool, out: &mut Chunks) {
        let is_in_use = !self.full.is_empty();
        out.full.append(&mut self.full);
        if !all {
            if is_in_use {
                self.spare.append(&mut out.spare);
            }
            return;
        }
        let open = std::mem::take(&mut self.open);
        match open.count {
            0 => self.spare.push(open.bytes),
            _ => out.full.push(open),
        }
        self.spare.drain(..).for_each(|spare| out.lend(spare));
    }

    /// Closes the current chunk: counts it as full if there is anything in it.
    pub fn close(&mut self) {
        if self.open.count > 0 {
            self.full.push(std::mem::take(&mut self.open));
        }
    }

    /// Takes the full chunks, in the order in which they were written.
    pub fn take_full(&mut self) -> std::vec::Drain<'_, Chunk> {
        self.full.drain(..)
    }

    /// How many empty chunks can be lent.
    #[must_use]
    pub fn wanted(&self) -> usize {
        SPARE.saturating_sub(self.spare.len())
    }

    /// Lends a buffer to be filled; its contents are discarded.
    pub fn lend(&mut self, mut bytes: Vec<u8>) {
        if bytes.capacity() > 0 && self.wanted() > 0 {
            bytes.clear();
            self.spare.push(bytes);
        }
    }

    /// The number of entries.
    #[must_use]
    pub fn count(&self) -> u64 {
        let full = self.full.iter().map(|chunk| chunk.count);
        full.sum::<u64>() + self.open.count
    }

    /// Copies all entries, one after the other.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let full = self.full.iter().flat_map(|chunk| &chunk.bytes);
        full.chain(&self.open.bytes).copied().collect()
    }

    /// Discards all entries but keeps some of the memory.
    pub fn clear(&mut self) {
        while let Some(Chunk { bytes, .. }) = self.full.pop() {
            self.lend(bytes);
        }
        self.open.bytes.clear();
        self.open.count = 0;
    }

    pub(super) fn memory_bytes(&self) -> usize {
        let full = self.full.iter().map(|chunk| chunk.bytes.capacity());
        let spare = self.spare.iter().map(Vec::capacity);
        self.open.bytes.capacity() + full.chain(spare).sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_stays_where_it_is_and_comes_in_order() {
        let (mut written, mut taken) = (Chunks::default(), Chunks::default());
        let (mut all, mut count) = (Vec::new(), 0);
        let entries = if cfg!(miri) { 400 } else { 20_000u32 };
        for number in 0..entries {
            let entry = [number.to_le_bytes(); 25];
            written.add(1, |bytes| bytes.extend_from_slice(entry.as_flattened()));
            if number % 1000 == 0 {
                written.hand_on(false, &mut taken);
            }
            for chunk in taken.take_full().collect::<Vec<_>>() {
                assert!(chunk.bytes.capacity() <= CHUNK_BYTES);
                count += chunk.count;
                all.extend_from_slice(&chunk.bytes);
                taken.lend(chunk.bytes);
            }
            assert!(written.memory_bytes() <= (2 + SPARE) * CHUNK_BYTES);
        }
        written.hand_on(true, &mut taken);
        count += taken.count();
        all.extend(taken.to_bytes());
        assert_eq!((count, written.count()), (u64::from(entries), 0));
        let numbers = all
            .as_chunks()
            .0
            .iter()
            .map(|bytes| u32::from_le_bytes(*bytes));
        let expected = (0..entries).flat_map(|number| [number; 25]);
        assert!(numbers.eq(expected));
    }

    #[test]
    fn a_chunk_that_comes_back_is_written_to_again() {
        let (mut written, mut taken) = (Chunks::default(), Chunks::default());
        let fill = |chunks: &mut Chunks| chunks.add(1, |bytes| bytes.resize(CHUNK_BYTES, 7));
        fill(&mut written);
        fill(&mut written);
        written.hand_on(false, &mut taken);
        let chunk = taken.take_full().next().unwrap();
        let place = chunk.bytes.as_ptr();
        taken.lend(chunk.bytes);
        fill(&mut written);
        written.hand_on(false, &mut taken);
        fill(&mut written);
        written.hand_on(true, &mut taken);
        let places = taken.take_full().map(|chunk| chunk.bytes.as_ptr());
        assert!(places.collect::<Vec<_>>().contains(&place));
    }
}
