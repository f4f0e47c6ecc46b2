//! Tests of outlets.

use super::outlet::{Outlet, OutletError, OutletSink, OutletWriter, outlet};
use crate::connectors::test_chain::open_context;
use crate::operator::{Sink, SinkWriter};
use crate::ring::Parker;
use crate::time::Timestamp;

type Writer = OutletWriter<u64>;

fn opened(sink: &OutletSink<u64>, index: u32, parallelism: u32) -> Writer {
    let mut writer = Sink::<u64>::writer(sink, index, parallelism);
    let cx = open_context(index, parallelism);
    SinkWriter::<u64>::open(&mut writer, &cx).unwrap();
    writer
}

fn polled(outlet: &mut Outlet<u64>) -> Vec<u64> {
    let mut found = Vec::new();
    let count = outlet.poll(|number, _at| found.push(*number));
    assert_eq!(count, found.len());
    found
}

#[test]
fn outlet_is_finished_when_every_subtask_has_ended_and_all_is_read() {
    let (mut outlet, sink) = outlet::<u64>(1 << 12);
    let mut writers = [opened(&sink, 0, 2), opened(&sink, 1, 2)];
    for (number, writer) in writers.iter_mut().enumerate() {
        writer.write(&(number as u64), Timestamp(3)).unwrap();
        SinkWriter::<u64>::flush(writer).unwrap();
    }
    let [mut first, mut second] = writers;
    SinkWriter::<u64>::finish(&mut first).unwrap();
    drop(first);
    assert!(!outlet.is_finished());
    SinkWriter::<u64>::finish(&mut second).unwrap();
    assert!(!outlet.is_finished(), "two records are not read yet");
    assert_eq!(polled(&mut outlet), [0, 1]);
    assert!(outlet.is_finished(), "whether or not the writer is dropped");
}

#[test]
fn failed_attempt_does_not_finish_the_outlet_but_the_end_of_the_job_does() {
    let (mut outlet, sink) = outlet::<u64>(1 << 12);
    let mut writer = opened(&sink, 0, 1);
    writer.write(&1_u64, Timestamp::MIN).unwrap();
    SinkWriter::<u64>::flush(&mut writer).unwrap();
    drop(writer);
    assert_eq!(polled(&mut outlet), [1]);
    assert!(!outlet.is_finished());
    drop(opened(&sink, 0, 1));
    assert!(!outlet.is_finished());
    drop(sink);
    assert!(outlet.is_finished());
}

#[test]
fn end_of_a_job_finishes_the_outlet_though_its_sink_stays_once_all_is_read() {
    let (mut outlet, sink) = outlet::<u64>(1 << 12);
    for number in 0..2_u64 {
        let mut writer = opened(&sink, 0, 1);
        writer.write(&number, Timestamp::MIN).unwrap();
        SinkWriter::<u64>::flush(&mut writer).unwrap();
        assert!(!outlet.is_finished(), "it is running, again perhaps");
        drop(writer);
        Sink::<u64>::job_ended(&sink);
        assert!(!outlet.is_finished(), "a record is not read yet");
        assert_eq!(polled(&mut outlet), [number]);
        assert!(outlet.is_finished());
    }
}

#[test]
fn subtask_that_is_restarted_after_its_end_has_not_ended() {
    let (mut outlet, sink) = outlet::<u64>(1 << 12);
    let mut writers = [opened(&sink, 0, 2), opened(&sink, 1, 2)];
    SinkWriter::<u64>::finish(&mut writers[0]).unwrap();
    assert!(!outlet.is_finished());
    drop(writers);
    let mut writers = [opened(&sink, 0, 2), opened(&sink, 1, 2)];
    SinkWriter::<u64>::finish(&mut writers[1]).unwrap();
    assert!(!outlet.is_finished());
    SinkWriter::<u64>::finish(&mut writers[0]).unwrap();
    assert!(outlet.is_finished());
}

#[test]
fn outlet_of_a_job_that_runs_again_is_not_finished_before_that_run_is() {
    let (mut outlet, sink) = outlet::<u64>(1 << 12);
    let mut writers = [opened(&sink, 0, 2), opened(&sink, 1, 2)];
    for writer in &mut writers {
        SinkWriter::<u64>::finish(writer).unwrap();
    }
    drop(writers);
    assert!(outlet.is_finished());
    Sink::<u64>::job_ended(&sink);
    // Again, with one subtask: it is deployed, but its worker has not opened it yet.
    let mut writer = Sink::<u64>::writer(&sink, 0, 1);
    assert!(!outlet.is_finished());
    SinkWriter::<u64>::open(&mut writer, &open_context(0, 1)).unwrap();
    assert!(!outlet.is_finished());
    writer.write(&7_u64, Timestamp::MIN).unwrap();
    SinkWriter::<u64>::finish(&mut writer).unwrap();
    assert_eq!(polled(&mut outlet), [7]);
    assert!(outlet.is_finished());
}

