//! The last timestamp that there is belongs to windows like any other.

use super::harness::{harness, harness_of};
use super::oracle::Event;
use super::{Shape, TEN, lists};
use crate::operator::window::{Lateness, Session, SessionOperator};
use crate::time::nanoseconds;

const MAX: i64 = i64::MAX;

/// The result of a window that would end later if there were later times.
fn result(key: u8, start: i64, values: &[u32]) -> Event {
    Event::Result {
        key,
        start,
        end: MAX,
        at: MAX,
        values: values.to_vec(),
    }
}

#[test]
fn records_at_the_end_of_time_are_in_their_windows() {
    let start = MAX - MAX % 10;
    for slide in [5, 10] {
        let mut windows = harness(Shape { slide, ..TEN }, lists(), true);
        windows.push((1, 1), MAX);
        // Timestamps that ascend may repeat.
        windows.watermark(MAX - 1);
        windows.push((1, 2), MAX);
        windows.watermark(MAX);
        windows.push((1, 3), MAX);
        let mut expected = vec![Event::Watermark(MAX - 1)];
        let starts = (start..MAX).step_by(slide as usize);
        expected.extend(starts.map(|start| result(1, start, &[1, 2])));
        expected.push(Event::Watermark(MAX));
        expected.push(Event::Late {
            key: 1,
            value: 3,
            at: MAX,
        });
        assert_eq!(windows.events(), expected, "slide {slide}");
    }
}

#[test]
fn records_at_the_end_of_time_are_in_their_sessions() {
    for lateness in [0, 5, MAX] {
        let mut sessions = harness_of(|selector, outputs, tag| {
            let session = Session::with_gap(nanoseconds(100));
            SessionOperator::new("s".into(), session, selector, lists(), outputs)
                .unwrap()
                .allowed_lateness(Lateness::of(nanoseconds(lateness as u64)))
                .late_to(tag)
        });
        sessions.push((1, 1), 0);
        sessions.push((1, 2), MAX - 50);
        sessions.watermark(MAX - 1);
        sessions.push((1, 3), MAX);
        sessions.push((2, 4), MAX);
        sessions.watermark(MAX);
        let first = Event::Result {
            key: 1,
            start: 0,
            end: 100,
            at: 99,
            values: vec![1],
        };
        let expected = [
            first,
            Event::Watermark(MAX - 1),
            result(1, MAX - 50, &[2, 3]),
            result(2, MAX, &[4]),
            Event::Watermark(MAX),
        ];
        assert_eq!(sessions.events(), expected, "lateness {lateness}");
    }
}
