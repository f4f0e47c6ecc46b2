//! Tests of the file sink: part files appear complete and exactly once, wherever a run is cut.

use std::fs;
use std::path::Path;

use proptest::prelude::*;

use super::{FileSink, LineEncoder, Lines};
use crate::connectors::file::part_file::PartFiles;
use crate::connectors::line_format::ByDisplay;
use crate::connectors::test_chain::{CommitTasks, checkpointed_context, restored_context};
use crate::connectors::transaction::TransactionalWriter;
use crate::operator::{Prepared, Sink, SinkWriter};
use crate::time::Timestamp;

type Writer = TransactionalWriter<u64, PartFiles<LineEncoder<ByDisplay>>>;

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name();
    let names = entries.map(name).map(|name| name.into_string().unwrap());
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

/// The lines of the visible part files, in order.
fn visible(directory: &Path) -> Vec<u64> {
    let names = names(directory).into_iter();
    let visible = names.filter(|name| !name.starts_with('.'));
    let texts = visible.map(|name| fs::read_to_string(directory.join(name)).unwrap());
    let mut lines: Vec<u64> = Vec::new();
    for text in texts {
        lines.extend(text.lines().map(|line| line.parse::<u64>().unwrap()));
    }
    lines.sort_unstable();
    lines
}

fn write(writer: &mut Writer, records: impl IntoIterator<Item = u64>) {
    for record in records {
        writer.write(&record, Timestamp::MIN).unwrap();
    }
}

/// Takes a barrier, and does the work it returns.
fn prepare(writer: &mut Writer, checkpoint: u64) -> Vec<Vec<u8>> {
    let mut prepared = Prepared::default();
    writer.prepare(checkpoint, &mut prepared).unwrap();
    for work in prepared.take_work() {
        work().unwrap();
    }
    prepared.transactions().to_vec()
}

fn texts(directory: &Path) -> FileSink<Lines<ByDisplay>> {
    FileSink::lines(directory).extension("txt")
}

fn open(directory: &Path, index: u32, parallelism: u32) -> Writer {
    open_of(&texts(directory), index, parallelism)
}

fn open_of(sink: &FileSink<Lines<ByDisplay>>, index: u32, parallelism: u32) -> Writer {
    let mut writer = Sink::<u64>::writer(sink, index, parallelism);
    writer
        .open(&checkpointed_context(index, parallelism, true))
        .unwrap();
    writer
}

/// A writer that resumes from a checkpoint with these transactions.
fn restore(
    directory: &Path,
    (index, parallelism): (u32, u32),
    from: u64,
    kept: Vec<Vec<u8>>,
) -> Writer {
    restore_of(&texts(directory), (index, parallelism), from, kept)
}

fn restore_of(
    sink: &FileSink<Lines<ByDisplay>>,
    (index, parallelism): (u32, u32),
    from: u64,
    kept: Vec<Vec<u8>>,
) -> Writer {
    let mut writer = Sink::<u64>::writer(sink, index, parallelism);
    writer
        .open(&restored_context(index, parallelism, from))
        .unwrap();
    writer.recover(kept).unwrap();
    writer
}

#[test]
fn part_is_hidden_until_its_checkpoint_is_complete_and_then_stays_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("made/for/it");
    let mut writer = open(&out, 0, 1);
    assert!(prepare(&mut writer, 1).is_empty());
    write(&mut writer, 0..100_000);
    assert_eq!(names(&out), [".part-0-0.txt.inprogress"]);
    assert_eq!(prepare(&mut writer, 2).len(), 1);
    write(&mut writer, [100_000]);
    assert_eq!(names(&out), [".part-0-0.txt.2.pending"]);
    assert_eq!(prepare(&mut writer, 3).len(), 2);
    writer.commit(2).unwrap();
    assert_eq!(names(&out), [".part-0-1.txt.3.pending", "part-0-0.txt"]);
    writer.commit(3).unwrap();
    writer.commit(3).unwrap();
    assert_eq!(visible(&out), (0..=100_000).collect::<Vec<_>>());
}

#[test]
fn checkpoint_waits_for_the_disk_to_have_its_parts_and_the_names_before_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = open(dir.path(), 0, 1);
    // The work is not done yet, so the part waits for it again at the next barrier.
    for (checkpoint, records, works) in [(1, 0..0, 1), (2, 0..10, 2), (3, 10..20, 3), (4, 0..0, 3)]
    {
        write(&mut writer, records);
        let mut prepared = Prepared::default();
        writer.prepare(checkpoint, &mut prepared).unwrap();
        let work = prepared.take_work();
        assert_eq!(
            work.len(),
            works,
            "the parts of {checkpoint}, and the names"
        );
    }
}

