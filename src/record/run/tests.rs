//! Records come out of runs as they went in, and what is not a run is detected.

use proptest::prelude::*;
use rkyv::util::AlignedVec;

use super::*;
use crate::record::{Archived, FRAME_ALIGN, Form, Pod, Record, Scratch, View};

#[derive(Clone, Copy, PartialEq, Debug, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
struct Odd(u8, [u8; 2]);
impl Record for Odd {
    type Form = Pod;
}

/// Payload bytes at the alignment that rings have.
type Payload = AlignedVec<FRAME_ALIGN>;

fn aligned(payload: &[u8]) -> Payload {
    let mut bytes = AlignedVec::new();
    bytes.extend_from_slice(payload);
    bytes
}

/// The frames in which records are sent, in order.
fn gather<V: Wire + ?Sized>(
    records: &[(&V, Timestamp)],
    usual: usize,
) -> Vec<(FrameHeader, Payload)> {
    let mut frames = Vec::new();
    let mut run = RunWriter::default();
    let end = |run: &mut RunWriter, frames: &mut Vec<_>| {
        let (header, payload) = run.end();
        assert_eq!(header.length as usize, payload.len());
        frames.push((header, aligned(payload)));
    };
    for &(record, at) in records {
        if run.push(record, at) {
            continue;
        }
        if !run.is_empty() {
            end(&mut run, &mut frames);
        }
        if run.begin(record, at, usual) {
            assert!(run.push(record, at), "the first one has room");
        } else {
            let payload = record.as_bytes();
            let length = payload.len() as u32;
            let header = FrameHeader::new(FrameKind::RECORD, 0, length, at);
            frames.push((header, aligned(payload)));
        }
    }
    if !run.is_empty() {
        end(&mut run, &mut frames);
    }
    frames
}

/// Checks that records come out as they went in: by number, in sequence, and from a disk; all of them, and those after
/// the first `cut` of each frame.
#[expect(unsafe_code, reason = "the bytes were just gathered by a writer")]
fn check<V: Wire + ?Sized>(records: &[(&V, Timestamp)], usual: usize, cut: usize) {
    let bytes = |record: &V| record.as_bytes().to_vec();
    let mut expected = records.iter().map(|(record, at)| (bytes(record), *at));
    for (header, payload) in gather(records, usual) {
        assert!(
            payload.len() <= (4 * usual).max(place_max::<V>())
                || header.kind() == FrameKind::RECORD
        );
        assert!(holds_records::<V>(header.kind()));
        // SAFETY: gathered above, of the same type, and aligned.
        let run = || unsafe { RunReader::<V>::new(header, &payload) };
        let len = run().len();
        assert!(len > 0);
        let of_frame: Vec<_> = expected.by_ref().take(len).collect();
        let cut = cut.min(len);
        for (run, after) in [(run(), 0), (run().after(cut), cut)] {
            assert_eq!(run.len(), len - after);
            let by_number = (0..run.len()).flat_map(|index| run.part(index..index + 1));
            let by_number = by_number.map(|(record, at)| (bytes(record), at));
            assert!(by_number.eq(of_frame[after..].iter().cloned()));
            let part = run.len() / 5..run.len() - run.len() / 3;
            let records = run.part(part.clone());
            assert_eq!(records.len(), part.len());
            let records = records.map(|(record, at)| (bytes(record), at));
            assert!(records.eq(of_frame[after..][part].iter().cloned()));
        }
        assert_eq!(run().none().len(), 0);
        if header.kind() == FrameKind::RUN {
            for after in [0, cut] {
                let (header, rest) = RunReader::<V>::rest(header, &payload, after);
                let mut visited = Vec::new();
                let mut visit = |record: &V, at| visited.push((bytes(record), at));
                visit_run::<V>(header, &aligned(rest), &mut visit).unwrap();
                assert_eq!(visited, of_frame[after..]);
            }
        }
    }
    assert_eq!(expected.next(), None, "a record is lost");
}

