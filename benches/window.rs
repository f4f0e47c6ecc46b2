//! Windows compared with hand-written loops that keep slices in hash maps; both must give the same results.
//!
//! Count and sum per key, 1,024 keys, timestamps out of order within a bound. Windows are driven in the turns of a
//! source's head, of at most 256 records or results, with a watermark at the end of each; by hand there is one every
//! 256 records. In `short lives` keys come and go as auctions do: most occur in only one slice of a window. By hand
//! there are two ways to get a sliding window from its slices: merging all of them (`merged`), and a running total from
//! which the departing slice is subtracted (`subtracted`), which works for sums but not for maxima. Merging 3,600
//! slices per window is left out: it takes minutes.
//!
//! The hand-written loop for sessions requires records in time order, and closes a session when its key's next record
//! arrives, so it needs no timers. `sessions 7` have 7 records and a gap of twice the time between two,
//! `sessions 700` have 700.

use std::collections::VecDeque;
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use criterion::{BenchmarkId, Criterion, Throughput};
use hashbrown::HashMap;
use thalweg::operator::{
    AggregateWindow, Count, Lateness, Outputs, Session, Sliding, Sum, TimeWindow,
    TimestampsAndWatermarks, WindowAssigner, WindowParts,
};
use thalweg::record::OwnedSelector;
use thalweg::time::{BoundedOutOfOrderness, Timestamp, nanoseconds};

use support::driver::{Digest, drive, end, open};
use support::random::Random;

mod support;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const KEYS: u64 = 1024;
const BATCH: usize = 256;
/// How much later than a record one before it can be, in nanoseconds.
const DISORDER: i64 = 64;

#[derive(Clone, Copy)]
struct Record {
    key: u64,
    value: u64,
    at: i64,
}

struct Case {
    name: &'static str,
    /// Records per slide, one nanosecond each.
    slide: i64,
    overlap: i64,
    records: usize,
    /// The number of records per key before it is replaced by a new one; 0: the keys never change.
    lives: u64,
}

/// In order except for a sixteenth of the slide, at most 64 records.
fn records(case: &Case) -> Vec<Record> {
    let disorder = (case.slide / 16).min(DISORDER) as u64;
    let mut random = Random::new(0x9E37_79B9_7F4A_7C15);
    let mut record = |i: usize| Record {
        key: match case.lives {
            0 => random.below(KEYS),
            lives => i as u64 / lives + random.below(100),
        },
        value: random.below(100),
        at: i as i64 + random.below(disorder) as i64,
    };
    (0..case.records).map(&mut record).collect()
}

/// In order, one nanosecond each.
fn records_in_order(count: usize) -> Vec<Record> {
    let mut random = Random::new(0x9E37_79B9_7F4A_7C15);
    let mut record = |i: usize| Record {
        key: random.below(KEYS),
        value: random.below(100),
        at: i as i64,
    };
    (0..count).map(&mut record).collect()
}

/// A digest that does not depend on the order of results.
#[inline(always)]
fn digest(key: u64, end: i64, count: u64, sum: u64) -> u64 {
    (key ^ (end as u64) << 20)
        .wrapping_mul(0xD6E8_FEB8_6659_FD93)
        .wrapping_add(count << 32)
        .wrapping_add(sum)
}

type WindowResult = (u64, i64, u64, u64);

/// Counts and sums by window.
fn thalweg(assigner: &impl WindowAssigner<Record>, records: &[Record]) -> u64 {
    let seen = Arc::default();
    let sink = Digest::new(&seen, |total: u64, result: &WindowResult| {
        let &(key, end, count, sum) = result;
        total.wrapping_add(digest(key, end, count, sum))
    });
    let result =
        |&key: &u64, window: TimeWindow, (count, sum): (u64, u64)| (key, window.end.0, count, sum);
    let aggregate = (Count, Sum::of(|r: &Record| r.value));
    let parts = WindowParts {
        name: "window".into(),
        uid: "window".into(),
        selector: OwnedSelector(|r: &Record| r.key),
        function: AggregateWindow::new(aggregate, result),
        lateness: Lateness::default(),
        late: None,
        expected_keys: 0,
    };
    let windows = assigner.operator(parts, Outputs::new(sink)).unwrap();
    let mut chain = open(TimestampsAndWatermarks::new(
        |record: &Record| Timestamp(record.at),
        BoundedOutOfOrderness::of(nanoseconds(DISORDER as u64)),
        windows,
    ));
    drive(&mut chain, records, BATCH as u32);
    end(&mut chain, BATCH as u32);
    seen.load(Relaxed)
}

fn sliding(case: &Case) -> Sliding {
    let slide = nanoseconds(case.slide as u64);
    Sliding::of(slide * case.overlap as u32, slide)
}

type Map = HashMap<u64, (u64, u64), foldhash::fast::RandomState>;

fn add(map: &mut Map, key: u64, (count, sum): (u64, u64)) {
    let entry = map.entry(key).or_insert((0, 0));
    *entry = (entry.0 + count, entry.1 + sum);
}

