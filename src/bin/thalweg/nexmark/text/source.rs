//! A source of generated records.

use thalweg::operator::{BoxError, Collector, Push, Source, SourceReader, SourceStatus};

use super::recipe::Recipe;
use super::record::MadeUp;

/// Emits the records from 0 up to a count, each generated from its number. Bounded.
///
/// Subtask `i` of `p` emits the records `i`, `i + p`, `i + 2p` …, so that all subtasks advance together. A subtask
/// generates all its records in the same value, so that none allocates.
#[derive(Debug)]
pub(crate) struct TextSource<T> {
    recipe: Recipe,
    count: u64,
    record: std::marker::PhantomData<fn() -> T>,
}

impl<T> TextSource<T> {
    /// The first `count` records of a recipe.
    pub(crate) fn new(recipe: Recipe, count: u64) -> Self {
        TextSource {
            recipe,
            count,
            record: std::marker::PhantomData,
        }
    }
}

impl<T: MadeUp> Source for TextSource<T> {
    type Out = T;
    type Reader = TextReader<T>;

    fn reader(&self, index: u32, parallelism: u32) -> TextReader<T> {
        TextReader {
            recipe: self.recipe,
            next: u64::from(index),
            stride: u64::from(parallelism.max(1)),
            count: self.count,
            record: T::default(),
        }
    }
}

/// Emits one subtask's records of a [`TextSource`].
#[derive(Debug)]
pub(crate) struct TextReader<T> {
    recipe: Recipe,
    /// The number of the next record.
    next: u64,
    stride: u64,
    count: u64,
    /// The value in which every record is generated.
    record: T,
}

impl<T: MadeUp> SourceReader for TextReader<T> {
    type Out = T;

    fn poll<D: Push<T>>(&mut self, out: &mut Collector<'_, D>) -> Result<SourceStatus, BoxError> {
        while self.next < self.count {
            if !out.ready() {
                return Ok(SourceStatus::More);
            }
            self.record.become_number(self.next, &self.recipe);
            out.emit(&self.record);
            self.next = self.next.saturating_add(self.stride);
        }
        Ok(SourceStatus::Finished)
    }
}
