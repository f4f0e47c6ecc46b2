//! A source of the fixed-size records of a file, read in place from the mapped file.
//!
//! ```text
//! block     0         1         2         3         4
//!      ┌─────────┬─────────┬─────────┬─────────┬─────┐
//! file │ · · · · │ · · · · │ · · · · │ · · · · │ · · │    records of one size, nothing between them
//!      └─────────┴─────────┴─────────┴─────────┴─────┘
//! of 2    0         1         0         1         0       the subtask that reads the block
//! ```
//! A run of records that belong to one subtask is passed down the chain as one slice: no record is copied or
//! inspected individually before the chain sees it.

use std::marker::PhantomData;
use std::path::Path;
use std::sync::Arc;

use bytemuck::AnyBitPattern;

use crate::operator::{
    BoxError, Collector, OpenContext, Push, Source, SourceReader, SourceStatus, fetch_beginning,
};

use super::FileError;
use super::blocks::Blocks;
use super::mapping::{MappedFile, Mapping};

/// How error messages refer to this source.
const NAME: &str = "a file of records";

/// The smallest page size of any platform, to which mappings are aligned.
const PAGE_SIZE: usize = 4096;

/// Emits the records of a file that consists solely of consecutive values of type `T`, in this platform's memory
/// layout. Bounded.
///
/// The file is mapped into memory when the job starts, and records are emitted in place. Parallel subtasks read it in
/// blocks of [1024](RecordSource::BLOCK) records, block `b` going to subtask `b mod p`, so that all of them advance
/// together; a single subtask reads the whole file sequentially. The checkpointed position consists of the remaining
/// blocks and the number of records already read from the next one; a restored job distributes those blocks anew and
/// requires the file to be unchanged.
///
/// Nobody may write to or truncate the file while the job runs. If a change is detected once the file has been read,
/// the job fails ([`FileError::Changed`]); if a page that is still to be read is truncated away, the operating system
/// kills the process.
///
/// ```
/// use thalweg::connectors::RecordSource;
///
/// #[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
/// #[repr(C)]
/// struct Tick { instrument: u64, price: f64 }
///
/// let ticks = RecordSource::<Tick>::file("ticks.bin").limit(1_000_000);
/// ```
#[must_use]
pub struct RecordSource<T> {
    file: MappedFile,
    block: usize,
    limit: u64,
    record: PhantomData<fn() -> T>,
}

impl<T> std::fmt::Debug for RecordSource<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RecordSource")
            .field("path", &self.file.path())
            .field("block", &self.block)
            .finish_non_exhaustive()
    }
}

impl<T: AnyBitPattern> RecordSource<T> {
    /// The default block size in records.
    pub const BLOCK: usize = 1024;

    /// The size of a record in bytes.
    const SIZE: u64 = {
        assert!(size_of::<T>() > 0, "a record has a size");
        assert!(
            align_of::<T>() <= PAGE_SIZE,
            "a mapping is aligned to a page"
        );
        size_of::<T>() as u64
    };

    /// The records of the file at `path`.
    pub fn file(path: impl AsRef<Path>) -> Self {
        RecordSource {
            file: MappedFile::new(path.as_ref()),
            block: Self::BLOCK,
            limit: u64::MAX / Self::SIZE,
            record: PhantomData,
        }
    }

    /// Sets the block size in `records`, instead of [1024](RecordSource::BLOCK).
    ///
    /// # Panics
    /// If `records` is zero.
    pub fn block(mut self, records: usize) -> Self {
        assert!(records > 0, "a block holds records");
        self.block = records;
        self
    }

    /// Ends after the first `records` records of the file, counted over all subtasks.
    pub fn limit(mut self, records: u64) -> Self {
        self.limit = records.min(u64::MAX / Self::SIZE);
        self
    }
}

impl<T: AnyBitPattern + Send + Sync> Source for RecordSource<T> {
    type Out = T;
    type Reader = RecordReader<T>;

    fn check_positions(&self) -> Result<(), BoxError> {
        Ok(())
    }

    fn start(&self) -> Result<(), BoxError> {
        let size = self.file.size()?;
        Ok(check_size::<T>(self.file.path(), size)?)
    }

    fn reader(&self, index: u32, parallelism: u32) -> RecordReader<T> {
        RecordReader {
            file: self.file.clone(),
            size_max: self.limit * Self::SIZE,
            mapping: None,
            blocks: Blocks::new(NAME, self.block, (index, parallelism)),
            record: PhantomData,
        }
    }
}