#[test]
fn records_of_one_length_come_out_as_they_went_in() {
    fn check_all<V: Wire>(records: &[(V, i64)]) {
        let records: Vec<_> = records.iter().map(|(v, at)| (v, Timestamp(*at))).collect();
        for usual in [0, 8, 1024] {
            (0..=records.len()).for_each(|cut| check(&records, usual, cut));
        }
    }
    let none = Timestamp::MIN.0;
    check_all(&[(Odd(1, [2, 3]), 7), (Odd(4, [5, 6]), -8)]);
    check_all(&[
        (Odd(1, [2, 3]), none),
        (Odd(4, [5, 6]), none),
        (Odd(7, [8, 9]), 1),
    ]);
    check_all(&[([1u64, 2], 3), ([4, 5], 6)]);
    check_all(&[(1u128, 3), (u128::MAX, 4)]);
    check_all(&[(9u8, none), (8, none), (7, none)]);
    check_all(&[([0u8; 0], none), ([], none)]);
}

/// Texts, most of them short, and timestamps, which many do not have.
fn texts() -> impl Strategy<Value = Vec<(String, i64)>> {
    let text = prop_oneof![
        8 => "[a-zö]{0,9}",
        4 => "[a-z]{10,40}",
        1 => "[ab]{100,700}",
        4 => Just(String::new()),
    ];
    let times = prop_oneof![2 => Just(Timestamp::MIN.0), 1 => any::<i64>()];
    let stretch = (proptest::collection::vec(text, 0..80), times, 0..3i64);
    let stretch = stretch.prop_map(|(texts, from, step)| {
        let time = move |n: usize| from.wrapping_add(step * n as i64);
        texts
            .into_iter()
            .enumerate()
            .map(|(n, text)| (text, time(n)))
            .collect::<Vec<_>>()
    });
    proptest::collection::vec(stretch, 0..4).prop_map(|stretches| stretches.concat())
}

/// The usual length of runs: in the smallest rings, in small ones, in those of the default size.
fn usual() -> impl Strategy<Value = usize> {
    prop_oneof![
        Just(0),
        Just(12),
        Just(60),
        Just(252),
        Just(4096),
        Just(usize::MAX / 8)
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 4 } else { 256 }))]

    #[test]
        fn records_of_any_length_come_out_as_they_went_in(
            texts in texts(), usual in usual(), cut in 0..200usize,
        ) {
            let text: Vec<(&str, _)> = texts.iter().map(|(text, at)| (&**text, Timestamp(*at))).collect();
            check(&text, usual, cut);
            let bytes: Vec<_> = text.iter().map(|(text, at)| (text.as_bytes(), *at)).collect();
            check(&bytes, usual, cut);
        }

        #[test]
        fn archives_come_out_as_they_went_in(
            texts in texts(), usual in usual(), cut in 0..200usize,
        ) {
            let mut scratch = Scratch::new();
            let records = texts.iter().map(|(text, at)| {
                let record = (*at as u64, text.clone());
 let archive: &View<(u64, String)> = Archived::far(&record, &mut scratch);
(aligned(archive.as_bytes()), Timestamp(*at))
            });
            let records: Vec<_> = records.collect();
            let views = records.iter().map(|(bytes, at)| (View::<(u64, String)>::from_bytes(bytes).unwrap(), *at));
            check(&views.collect::<Vec<_>>(), usual, cut);
            let plain: Vec<_> = texts.iter().map(|(text, at)| (text.len() as u64, *at)).collect();
            let views = plain.iter().map(|record| (Archived::itself(record).unwrap(), Timestamp(record.1)));
            check(&views.collect::<Vec<_>>(), usual.min(4096), cut);
        }

        #[test]
        fn what_is_not_a_run_is_an_error_and_never_read_beyond_its_end(
            bytes in proptest::collection::vec(any::<u8>(), 0..100),
            aux in prop_oneof![0..40u32, 0..1u32 << 24],
        ) {
            let header = FrameHeader::new(FrameKind::RUN, aux, bytes.len() as u32, Timestamp::MIN);
            let payload = aligned(&bytes);
            let mut length = 0;
            let _ = visit_run::<[u8]>(header, &payload, &mut |bytes, _| length += bytes.len());
            let _ = visit_run::<str>(header, &payload, &mut |_, _| {});
            let _ = visit_run::<View<(u64, String)>>(header, &payload, &mut |_, _| {});
            let _ = visit_run::<[u64; 2]>(header, &payload, &mut |_, _| {});
            prop_assert!(length <= bytes.len() * bytes.len());
        }
    }

