//! The context in which a query is defined: its inputs and its sink.

use std::cell::OnceCell;
use std::path::{Path, PathBuf};

use bytemuck::AnyBitPattern;
use thalweg::connectors::{LineBlocks, RecordSource};
use thalweg::datastream::{Environment, Stream};
use thalweg::runtime::Pipe;
use thalweg::time::{BoundedOutOfOrderness, millis};

use crate::nexmark::{Counts, Dated, MadeUp, Recipe, TextAuction, TextBid, TextPerson, TextSource};
use crate::sizes;

use super::checksum::Checksum;
use super::input::{Auction, Bid, KeyValue, Person, has_possible_times};
use super::options::BenchOptions;
use super::stopwatch::{Stopwatch, Timed};

/// The number of records generated in memory: as many as `thalweg generate` writes by default.
const MADE_UP: Counts = Counts::up_to_bids(10_000_000);

/// One run of a query: its job and its instruments.
#[derive(Debug)]
pub(super) struct Draft<'a> {
    options: &'a BenchOptions,
    pub(super) env: Environment,
    pub(super) stopwatch: Stopwatch,
    checksum: Checksum,
    /// What is wrong with an input file: one is enough to be told of.
    wrong: OnceCell<String>,
}

impl<'a> Draft<'a> {
    /// A job without operators, configured by `options`.
    pub(super) fn new(options: &'a BenchOptions) -> Self {
        let env = Environment::new()
            .parallelism(options.parallelism)
            .workers(options.parallelism);
        let stopwatch = Stopwatch::default();
        Draft {
            options,
            env,
            checksum: Checksum::new(&stopwatch),
            stopwatch,
            wrong: OnceCell::new(),
        }
    }

    /// What is wrong with an input file, if anything is.
    pub(super) fn wrong_input(&self) -> Option<&str> {
        self.wrong.get().map(String::as_str)
    }

    /// Whether records have strings.
    pub(super) fn has_strings(&self) -> bool {
        self.options.strings
    }

    /// Whether operators have more than one subtask.
    pub(super) fn is_parallel(&self) -> bool {
        self.options.parallelism > 1
    }

    /// Bids, in time order except for the jitter.
    pub(super) fn bids(&self) -> Stream<impl Pipe<Out = Bid> + use<>> {
        self.dated("bids")
    }

    /// Persons, in time order except for the jitter.
    pub(super) fn persons(&self) -> Stream<impl Pipe<Out = Person> + use<>> {
        self.dated("persons")
    }

    /// Auctions, in time order except for the jitter.
    pub(super) fn auctions(&self) -> Stream<impl Pipe<Out = Auction> + use<>> {
        self.dated("auctions")
    }

    /// Keys and values of the file called `name`.
    pub(super) fn keys(&self, name: &str) -> Stream<impl Pipe<Out = KeyValue> + use<>> {
        self.records(name)
    }

    /// The lines of the text file called `name`.
    pub(super) fn lines(&self, name: &str) -> Stream<impl Pipe<Out = str> + use<>> {
        let mut lines = LineBlocks::file(self.checked(name, "txt"));
        if let Some(limit) = self.options.limit {
            lines = lines.limit(limit);
        }
        self.env.source(name, Timed::new(lines, &self.stopwatch))
    }

    /// Bids with all their strings, generated in memory.
    pub(super) fn text_bids(&self) -> Stream<impl Pipe<Out = TextBid> + use<>> {
        self.made_up("bids", MADE_UP.bids)
    }

    /// Persons with all their strings, generated in memory.
    pub(super) fn text_persons(&self) -> Stream<impl Pipe<Out = TextPerson> + use<>> {
        self.made_up("persons", MADE_UP.persons)
    }

    /// Auctions with all their strings, generated in memory.
    pub(super) fn text_auctions(&self) -> Stream<impl Pipe<Out = TextAuction> + use<>> {
        self.made_up("auctions", MADE_UP.auctions)
    }

    /// The watermark strategy, which allows for the jitter.
    pub(super) fn watermarks(&self) -> BoundedOutOfOrderness {
        BoundedOutOfOrderness::of(millis(self.options.jitter_ms))
    }

    /// The sink of the query's rows.
    pub(super) fn rows(&self) -> Checksum {
        self.checksum.clone()
    }

    fn path(&self, name: &str, extension: &str) -> PathBuf {
        let suffix = &self.options.suffix;
        self.options
            .data
            .join(format!("{name}{suffix}.{extension}"))
    }

    /// The path of an input file that is to be read, whose size is checked.
    fn checked(&self, name: &str, extension: &str) -> PathBuf {
        let path = self.path(name, extension);
        if let Some(wrong) = sizes::wrong(&path) {
            self.note(&path, &wrong);
        }
        path
    }

    fn note(&self, path: &Path, wrong: &str) {
        let _ = self.wrong.set(format!("{} {wrong}", path.display()));
    }

    fn dated<T>(&self, name: &str) -> Stream<impl Pipe<Out = T> + use<T>>
    where
        T: AnyBitPattern + Dated + Send + Sync,
    {
        let path = self.path(name, "bin");
        if !has_possible_times::<T>(&path) {
            let wrong =
                "has records of another kind, or none that make sense: their times are impossible";
            self.note(&path, wrong);
        }
        self.records(name)
    }

    fn records<T>(&self, name: &str) -> Stream<impl Pipe<Out = T> + use<T>>
    where
        T: AnyBitPattern + Send + Sync,
    {
        let mut records = RecordSource::<T>::file(self.checked(name, "bin"));
        if let Some(limit) = self.options.limit {
            records = records.limit(limit);
        }
        self.env.source(name, Timed::new(records, &self.stopwatch))
    }

    fn made_up<T: MadeUp>(&self, name: &str, count: u64) -> Stream<impl Pipe<Out = T> + use<T>> {
        let recipe = Recipe {
            jitter_ms: self.options.jitter_ms,
            ..Recipe::default()
        };
        let count = self.options.limit.map_or(count, |limit| limit.min(count));
        let records = TextSource::<T>::new(recipe, count);
        self.env.source(name, Timed::new(records, &self.stopwatch))
    }
}