/// Checks that a file of `size` bytes ends at a record boundary.
fn check_size<T>(path: &Path, size: u64) -> Result<(), FileError> {
    let record_size = size_of::<T>() as u64;
    if size.is_multiple_of(record_size) {
        return Ok(());
    }
    Err(FileError::NotWholeRecords {
        path: path.to_path_buf(),
        size,
        record_size,
    })
}

/// The index range of the next run of adjacent records, in a file of `records` records.
fn run(blocks: &Blocks, records: usize) -> std::ops::Range<usize> {
    let next = blocks.left.current();
    let offset = usize::try_from(next.offset).unwrap_or(usize::MAX);
    let start = blocks.start(next.next).saturating_add(offset);
    start.min(records)..blocks.end().min(records)
}

/// The index of the first record of the subtask's next block, unless the subtask runs alone.
fn next_block(blocks: &Blocks) -> usize {
    let current = blocks.left.current();
    match current.stride {
        1 => usize::MAX,
        stride => blocks.start(current.next.saturating_add(stride)),
    }
}

/// Advances by `records` records of the run.
fn advance(blocks: &mut Blocks, records: usize) {
    let offset = blocks.left.current().offset + records as u64;
    if offset < blocks.length {
        return blocks.left.set_offset(offset);
    }
    blocks.left.step(offset / blocks.length);
    // Only a subtask that runs alone reads past a block; then the next block is its own.
    let begun = offset % blocks.length;
    if begun > 0 {
        blocks.left.set_offset(begun);
    }
}

/// Reads one subtask's blocks of a [`RecordSource`].
pub struct RecordReader<T> {
    file: MappedFile,
    size_max: u64,
    mapping: Option<Arc<Mapping>>,
    blocks: Blocks,
    record: PhantomData<fn() -> T>,
}

impl<T> std::fmt::Debug for RecordReader<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RecordReader")
            .field("path", &self.file.path())
            .field("blocks", &self.blocks)
            .finish_non_exhaustive()
    }
}

impl<T: AnyBitPattern + Send + Sync> SourceReader for RecordReader<T> {
    type Out = T;

    fn open(&mut self, _cx: &OpenContext) -> Result<(), BoxError> {
        let mapping = self.file.open(self.size_max)?;
        check_size::<T>(mapping.path(), mapping.bytes().len() as u64)?;
        self.blocks.check(&mapping)?;
        self.mapping = Some(mapping);
        Ok(())
    }

    fn poll<D: Push<T>>(&mut self, out: &mut Collector<'_, D>) -> Result<SourceStatus, BoxError> {
        let Some(mapping) = &self.mapping else {
            return Ok(SourceStatus::Finished);
        };
        let records: &[T] = bytemuck::cast_slice(mapping.bytes());
        loop {
            let run = &records[run(&self.blocks, records.len())];
            if run.is_empty() {
                mapping.check()?;
                return Ok(SourceStatus::Finished);
            }
            if self.blocks.left.current().offset == 0
                && let Some(next) = records.get(next_block(&self.blocks)..)
            {
                fetch_beginning(next);
            }
            let emitted = out.emit_slice(run);
            advance(&mut self.blocks, emitted);
            if emitted < run.len() {
                return Ok(SourceStatus::More);
            }
        }
    }

    fn position(&mut self, _checkpoint: u64, positions: &mut Vec<Vec<u8>>) -> Result<(), BoxError> {
        self.blocks.position(self.mapping.as_deref(), positions)
    }

    fn seek(&mut self, positions: &[Vec<u8>], readers: u32) -> Result<(), BoxError> {
        self.blocks.seek(positions, readers)
    }

    fn close(&mut self) -> Result<(), BoxError> {
        self.mapping = None;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connectors::test_chain::{Chain, cuts, emitted_in_attempts};
    use proptest::prelude::*;
    use std::fs;
    use std::path::PathBuf;

    /// A file of `count` consecutive numbers.
    fn numbers(count: u32) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("numbers.bin");
        let bytes: Vec<u8> = (0..count).flat_map(u32::to_ne_bytes).collect();
        fs::write(&path, bytes).unwrap();
        (dir, path)
    }

    fn emitted(source: &RecordSource<u32>, index: u32, parallelism: u32) -> Vec<u32> {
        let mut chain = Chain::new(|number: &u32| *number);
        chain.drain(&mut source.reader(index, parallelism));
        chain.values()
    }

    #[test]
    fn records_are_those_of_the_file_at_the_default_block_and_beyond() {
        let (_dir, path) = numbers(5000);
        let source = RecordSource::file(path);
        assert_eq!(emitted(&source, 0, 1), (0..5000).collect::<Vec<_>>());
        let second = (1024..2048).chain(3072..4096).collect::<Vec<_>>();
        assert_eq!(emitted(&source, 1, 2), second);
    }