#[test]
fn a_run_that_is_cut_off_is_an_error() {
    let numbers = [(&[1u64, 2], Timestamp(5))];
    let texts = [("some", Timestamp(5)), ("more", Timestamp(6))];
    let (header, payload) = gather(&numbers, 1024).remove(0);
    let cut = aligned(&payload[..payload.len() - 1]);
    assert!(visit_run::<[u64; 2]>(header, &cut, &mut |_, _| {}).is_err());
    assert!(visit_run::<str>(header, &payload, &mut |_, _| panic!("no text")).is_ok());
    let (header, payload) = gather(&texts, 1024).remove(0);
    for length in 0..payload.len() {
        let cut = aligned(&payload[..length]);
        let mut visited = Vec::new();
        let result = visit_run::<str>(header, &cut, &mut |text, _| visited.push(text.to_owned()));
        assert!(result.is_err() || visited != ["some", "more"], "{length}");
    }
    assert!(visit_run::<[u64; 2]>(header, &payload, &mut |_, _| {}).is_err());
}

#[test]
fn a_run_is_timed_or_it_is_not() {
    let mut run = RunWriter::default();
    run.begin(&1u64, Timestamp(5), 1024);
    assert!(!run.push(&2u64, Timestamp::MIN));
    assert!(run.push(&1u64, Timestamp(5)));
    assert!(!run.push(&2u64, Timestamp::MIN));
    run.end();
    assert!(run.begin("a", Timestamp::MIN, 1024));
    assert!(!run.push("b", Timestamp(5)));
    assert!(run.push("a", Timestamp::MIN));
    assert!(!run.push("b", Timestamp(5)));
    assert!(!run.is_empty());
}

#[test]
fn a_run_is_of_records_of_one_length_or_it_is_not() {
    let mut run = RunWriter::default();
    run.begin(&1u64, Timestamp::MIN, 1024);
    assert!(!run.push("a", Timestamp::MIN));
    run.begin("a", Timestamp::MIN, 1024);
    assert!(!run.push(&1u64, Timestamp::MIN));
}

/// How many records like this one fit into a run.
fn room<V: Wire + ?Sized>(record: &V, at: Timestamp, usual: usize) -> usize {
    let mut run = RunWriter::default();
    run.begin(record, at, usual);
    (0..9999).take_while(|_| run.push(record, at)).count()
}

#[test]
fn a_run_is_about_as_long_as_usual_or_longer_if_records_are() {
    let (none, at) = (Timestamp::MIN, Timestamp(1));
    assert_eq!(room(&1u64, none, 4096), 512);
    assert_eq!(room(&1u64, at, 4096), 256);
    assert_eq!(room(&[1u64; 20], none, 4096), 64);
    assert_eq!(room(&[1u64; 100], none, 4096), 20);
    assert_eq!(room(&[1u64; 20], at, 40), 1);
    assert_eq!(room("word", none, 4096), 680);
    assert_eq!(room("", none, 4096), 2040);
    assert_eq!(room("word", at, 4096), 291);
    let long = "long".repeat(40);
    assert_eq!(room(&*long, none, 4096), 63);
    assert_eq!(room(&*long.repeat(3), none, 4096), 33);
    assert_eq!(room(&*long.repeat(4), none, 4096), 0);
}
