//! A source over records in memory that is read several times, so that a job is measured and not its deployment.

use std::sync::Arc;

use thalweg::operator::{BoxError, Collector, Push, Source, SourceReader, SourceStatus};

/// Records in memory, one part for each subtask.
pub(crate) struct InMemory<T> {
    parts: Vec<Arc<[T]>>,
    passes: usize,
}

impl<T> InMemory<T> {
    /// A source whose subtasks read their parts `passes` times.
    pub(crate) fn new(parts: Vec<Arc<[T]>>, passes: usize) -> Self {
        InMemory { parts, passes }
    }
}

pub(crate) struct InMemoryReader<T> {
    records: Arc<[T]>,
    position: usize,
    passes_left: usize,
}

impl<T: Send + Sync + 'static> Source for InMemory<T> {
    type Out = T;
    type Reader = InMemoryReader<T>;

    fn max_parallelism(&self) -> u32 {
        self.parts.len() as u32
    }

    fn reader(&self, index: u32, parallelism: u32) -> InMemoryReader<T> {
        assert_eq!(parallelism as usize, self.parts.len());
        InMemoryReader {
            records: Arc::clone(&self.parts[index as usize]),
            position: 0,
            passes_left: self.passes,
        }
    }
}

impl<T: Send + Sync + 'static> SourceReader for InMemoryReader<T> {
    type Out = T;

    fn poll<D: Push<T>>(&mut self, out: &mut Collector<'_, D>) -> Result<SourceStatus, BoxError> {
        self.position += out.emit_slice(&self.records[self.position..]);
        if self.position == self.records.len() {
            (self.position, self.passes_left) = (0, self.passes_left - 1);
        }
        Ok(if self.passes_left == 0 {
            SourceStatus::Finished
        } else {
            SourceStatus::More
        })
    }
}