    #[test]
    fn reader_goes_on_where_a_full_chain_stopped_it() {
        let (_dir, path) = numbers(40);
        let mut reader = RecordSource::<u32>::file(path).block(8).reader(1, 2);
        let mut chain = Chain::new(|number: &u32| *number);
        chain.room = 11;
        reader.open(&chain.cx()).unwrap();
        assert_eq!(chain.poll(&mut reader), SourceStatus::More);
        let next = reader.blocks.left.current();
        assert_eq!((next.next, next.offset), (3, 3));
        chain.room = usize::MAX;
        assert_eq!(chain.poll(&mut reader), SourceStatus::Finished);
        assert_eq!(chain.values(), (8..16).chain(24..32).collect::<Vec<_>>());
    }

    #[test]
    fn missing_file_and_a_part_of_a_record_are_named_before_the_job_runs() {
        let error = RecordSource::<u32>::file("no/such.bin")
            .start()
            .unwrap_err();
        assert!(error.to_string().contains("no/such.bin does not exist"));
        let (_dir, path) = numbers(3);
        RecordSource::<u32>::file(&path).start().unwrap();
        let error = RecordSource::<u64>::file(&path).start().unwrap_err();
        let message = error.to_string();
        assert!(message.contains("numbers.bin has 12 bytes"), "{message}");
        assert!(message.contains("records of 8 bytes"), "{message}");
    }

    #[test]
    fn directory_is_no_file_of_records() {
        let dir = tempfile::tempdir().unwrap();
        let mut chain = Chain::new(|number: &u32| *number);
        let mut reader = RecordSource::<u32>::file(dir.path()).reader(0, 1);
        let error = chain.try_drain(&mut reader).unwrap_err();
        assert!(error.to_string().ends_with("is a directory"), "{error}");
    }

    #[test]
    fn file_that_is_written_to_meanwhile_is_an_error() {
        let (_dir, path) = numbers(1000);
        let mut reader = RecordSource::<u32>::file(&path).reader(0, 1);
        let mut chain = Chain::new(|number: &u32| *number);
        reader.open(&chain.cx()).unwrap();
        assert_eq!(chain.poll(&mut reader), SourceStatus::More);
        let mut file = fs::File::options().append(true).open(&path).unwrap();
        std::io::Write::write_all(&mut file, &[0; 4]).unwrap();
        let ended = (0..9).find_map(|_| chain.try_poll(&mut reader).err());
        assert!(
            ended
                .unwrap()
                .to_string()
                .ends_with("numbers.bin was changed while it was read")
        );
    }

    #[test]
    fn file_that_was_changed_since_the_checkpoint_is_an_error() {
        let (_dir, path) = numbers(1000);
        let source = RecordSource::<u32>::file(&path);
        let mut reader = source.reader(0, 1);
        let mut chain = Chain::new(|number: &u32| *number);
        reader.open(&chain.cx()).unwrap();
        chain.poll(&mut reader);
        let mut positions = Vec::new();
        reader.position(1, &mut positions).unwrap();
        reader.close().unwrap();
        fs::write(&path, [0; 4 * 1001]).unwrap();
        let mut restored = source.reader(0, 1);
        restored.seek(&positions, 1).unwrap();
        let error = restored.open(&chain.cx()).unwrap_err().to_string();
        assert!(
            error.contains("numbers.bin was changed since the checkpoint"),
            "{error}"
        );
    }

    proptest! {
        #[test]
        fn every_record_is_emitted_once_whatever_is_restored_where(
            count in 0..500_u32, block in 1..40_usize, attempts in cuts(),
        ) {
            let (_dir, path) = numbers(count);
            let source = RecordSource::file(path).block(block);
            let emitted = emitted_in_attempts(&source, |n: &u32| *n, &attempts);
            prop_assert_eq!(emitted, (0..count).collect::<Vec<_>>());
        }

        #[test]
        fn every_record_up_to_the_limit_is_emitted_by_the_owner_of_its_block(
            count in 0..300_u32,
            block in 1..40_usize,
            parallelism in 1..5_u32,
            limit in 0..400_u64,
        ) {
            let (_dir, path) = numbers(count);
            let source = RecordSource::file(path).block(block).limit(limit);
            for index in 0..parallelism {
                let own = |number: &u32| *number / block as u32 % parallelism == index;
                let share: Vec<_> = (0..count.min(limit as u32)).filter(own).collect();
                prop_assert_eq!(emitted(&source, index, parallelism), share);
            }
        }
    }
}