#[test]
fn nothing_empty_is_created_and_close_removes_what_was_being_written() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = open(dir.path(), 0, 1);
    prepare(&mut writer, 1);
    writer.commit(1).unwrap();
    assert!(names(dir.path()).is_empty());
    write(&mut writer, 0..100_000);
    assert_eq!(names(dir.path()).len(), 1);
    writer.close().unwrap();
    assert!(names(dir.path()).is_empty());
}

#[test]
fn recovery_commits_what_the_checkpoint_kept_once_and_removes_what_came_later() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = open(dir.path(), 0, 1);
    write(&mut writer, [1]);
    let kept = prepare(&mut writer, 1);
    write(&mut writer, [2]);
    prepare(&mut writer, 2);
    write(&mut writer, 0..100_000);
    drop(writer);
    for _ in 0..2 {
        restore(dir.path(), (0, 1), 1, kept.clone());
        assert_eq!(names(dir.path()), ["part-0-0.txt"]);
    }
}

#[test]
fn part_that_was_moved_away_does_not_keep_a_job_from_going_on_but_one_that_is_lost_does() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let mut writer = open(&out, 0, 1);
    write(&mut writer, [1]);
    let kept = prepare(&mut writer, 1);
    writer.commit(1).unwrap();
    drop(writer);
    fs::rename(out.join("part-0-0.txt"), dir.path().join("moved")).unwrap();
    let mut writer = restore(&out, (0, 1), 1, kept.clone());
    write(&mut writer, [2]);
    prepare(&mut writer, 2);
    writer.commit(2).unwrap();
    assert_eq!(names(&out), ["part-0-1.txt"], "no name is used again");
    drop(writer);
    let resume = || {
        let mut writer = Sink::<u64>::writer(&texts(&out), 0, 1);
        writer.open(&restored_context(0, 1, 1)).unwrap();
        writer.recover(kept.clone()).unwrap_err().to_string()
    };
    fs::write(out.join(".part-0-0.txt.1.pending"), "").unwrap();
    let message = resume();
    assert!(message.contains("pending is lost"), "{message}");
    fs::remove_dir_all(&out).unwrap();
    for _attempt in 0..2 {
        let message = resume();
        assert!(message.contains("part-0-0.txt is lost"), "{message}");
    }
}

#[test]
fn part_that_is_gone_while_its_job_runs_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = open(dir.path(), 0, 1);
    write(&mut writer, [1]);
    prepare(&mut writer, 1);
    fs::remove_file(dir.path().join(".part-0-0.txt.1.pending")).unwrap();
    let message = writer.commit(1).unwrap_err().to_string();
    assert!(message.contains("part-0-0.txt is lost"), "{message}");
}

#[test]
fn directory_is_refused_to_a_second_sink_until_the_first_is_closed() {
    let dir = tempfile::tempdir().unwrap();
    let sink = texts(dir.path());
    let mut writers = [open_of(&sink, 0, 2), open_of(&sink, 1, 2)];
    for other in [sink.clone(), texts(dir.path())] {
        let mut other = Sink::<u64>::writer(&other, 0, 1);
        let error = other.open(&checkpointed_context(0, 1, true)).unwrap_err();
        let message = error.to_string();
        let expected = format!("{} is in use: another sink", dir.path().display());
        assert!(message.starts_with(&expected), "{message}");
    }
    for writer in &mut writers {
        writer.close().unwrap();
    }
    open(dir.path(), 0, 1);
    assert!(names(dir.path()).is_empty(), "the lock leaves no file");
}

#[test]
fn job_that_starts_anew_removes_what_no_checkpoint_can_have_kept() {
    let dir = tempfile::tempdir().unwrap();
    let mut older = open(dir.path(), 0, 1);
    write(&mut older, [1]);
    prepare(&mut older, 1);
    older.commit(1).unwrap();
    write(&mut older, [2]);
    prepare(&mut older, 2);
    write(&mut older, 0..100_000);
    drop(older);
    // Another run, whose checkpoints start with the third: two subtasks, one of which is gone in the next attempt.
    let sink = texts(dir.path());
    let start = |index, parallelism| {
        let mut writer = Sink::<u64>::writer(&sink, index, parallelism);
        let mut cx = checkpointed_context(index, parallelism, true);
        cx.checkpointing.first = 3;
        writer.open(&cx).unwrap();
        writer
    };
    let kept = ["part-0-0.txt", ".part-0-1.txt.2.pending"];
    let mut writers = [start(0, 2), start(1, 2)];
    for writer in &mut writers {
        write(writer, [3]);
        prepare(writer, 3);
        write(writer, 0..100_000);
    }
    // A subtask that opens later leaves alone what another one is writing.
    let late = start(1, 2);
    let hidden = names(dir.path()).into_iter();
    let hidden: Vec<String> = hidden.filter(|name| name.starts_with('.')).collect();
    assert_eq!(
        hidden,
        [
            kept[1],
            ".part-0-3.txt.3.pending",
            ".part-0-4.txt.inprogress"
        ]
    );
    drop((writers, late));
    start(0, 1);
    assert_eq!(names(dir.path()), [kept[1], kept[0]]);
    restore(dir.path(), (0, 1), 2, vec![]);
    assert_eq!(names(dir.path()), [kept[1], kept[0]]);
}