/// Slices in a ring, starting with slice 0 of the stream; windows end at every multiple of the slide.
fn by_hand(case: &Case, records: &[Record], subtract: bool) -> u64 {
    let mut slices: VecDeque<Map> = VecDeque::new();
    let mut spare: Vec<Map> = Vec::new();
    let (mut front, mut next_end, mut total) = (0i64, case.slide, 0u64);
    let mut running = Map::default();
    let mut latest = i64::MIN;
    let mut advance =
        |slices: &mut VecDeque<Map>, spare: &mut Vec<Map>, front: &mut i64, watermark: i64| {
            while next_end - 1 <= watermark && !slices.is_empty() {
                let last = next_end / case.slide - 1;
                let first = (last + 1 - case.overlap).max(*front);
                if !subtract {
                    running.clear();
                }
                let from = if subtract { last.max(first) } else { first };
                for slice in from..=last {
                    if let Some(map) = slices.get((slice - *front) as usize) {
                        map.iter()
                            .for_each(|(&key, &value)| add(&mut running, key, value));
                    }
                }
                for (&key, &(count, sum)) in running.iter().filter(|entry| entry.1.0 > 0) {
                    total = total.wrapping_add(digest(key, next_end, count, sum));
                }
                if last + 1 - case.overlap >= *front {
                    let mut over = slices.pop_front().unwrap();
                    if subtract {
                        for (key, &(count, sum)) in &over {
                            let entry = running.get_mut(key).unwrap();
                            *entry = (entry.0 - count, entry.1 - sum);
                        }
                    }
                    over.clear();
                    spare.push(over);
                    *front += 1;
                }
                next_end += case.slide;
            }
        };
    for batch in records.chunks(BATCH) {
        for record in batch {
            let slice = (record.at / case.slide - front) as usize;
            while slices.len() <= slice {
                slices.push_back(spare.pop().unwrap_or_default());
            }
            add(&mut slices[slice], record.key, (1, record.value));
            latest = latest.max(record.at);
        }
        advance(&mut slices, &mut spare, &mut front, latest - DISORDER - 1);
    }
    advance(&mut slices, &mut spare, &mut front, i64::MAX);
    black_box(total)
}

/// One open session per key, closed by the key's next record.
fn sessions_by_hand(records: &[Record], gap: i64) -> u64 {
    let mut open: HashMap<u64, (i64, u64, u64), foldhash::fast::RandomState> = HashMap::default();
    let mut total = 0u64;
    for record in records {
        let end = record.at + gap;
        let session = open.entry(record.key).or_insert((end, 0, 0));
        if record.at > session.0 {
            let (end, count, sum) = *session;
            total = total.wrapping_add(digest(record.key, end, count, sum));
            *session = (0, 0, 0);
        }
        *session = (end, session.1 + 1, session.2 + record.value);
    }
    for (&key, &(end, count, sum)) in &open {
        total = total.wrapping_add(digest(key, end, count, sum));
    }
    black_box(total)
}

fn bench_sliding(criterion: &mut Criterion, case: &Case, quick: bool) {
    let records = records(case);
    let (assigner, subtracted) = (sliding(case), by_hand(case, &records, true));
    assert_eq!(thalweg(&assigner, &records), subtracted, "{}", case.name);
    let mut group = criterion.benchmark_group(format!("window/{}", case.name));
    group.throughput(Throughput::Elements(case.records as u64));
    group.bench_function("thalweg", |b| {
        b.iter(|| assert_eq!(thalweg(&assigner, &records), subtracted));
    });
    for (name, subtract) in [("merged", false), ("subtracted", true)] {
        if !subtract && (case.overlap > 100 || quick && case.overlap > 5) {
            continue;
        }
        assert_eq!(by_hand(case, &records, subtract), subtracted, "{name}");
        group.bench_function(BenchmarkId::new("by hand", name), |b| {
            b.iter(|| assert_eq!(by_hand(case, &records, subtract), subtracted));
        });
    }
    group.finish();
}

fn bench_sessions(criterion: &mut Criterion, name: &str, gap: i64, records: &[Record]) {
    let session = Session::with_gap(nanoseconds(gap as u64));
    let expected = sessions_by_hand(records, gap);
    assert_eq!(thalweg(&session, records), expected, "{name}");
    let mut group = criterion.benchmark_group(format!("window/{name}"));
    group.throughput(Throughput::Elements(records.len() as u64));
    group.bench_function("thalweg", |b| {
        b.iter(|| assert_eq!(thalweg(&session, records), expected));
    });
    group.bench_function("by hand", |b| {
        b.iter(|| assert_eq!(sessions_by_hand(records, gap), expected));
    });
    group.finish();
}

fn main() {
    let quick = std::env::args().any(|argument| argument == "--test");
    let mut criterion = Criterion::default().sample_size(10).configure_from_args();
    let case = |name, slide, overlap, records, lives| Case {
        name,
        slide,
        overlap,
        records,
        lives,
    };
    let cases = [
        case("tumbling", 100_000, 1, 2_000_000, 0),
        case("overlap 5", 20_000, 5, 2_000_000, 0),
        case("overlap 5, short lives", 20_000, 5, 2_000_000, 15),
        case("overlap 60", 10_000, 60, 2_000_000, 0),
        case("overlap 3600", 1_000, 3600, 4_000_000, 0),
    ];
    for mut case in cases {
        if quick {
            (case.slide, case.records) = (case.slide / 20, case.records / 40);
        }
        bench_sliding(&mut criterion, &case, quick);
    }
    let records = records_in_order(if quick { 50_000 } else { 2_000_000 });
    for (name, gap) in [("sessions 7", 2 * KEYS), ("sessions 700", 13 * KEYS / 2)] {
        bench_sessions(&mut criterion, name, gap as i64, &records);
    }
    criterion.final_summary();
}
