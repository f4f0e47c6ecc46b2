//! The ring compared with `rtrb`: throughput by frame size and batch, and round-trip latency.
//!
//! Two threads, pinned to two of the cores that the process may use, spinning. Every run checks the sum of what
//! arrived. The table comes from interleaved runs (ours, theirs, ours, …) and shows medians and the median of the
//! pairwise ratios, because on a shared machine the speed drifts from second to second; criterion then tracks each
//! figure over time. Our frames carry a 16-byte header with kind and timestamp, `rtrb` carries bare words: equal
//! payloads are not equal bytes.
//!
//! `RING_CASE=48 cargo bench --bench ring` prints the table rows whose name contains `48` and skips criterion.

use criterion::{BenchmarkId, Criterion, Throughput};
use std::hint::{black_box, spin_loop};
use std::time::Duration;
use thalweg::record::FrameKind;
use thalweg::ring::{Producer, RingOptions, ring};
use thalweg::time::Timestamp;

use support::cores::on_two_cores;

mod support;

const RING_BYTES: usize = 256 * 1024;

/// The sum of the records `0..count` of `W` words.
fn expected_sum(count: u64, words: usize) -> u64 {
    (0..count)
        .fold(0_u64, u64::wrapping_add)
        .wrapping_mul(words as u64)
}

/// Runs each side on its own core; returns how long that takes.
fn run_pair(produce: impl FnOnce() + Send, consume: impl FnOnce() + Send) -> Duration {
    on_two_cores(produce, consume).2
}

fn as_bytes<const W: usize>(record: &[u64; W]) -> &[u8] {
    bytemuck::cast_slice(record)
}

fn as_words<const W: usize>(payload: &[u8]) -> &[u64; W] {
    bytemuck::cast_slice(payload).try_into().unwrap()
}

fn push<const W: usize>(producer: &mut Producer, record: u64) {
    let words = [record; W];
    let time = Timestamp(record as i64);
    while producer
        .push(FrameKind::RECORD, 0, time, as_bytes(&words))
        .is_err()
    {
        producer.publish();
        spin_loop();
    }
}

/// Sends `count` records of `W` words through our ring, publishing after every `every` records.
fn ours<const W: usize>(options: RingOptions, count: u64, every: u64) -> Duration {
    let (mut producer, mut consumer) = ring(options.capacity(RING_BYTES));
    let produce = move || {
        let mut record = 0;
        while record < count {
            let end = count.min(record + every);
            while record < end {
                push::<W>(&mut producer, record);
                record += 1;
            }
            producer.publish();
        }
    };
    let consume = move || {
        let (mut sum, mut seen) = (0_u64, 0);
        while seen < count {
            let mut batch = consumer.read();
            for frame in batch.frames() {
                let words: &[u64; W] = as_words(frame.payload);
                sum = words.iter().fold(sum, |sum, word| sum.wrapping_add(*word));
                seen += 1;
            }
            batch.release();
        }
        assert_eq!(sum, expected_sum(count, W));
    };
    run_pair(produce, consume)
}

fn fixed<const W: usize>(count: u64, every: u64) -> Duration {
    ours::<W>(RingOptions::new().fixed_payload(W * 8), count, every)
}

fn variable<const W: usize>(count: u64, every: u64) -> Duration {
    ours::<W>(RingOptions::new(), count, every)
}

/// Like `fixed`, with the frames of a publish claimed together.
fn run_of<const W: usize>(count: u64, every: u64) -> Duration {
    let options = RingOptions::new().capacity(RING_BYTES).fixed_payload(W * 8);
    let (mut producer, mut consumer) = ring(options);
    let produce = move || {
        let mut record = 0;
        while record < count {
            let wanted = every.min(count - record) as usize;
            let Ok(mut run) = producer.claim_run(W * 8, wanted) else {
                spin_loop();
                continue;
            };
            let records = (record..).map(|record| {
                let bytes: [[u8; 8]; W] = [record.to_ne_bytes(); W];
                (Timestamp(record as i64), Words(bytes))
            });
            record += run.extend(FrameKind::RECORD, records) as u64;
            run.commit();
            producer.publish();
        }
    };
    let consume = move || {
        let (mut sum, mut seen) = (0_u64, 0);
        while seen < count {
            let mut batch = consumer.read();
            for frame in batch.frames() {
                let words: &[u64; W] = as_words(frame.payload);
                sum = words.iter().fold(sum, |sum, word| sum.wrapping_add(*word));
                seen += 1;
            }
            batch.release();
        }
        assert_eq!(sum, expected_sum(count, W));
    };
    run_pair(produce, consume)
}

struct Words<const W: usize>([[u8; 8]; W]);

impl<const W: usize> AsRef<[u8]> for Words<W> {
    fn as_ref(&self) -> &[u8] {
        self.0.as_flattened()
    }
}

/// The same through `rtrb`: `push` and `pop` for single records, chunks for more.
fn theirs<const W: usize>(count: u64, every: u64) -> Duration {
    let (mut producer, mut consumer) = rtrb::RingBuffer::<[u64; W]>::new(RING_BYTES / (W * 8));
    let produce = move || {
        let mut record = 0;
        while record < count {
            if every == 1 {
                while producer.push([record; W]).is_err() {
                    spin_loop();
                }
                record += 1;
                continue;
            }
            let wanted = every.min(count - record) as usize;
            match producer.write_chunk_uninit(wanted) {
                Ok(chunk) => {
                    let records = (record..).map(|record| [record; W]);
                    record += chunk.fill_from_iter(records) as u64;
                }
                Err(_) => spin_loop(),
            }
        }
    };
    let consume = move || {
        let (mut sum, mut seen) = (0_u64, 0);
        let add = |sum: u64, words: [u64; W]| words.iter().fold(sum, |s, w| s.wrapping_add(*w));
        while seen < count {
            if every == 1 {
                if let Ok(words) = consumer.pop() {
                    sum = add(sum, words);
                    seen += 1;
                }
                continue;
            }
            let ready = consumer.slots().min(every as usize);
            if let Ok(chunk) = consumer.read_chunk(ready) {
                let (first, second) = chunk.as_slices();
                sum = first.iter().fold(sum, |sum, words| add(sum, *words));
                sum = second.iter().fold(sum, |sum, words| add(sum, *words));
                seen += ready as u64;
                chunk.commit_all();
            }
        }
        assert_eq!(sum, expected_sum(count, W));
    };
    run_pair(produce, consume)
}