#[test]
fn job_that_goes_back_to_a_savepoint_keeps_what_a_later_checkpoint_of_its_directory_has_kept() {
    let dir = tempfile::tempdir().unwrap();
    let mut older = open(dir.path(), 0, 1);
    write(&mut older, [10]);
    let kept = prepare(&mut older, 10);
    drop(older);
    // The seventh is elsewhere, and the tenth is complete: the next one has the number 11.
    let go_back = || {
        let mut cx = restored_context(0, 1, 7);
        cx.checkpointing.first = 11;
        let sink = FileSink::lines(dir.path()).extension("txt");
        let mut writer = Sink::<u64>::writer(&sink, 0, 1);
        writer.open(&cx).unwrap();
        writer.recover(vec![]).unwrap();
        writer
    };
    let mut writer = go_back();
    write(&mut writer, [11]);
    prepare(&mut writer, 11);
    write(&mut writer, 0..100_000);
    drop(writer);
    go_back();
    assert_eq!(names(dir.path()), [".part-0-0.txt.10.pending"]);
    restore(dir.path(), (0, 1), 10, kept);
    assert_eq!(visible(dir.path()), [10]);
}

#[test]
fn job_keeps_what_a_checkpoint_of_another_directory_may_have_kept() {
    let dir = tempfile::tempdir().unwrap();
    let start = |directory, restored: Option<u64>| {
        let mut cx = match restored {
            Some(checkpoint) => restored_context(0, 1, checkpoint),
            None => checkpointed_context(0, 1, true),
        };
        cx.checkpointing.first = restored.unwrap_or(0) + 1;
        cx.checkpointing.directory = Some(directory);
        let mut writer = Sink::<u64>::writer(&texts(dir.path()), 0, 1);
        writer.open(&cx).unwrap();
        writer
    };
    let mut older = start(7, None);
    write(&mut older, [1]);
    let kept = prepare(&mut older, 3);
    drop(older);
    let pending = ".part-0-0.txt.3-0000000000000007.pending";
    // In a directory of their own, the same number is yet to come. From scratch, or from a savepoint.
    for restored in [None, Some(2)] {
        start(8, restored);
        assert_eq!(names(dir.path()), [pending]);
    }
    start(7, Some(3)).recover(kept).unwrap();
    assert_eq!(visible(dir.path()), [1]);
    let mut left = start(7, Some(3));
    write(&mut left, [2]);
    prepare(&mut left, 4);
    drop(left);
    start(7, Some(3));
    assert_eq!(names(dir.path()), ["part-0-0.txt"], "its own is removed");
}

#[test]
fn parts_of_checkpoints_that_fail_do_not_stay_open() {
    let dir = tempfile::tempdir().unwrap();
    let is_part = |entry: std::io::Result<fs::DirEntry>| {
        fs::read_link(entry.unwrap().path()).is_ok_and(|path| path.parent() == Some(dir.path()))
    };
    let open_parts = || {
        let open = fs::read_dir("/proc/self/fd").unwrap();
        open.map(is_part).filter(|is_part| *is_part).count()
    };
    let (mut writer, tasks) = (
        Sink::<u64>::writer(&FileSink::lines(dir.path()), 0, 1),
        CommitTasks::default(),
    );
    writer.open(&tasks.context(true)).unwrap();
    for checkpoint in 1..20 {
        write(&mut writer, [checkpoint]);
        // What was to be done before it is complete is dropped with it.
        writer
            .prepare(checkpoint, &mut Prepared::default())
            .unwrap();
        assert_eq!(
            open_parts().min(3),
            checkpoint.min(2) as usize,
            "no wait for the disk"
        );
        tasks.run();
        assert_eq!(open_parts(), 1, "that of this barrier");
    }
    prepare(&mut writer, 20);
    writer.commit(20).unwrap();
    tasks.run();
    assert_eq!((visible(dir.path()), open_parts()), ((1..20).collect(), 0));
}

