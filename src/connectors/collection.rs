//! A source over records that are already in memory.

use std::sync::Arc;

use crate::operator::{BoxError, Collector, Push, Source, SourceReader, SourceStatus};

use super::splits::{Position, PositionError, PositionReader};

/// How error messages refer to this source.
const NAME: &str = "a collection";

/// Emits the records of a vector, in order, by reference, cloning none. Parallelism 1, bounded.
///
/// Flink's `fromCollection` (`fromData`). All attempts of a job share the records, so an attempt that does not resume
/// from a checkpoint reads them from the start. The checkpointed position is an index: the program must build the
/// same collection again.
///
/// ```
/// use thalweg::connectors::Collection;
///
/// let words = Collection::of(["to", "be", "or", "not"]);
/// assert_eq!(words.len(), 4);
/// ```
#[derive(Debug)]
pub struct Collection<T> {
    records: Arc<Vec<T>>,
}

impl<T> Collection<T> {
    /// A source of these records. A `Vec` is used without copying.
    pub fn of(records: impl IntoIterator<Item = T>) -> Self {
        Collection {
            records: Arc::new(records.into_iter().collect()),
        }
    }

    /// The number of records.
    #[must_use]
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether the collection has no records.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }
}

impl<T> Clone for Collection<T> {
    fn clone(&self) -> Self {
        Collection {
            records: Arc::clone(&self.records),
        }
    }
}

impl<T: Send + Sync + 'static> Source for Collection<T> {
    type Out = T;
    type Reader = CollectionReader<T>;

    fn max_parallelism(&self) -> u32 {
        1
    }

    fn check_positions(&self) -> Result<(), BoxError> {
        Ok(())
    }

    fn reader(&self, _index: u32, _parallelism: u32) -> CollectionReader<T> {
        CollectionReader {
            records: Arc::clone(&self.records),
            position: 0,
        }
    }
}

/// Reads a [`Collection`].
#[derive(Debug)]
pub struct CollectionReader<T> {
    records: Arc<Vec<T>>,
    /// Index of the next record to emit.
    position: usize,
}

impl<T: Send + Sync + 'static> SourceReader for CollectionReader<T> {
    type Out = T;

    fn poll<D: Push<T>>(&mut self, out: &mut Collector<'_, D>) -> Result<SourceStatus, BoxError> {
        self.position += out.emit_slice(&self.records[self.position..]);
        if self.position == self.records.len() {
            return Ok(SourceStatus::Finished);
        }
        Ok(SourceStatus::More)
    }

    fn position(&mut self, _checkpoint: u64, positions: &mut Vec<Vec<u8>>) -> Result<(), BoxError> {
        positions.push(Position::of(NAME).number(self.position as u64).end());
        Ok(())
    }

    fn seek(&mut self, positions: &[Vec<u8>], _readers: u32) -> Result<(), BoxError> {
        for position in positions {
            let mut reader = PositionReader::of(NAME, position)?;
            let (read, count) = (reader.number()?, self.records.len() as u64);
            reader.end()?;
            if read > count {
                let wanted = NAME;
                return Err(PositionError::Shorter {
                    wanted,
                    count,
                    read,
                }
                .into());
            }
            self.position = self.position.max(read as usize);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connectors::test_chain::Chain;

    #[test]
    fn records_are_emitted_in_order_by_reference() {
        #[derive(Debug, PartialEq)]
        struct NotClone(u32);
        let source = Collection::of((0..1000).map(NotClone));
        let mut chain = Chain::new(|record: &NotClone| record.0);
        chain.drain(&mut source.reader(0, 1));
        assert_eq!(chain.values(), (0..1000).collect::<Vec<_>>());
    }

    #[test]
    fn reader_stops_when_the_chain_is_full_and_goes_on_where_it_stopped() {
        let source = Collection::of(0..10_u64);
        let mut reader = source.reader(0, 1);
        let mut chain = Chain::new(|n: &u64| *n);
        chain.room = 3;
        assert_eq!(chain.poll(&mut reader), SourceStatus::More);
        assert_eq!((reader.position, chain.values()), (3, vec![0, 1, 2]));
        chain.room = usize::MAX;
        chain.drain(&mut reader);
        assert_eq!(chain.values(), (0..10).collect::<Vec<_>>());
    }

    #[test]
    fn restored_reader_goes_on_where_it_was() {
        let source = Collection::of(0..10_u64);
        for cut in 0..=10 {
            let mut chain = Chain::new(|n: &u64| *n);
            chain.room = cut;
            let mut reader = source.reader(0, 1);
            chain.poll(&mut reader);
            let mut positions = Vec::new();
            reader.position(1, &mut positions).unwrap();
            let mut restored = source.reader(0, 1);
            restored.seek(&positions, 1).unwrap();
            chain.room = usize::MAX;
            chain.drain(&mut restored);
            assert_eq!(chain.values(), (0..10).collect::<Vec<_>>());
            let shorter = Collection::of(0..cut as u64)
                .reader(0, 1)
                .seek(&positions, 1);
            assert!(shorter.is_ok());
            if cut > 0 {
                let error = Collection::of(0..cut as u64 - 1)
                    .reader(0, 1)
                    .seek(&positions, 1);
                let message = error.unwrap_err().to_string();
                assert!(message.contains("but"), "{message}");
            }
        }
    }

    #[test]
    fn every_attempt_reads_from_the_start() {
        let source = Collection::of([7_u8, 8]);
        for _ in 0..2 {
            let mut chain = Chain::new(|n: &u8| *n);
            chain.drain(&mut source.reader(0, 1));
            assert_eq!(chain.values(), [7, 8]);
        }
        let mut chain = Chain::new(|n: &u8| *n);
        chain.drain(&mut Collection::of([]).reader(0, 1));
        assert!(chain.values().is_empty());
    }
}
