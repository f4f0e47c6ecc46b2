//! Joins compared with hand-written loops over hash tables; both must find the same pairs.
//!
//! Persons make up a quarter of all records, each with its own key; each auction is by one of the last two thousand
//! persons; both are in time order. *windowed*: pairs in the same tumbling window. By hand that is one small table
//! after another, exploiting that persons are unique and both inputs are in order. *skewed*: the same, with half of
//! all auctions sold by the first person of their window. *unbounded*: all pairs of a tenth of the persons; by hand
//! two hash maps, one of them with vectors as values. Whole jobs at parallelism 1.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use criterion::{Criterion, Throughput};
use hashbrown::HashMap;
use thalweg::operator::{
    BoxError, Collector, Outcome, Push, Sink, SinkWriter, Source, SourceReader, SourceStatus,
};
use thalweg::prelude::{Environment, Monotonous, Timestamp, Tumbling, nanoseconds};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Id and time.
type Person = [u64; 2];
/// Id, seller and time.
type Auction = [u64; 3];
type Pair = [u64; 3];

#[derive(Clone)]
struct Inputs {
    persons: Arc<[Person]>,
    auctions: Arc<[Auction]>,
    window: u64,
}

fn mix(x: u64) -> u64 {
    let z = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB)
}

impl Inputs {
    /// One person and three auctions per four units of time.
    fn new(persons: u64, window: u64, skewed: bool) -> Self {
        let auction = |n: u64| {
            let (person, random) = (n / 3, mix(n));
            let seller = if skewed && random.is_multiple_of(2) {
                person * 4 / window * window / 4
            } else {
                person.saturating_sub(random / 2 % 2_000)
            };
            [n, seller, person * 4 + 1 + n % 3]
        };
        Inputs {
            persons: (0..persons).map(|n| [n, n * 4]).collect(),
            auctions: (0..3 * persons).map(auction).collect(),
            window,
        }
    }

    fn len(&self) -> u64 {
        (self.persons.len() + self.auctions.len()) as u64
    }
}

/// A source of records in memory.
struct Shared<T>(Arc<[T]>);

struct SharedReader<T>(Arc<[T]>, usize);

impl<T: Send + Sync + 'static> Source for Shared<T> {
    type Out = T;
    type Reader = SharedReader<T>;

    fn max_parallelism(&self) -> u32 {
        1
    }

    fn reader(&self, _index: u32, _parallelism: u32) -> SharedReader<T> {
        SharedReader(Arc::clone(&self.0), 0)
    }
}

impl<T: Send + Sync + 'static> SourceReader for SharedReader<T> {
    type Out = T;

    fn poll<D: Push<T>>(&mut self, out: &mut Collector<'_, D>) -> Result<SourceStatus, BoxError> {
        let SharedReader(records, position) = self;
        *position += out.emit_slice(&records[*position..]);
        Ok(if *position == records.len() {
            SourceStatus::Finished
        } else {
            SourceStatus::More
        })
    }
}

/// A digest that does not depend on the order of pairs.
#[inline(always)]
fn digest(&[person, auction, end]: &Pair) -> u64 {
    mix(person ^ auction << 20 ^ end << 40)
}

#[derive(Clone, Default)]
struct Digest(Arc<AtomicU64>);

struct DigestWriter {
    digest: u64,
    to: Arc<AtomicU64>,
}

impl Sink<Pair> for Digest {
    type Writer = DigestWriter;

    fn writer(&self, _index: u32, _parallelism: u32) -> DigestWriter {
        let to = Arc::clone(&self.0);
        DigestWriter { digest: 0, to }
    }
}

impl SinkWriter<Pair> for DigestWriter {
    #[inline(always)]
    fn write(&mut self, pair: &Pair, _at: Timestamp) -> Outcome {
        self.digest = self.digest.wrapping_add(digest(pair));
        Ok(())
    }

    fn finish(&mut self) -> Outcome {
        self.to.store(self.digest, Relaxed);
        Ok(())
    }
}

fn windowed(inputs: &Inputs) -> u64 {
    let (env, found) = (Environment::new(), Digest::default());
    let at = |time: u64| Timestamp(time as i64);
    let persons = env.source("persons", Shared(Arc::clone(&inputs.persons)));
    let auctions = env.source("auctions", Shared(Arc::clone(&inputs.auctions)));
    let persons = persons.timestamps(Monotonous, move |person| at(person[1]));
    let auctions = auctions.timestamps(Monotonous, move |auction| at(auction[2]));
    persons
        .key_by(|person| person[0])
        .join(auctions.key_by(|auction| auction[1]))
        .window(Tumbling::of(nanoseconds(inputs.window)))
        .apply(|person, auction, window| [person[0], auction[0], window.end.0 as u64])
        .sink("digest", found.clone());
    env.execute("windowed join").expect("the job finishes");
    found.0.load(Relaxed)
}