#[test]
fn job_without_checkpoints_that_starts_again_leaves_no_hidden_part() {
    let dir = tempfile::tempdir().unwrap();
    let start = || {
        let mut writer = Sink::<u64>::writer(&FileSink::lines(dir.path()), 0, 1);
        writer.open(&checkpointed_context(0, 1, false)).unwrap();
        writer
    };
    let mut killed = start();
    write(&mut killed, 0..100_000);
    drop(killed);
    fs::write(dir.path().join(".part-0-7.0.pending"), "its end was cut").unwrap();
    fs::write(dir.path().join(".part-0-8.1.pending"), "of a checkpoint").unwrap();
    start();
    assert_eq!(names(dir.path()), [".part-0-8.1.pending"]);
}

#[test]
fn final_checkpoint_has_the_last_part() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = open(dir.path(), 3, 4);
    write(&mut writer, [1]);
    writer.finish().unwrap();
    assert!(visible(dir.path()).is_empty());
    prepare(&mut writer, 9);
    writer.commit(9).unwrap();
    writer.close().unwrap();
    assert_eq!(names(dir.path()), ["part-3-0.txt"]);
}

#[test]
fn without_checkpoints_the_part_is_finished_at_the_end_and_none_is_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    for run in 0..3 {
        let mut writer = Sink::<u64>::writer(&FileSink::lines(dir.path()), 0, 1);
        writer.open(&checkpointed_context(0, 1, false)).unwrap();
        write(&mut writer, [run]);
        writer.finish().unwrap();
        writer.close().unwrap();
    }
    assert_eq!(names(dir.path()), ["part-0-0", "part-0-1", "part-0-2"]);
    assert_eq!(visible(dir.path()), [0, 1, 2]);
}

#[test]
fn directory_that_cannot_be_made_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let mut writer = Sink::<u64>::writer(&FileSink::lines(file.join("below")), 0, 1);
    let error = writer.open(&checkpointed_context(0, 1, true)).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("file/below: could not create it")
    );
}

#[test]
fn file_that_cannot_be_made_is_not_called_a_missing_input() {
    let dir = tempfile::tempdir().unwrap();
    let sink = FileSink::lines(dir.path()).extension("no/such/directory");
    let mut writer = Sink::<u64>::writer(&sink, 0, 1);
    writer.open(&checkpointed_context(0, 1, true)).unwrap();
    write(&mut writer, [1]);
    let error = writer.prepare(1, &mut Prepared::default()).unwrap_err();
    let message = error.to_string();
    assert!(
        message.contains("inprogress: could not create it: No such file"),
        "{message}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Each attempt takes some checkpoints, whose completion only some subtasks learn of. Then it is killed in the
    /// middle of a part, and the next attempt resumes from its last checkpoint with another parallelism.
    #[test]
    fn every_record_is_visible_once_wherever_the_run_is_cut(
        attempts in prop::collection::vec(
            (1..5_u32, prop::collection::vec((0..6_u64, 0..5_usize), 1..4)), 1..6),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let (mut written, mut checkpoint) = (0_u64, 0_u64);
        let mut kept: Vec<Vec<u8>> = Vec::new();
        let mut seen = Vec::new();
        for (parallelism, epochs) in attempts {
            let size = kept.len().div_ceil(parallelism as usize).max(1);
            let mut shares = kept.chunks(size).map(<[_]>::to_vec);
            let sink = texts(dir.path());
            let mut writers: Vec<_> = (0..parallelism).map(|index| {
                if checkpoint == 0 {
                    return open_of(&sink, index, parallelism);
                }
                let share = shares.next().unwrap_or_default();
                restore_of(&sink, (index, parallelism), checkpoint, share)
            }).collect();
            if checkpoint > 0 {
                prop_assert_eq!(visible(dir.path()), (0..written).collect::<Vec<_>>());
                prop_assert!(names(dir.path()).iter().all(|name| !name.starts_with('.')));
            }
            for (records, notices) in epochs {
                for record in written..written + records {
                    write(&mut writers[(record % u64::from(parallelism)) as usize], [record]);
                }
                written += records;
                checkpoint += 1;
                kept = writers.iter_mut().flat_map(|writer| prepare(writer, checkpoint)).collect();
                for writer in writers.iter_mut().take(notices) {
                    writer.commit(checkpoint).unwrap();
                }
                // What was visible once remains visible.
                let now = visible(dir.path());
                prop_assert!(seen.iter().all(|record| now.binary_search(record).is_ok()));
                seen = now;
            }
            for writer in &mut writers {
                write(writer, [u64::MAX; 10_000]);
            }
        }
        restore(dir.path(), (0, 1), checkpoint, kept);
        prop_assert_eq!(visible(dir.path()), (0..written).collect::<Vec<_>>());
    }
}