/// `count` round trips of one 64-byte frame through two of our rings.
fn our_round_trips(count: u64, _every: u64) -> Duration {
    let options = RingOptions::new().capacity(4096).fixed_payload(48);
    let (mut ping, mut pinged) = ring(options.clone());
    let (mut pong, mut ponged) = ring(options);
    let produce = move || {
        for record in 0..count {
            push::<6>(&mut ping, record);
            ping.publish();
            loop {
                let mut batch = ponged.read();
                if let Some(frame) = batch.frames().next() {
                    assert_eq!(frame.header.time, Timestamp(record as i64));
                    break;
                }
            }
        }
    };
    let consume = move || {
        for record in 0..count {
            while pinged.is_empty() {}
            let mut batch = pinged.read();
            let frame = batch.frames().next().unwrap();
            let words: &[u64; 6] = as_words(frame.payload);
            assert_eq!(black_box(words)[5], record);
            batch.release();
            push::<6>(&mut pong, record);
            pong.publish();
        }
    };
    run_pair(produce, consume)
}

/// The same through two of theirs.
fn their_round_trips(count: u64, _every: u64) -> Duration {
    let (mut ping, mut pinged) = rtrb::RingBuffer::<[u64; 8]>::new(64);
    let (mut pong, mut ponged) = rtrb::RingBuffer::<[u64; 8]>::new(64);
    let take = |ring: &mut rtrb::Consumer<[u64; 8]>| {
        loop {
            if let Ok(words) = ring.pop() {
                break words;
            }
        }
    };
    let produce = move || {
        for record in 0..count {
            ping.push([record; 8]).unwrap();
            assert_eq!(take(&mut ponged)[7], record);
        }
    };
    let consume = move || {
        for record in 0..count {
            assert_eq!(take(&mut pinged)[7], record);
            pong.push([record; 8]).unwrap();
        }
    };
    run_pair(produce, consume)
}

/// Runs `count` records, `every` per publish.
type Case = fn(count: u64, every: u64) -> Duration;

struct Comparison {
    name: &'static str,
    every: u64,
    ours: Case,
    theirs: Case,
    count: u64,
}

fn comparisons() -> Vec<Comparison> {
    let mut all = Vec::new();
    let cases: [(&'static str, Case, Case); 9] = [
        ("48 B payload, fixed", fixed::<6>, theirs::<8>),
        ("48 B payload, runs", run_of::<6>, theirs::<8>),
        ("48 B payload, variable", variable::<6>, theirs::<8>),
        ("64 B payload, fixed", fixed::<8>, theirs::<8>),
        ("64 B payload, runs", run_of::<8>, theirs::<8>),
        ("64 B payload, variable", variable::<8>, theirs::<8>),
        ("24 B payload, fixed", fixed::<3>, theirs::<3>),
        ("248 B payload, fixed", fixed::<31>, theirs::<31>),
        ("248 B payload, variable", variable::<31>, theirs::<31>),
    ];
    for (name, ours, theirs) in cases {
        for every in [1, 64, 256] {
            let count = 2_000_000;
            all.push(Comparison {
                name,
                every,
                ours,
                theirs,
                count,
            });
        }
    }
    all.push(Comparison {
        name: "round trip, 64 B frame",
        every: 1,
        ours: our_round_trips,
        theirs: their_round_trips,
        count: 100_000,
    });
    all
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn compare(rounds: usize, shorten: u64, only: Option<&str>) {
    println!(
        "{:26} {:>5} {:>12} {:>12} {:>11}",
        "case", "every", "ours ns", "rtrb ns", "rtrb/ours"
    );
    for case in comparisons() {
        if only.is_some_and(|only| !case.name.contains(only)) {
            continue;
        }
        let count = case.count / shorten;
        let (mut ours, mut theirs, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..rounds {
            let a = (case.ours)(count, case.every).as_nanos() as f64 / count as f64;
            let b = (case.theirs)(count, case.every).as_nanos() as f64 / count as f64;
            ours.push(a);
            theirs.push(b);
            ratios.push(b / a);
        }
        println!(
            "{:26} {:>5} {:>12.2} {:>12.2} {:>11.2}",
            case.name,
            case.every,
            median(ours),
            median(theirs),
            median(ratios)
        );
    }
}

fn keep(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("ring");
    group.throughput(Throughput::Elements(1));
    for case in comparisons() {
        for (side, run) in [("ours", case.ours), ("rtrb", case.theirs)] {
            let name = format!("{} {side}", case.name);
            group.bench_function(BenchmarkId::new(name, case.every), |bencher| {
                bencher.iter_custom(|count| run(count, case.every));
            });
        }
    }
    group.finish();
}

fn main() {
    let test = std::env::args().any(|argument| argument == "--test");
    let only = std::env::var("RING_CASE").ok();
    let (rounds, shorten) = if test { (1, 1000) } else { (11, 1) };
    compare(rounds, shorten, only.as_deref());
    if only.is_none() {
        let mut criterion = Criterion::default().configure_from_args();
        keep(&mut criterion);
        criterion.final_summary();
    }
}