/// Open addressing over one window after another; a slot holds a person's position in the window, from 1.
fn windowed_by_hand(inputs: &Inputs) -> u64 {
    let slots = (inputs.window / 2).next_power_of_two() as usize;
    let mut table = vec![0u32; slots];
    let slot_of = |key: u64| key.wrapping_mul(0x9E37_79B9_7F4A_7C15) as usize >> 40 & (slots - 1);
    let (mut persons, mut auctions) = (&*inputs.persons, &*inputs.auctions);
    let (mut end, mut total) = (inputs.window, 0u64);
    while !persons.is_empty() && !auctions.is_empty() {
        let (of_window, rest) = persons.split_at(persons.partition_point(|person| person[1] < end));
        persons = rest;
        table.fill(0);
        for (place, person) in (1..).zip(of_window) {
            let mut slot = slot_of(person[0]);
            while table[slot] != 0 {
                slot = (slot + 1) & (slots - 1);
            }
            table[slot] = place;
        }
        while let Some((auction, rest)) = auctions.split_first()
            && auction[2] < end
        {
            auctions = rest;
            let mut slot = slot_of(auction[1]);
            while table[slot] != 0 {
                let person = of_window[table[slot] as usize - 1];
                if person[0] == auction[1] {
                    total = total.wrapping_add(digest(&[person[0], auction[0], end]));
                    break;
                }
                slot = (slot + 1) & (slots - 1);
            }
        }
        end += inputs.window;
    }
    black_box(total)
}

/// Whether a person is included where all pairs are requested.
fn is_wanted(person: u64) -> bool {
    mix(person).is_multiple_of(10)
}

fn unbounded(inputs: &Inputs) -> u64 {
    let (env, found) = (Environment::new(), Digest::default());
    let persons = env.source("persons", Shared(Arc::clone(&inputs.persons)));
    let auctions = env.source("auctions", Shared(Arc::clone(&inputs.auctions)));
    persons
        .filter(|person| is_wanted(person[0]))
        .key_by(|person| person[0])
        .join(auctions.key_by(|auction| auction[1]))
        .unbounded()
        .apply(|person, auction| [person[0], auction[0], 0])
        .sink("digest", found.clone());
    env.execute("unbounded join").expect("the job finishes");
    found.0.load(Relaxed)
}

fn unbounded_by_hand(inputs: &Inputs) -> u64 {
    let mut persons = HashMap::<u64, u64, foldhash::fast::RandomState>::default();
    let mut auctions = HashMap::<u64, Vec<u64>, foldhash::fast::RandomState>::default();
    let mut total = 0u64;
    let chunks = inputs
        .persons
        .chunks(1024)
        .zip(inputs.auctions.chunks(1024 * 3));
    for (some_persons, some_auctions) in chunks {
        for person in some_persons.iter().filter(|person| is_wanted(person[0])) {
            persons.insert(person[0], person[1]);
            for &auction in auctions.get(&person[0]).into_iter().flatten() {
                total = total.wrapping_add(digest(&[person[0], auction, 0]));
            }
        }
        for auction in some_auctions {
            if persons.contains_key(&auction[1]) {
                total = total.wrapping_add(digest(&[auction[1], auction[0], 0]));
            }
            auctions.entry(auction[1]).or_default().push(auction[0]);
        }
    }
    black_box(total)
}

type Join = fn(&Inputs) -> u64;

fn main() {
    let quick = std::env::args().any(|argument| argument == "--test");
    let mut criterion = Criterion::default().sample_size(10).configure_from_args();
    let persons = if quick { 20_000 } else { 500_000 };
    let cases: [(&str, u64, bool, Join, Join); 3] = [
        ("windowed", 8_000, false, windowed, windowed_by_hand),
        ("skewed", 8_000, true, windowed, windowed_by_hand),
        ("unbounded", 8_000, false, unbounded, unbounded_by_hand),
    ];
    for (name, window, skewed, job, by_hand) in cases {
        let inputs = Inputs::new(persons, window, skewed);
        let expected = by_hand(&inputs);
        assert_eq!(job(&inputs), expected, "{name}");
        let mut group = criterion.benchmark_group(format!("join/{name}"));
        group.throughput(Throughput::Elements(inputs.len()));
        group.bench_function("thalweg", |b| {
            b.iter(|| assert_eq!(job(&inputs), expected));
        });
        group.bench_function("by hand", |b| {
            b.iter(|| assert_eq!(by_hand(&inputs), expected));
        });
        group.finish();
    }
    criterion.final_summary();
}