#[test]
fn end_of_a_failed_attempt_counts_for_nothing_while_the_next_one_opens() {
    let (mut outlet, sink) = outlet::<u64>(1 << 12);
    let mut writers = [opened(&sink, 0, 2), opened(&sink, 1, 2)];
    SinkWriter::<u64>::finish(&mut writers[1]).unwrap();
    assert!(!outlet.is_finished());
    drop(writers);
    let [mut first, mut second] = [0, 1].map(|index| Sink::<u64>::writer(&sink, index, 2));
    SinkWriter::<u64>::open(&mut first, &open_context(0, 2)).unwrap();
    SinkWriter::<u64>::finish(&mut first).unwrap();
    assert!(!outlet.is_finished(), "the other has not even opened");
    SinkWriter::<u64>::open(&mut second, &open_context(1, 2)).unwrap();
    SinkWriter::<u64>::finish(&mut second).unwrap();
    assert!(outlet.is_finished());
}

#[test]
fn full_ring_makes_the_writer_unready_until_the_outlet_is_polled() {
    let (mut outlet, sink) = outlet::<u64>(0);
    let mut writer = opened(&sink, 0, 1);
    let mut written = 0;
    while SinkWriter::<u64>::ready(&writer) {
        writer.write(&written, Timestamp::MIN).unwrap();
        written += 1;
    }
    // One more, as a record's fan-out may produce before `ready` is checked.
    writer.write(&written, Timestamp::MIN).unwrap();
    SinkWriter::<u64>::flush(&mut writer).unwrap();
    SinkWriter::<u64>::finish(&mut writer).unwrap();
    SinkWriter::<u64>::resume(&mut writer).unwrap();
    assert!(!SinkWriter::<u64>::ready(&writer));
    let mut found = polled(&mut outlet);
    SinkWriter::<u64>::resume(&mut writer).unwrap();
    assert!(SinkWriter::<u64>::ready(&writer));
    drop(writer);
    found.extend(polled(&mut outlet));
    assert_eq!(found, (0..=written).collect::<Vec<_>>());
    assert!(outlet.is_finished());
}

#[test]
fn dropped_outlet_and_large_records_are_named_errors() {
    let (outlet, sink) = outlet::<str>(256);
    let mut writer = Sink::<String>::writer(&sink, 0, 1);
    SinkWriter::<String>::open(&mut writer, &open_context(0, 1)).unwrap();
    let long = "x".repeat(100);
    let error = writer.write(&long, Timestamp::MIN).unwrap_err().to_string();
    assert!(error.starts_with("a record of 100 bytes does not fit an outlet"));
    drop(outlet);
    let error = SinkWriter::<str>::flush(&mut writer).unwrap_err();
    assert_eq!(error.to_string(), OutletError::Dropped.to_string());
    let mut late = Sink::<str>::writer(&sink, 0, 1);
    let error = SinkWriter::<str>::open(&mut late, &open_context(0, 1)).unwrap_err();
    assert_eq!(error.to_string(), OutletError::Dropped.to_string());
}

#[test]
fn records_cross_threads_in_order_and_a_full_writer_is_woken() {
    let count = if cfg!(miri) { 30 } else { 20_000_u64 };
    let (mut outlet, sink) = outlet::<u64>(256);
    let writing = std::thread::spawn(move || {
        let mut parker = Parker::new();
        let mut cx = open_context(0, 1);
        cx.waker = Some(parker.waker());
        let mut writer = Sink::<u64>::writer(&sink, 0, 1);
        SinkWriter::<u64>::open(&mut writer, &cx).unwrap();
        for number in 0..count {
            writer.write(&number, Timestamp::MIN).unwrap();
            SinkWriter::<u64>::flush(&mut writer).unwrap();
            while !SinkWriter::<u64>::ready(&writer) {
                let prepared = parker.prepare();
                SinkWriter::<u64>::resume(&mut writer).unwrap();
                if SinkWriter::<u64>::ready(&writer) {
                    prepared.cancel();
                } else {
                    prepared.park(None);
                }
            }
        }
        SinkWriter::<u64>::finish(&mut writer).unwrap();
    });
    let mut found = Vec::new();
    while !outlet.is_finished() {
        outlet.poll(|number, _at| found.push(*number));
        std::thread::yield_now();
    }
    writing.join().unwrap();
    assert_eq!(found, (0..count).collect::<Vec<_>>());
}
