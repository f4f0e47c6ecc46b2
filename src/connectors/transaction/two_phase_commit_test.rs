//! Tests of the two-phase commit protocol, on a target that records its calls.

use std::sync::{Arc, Mutex};

use super::*;
use crate::connectors::test_chain::CommitTasks;
use crate::connectors::test_chain::checkpointed_context;
use crate::operator::{BoxError, CommitQueue, Outcome, Prepared, Sink, SinkWriter};
use crate::time::Timestamp;

type Journal = Arc<Mutex<Vec<String>>>;

/// Transactions are strings; those that end in the refused one are not committed.
#[derive(Clone)]
struct Target {
    journal: Journal,
    refused: &'static str,
    /// Whether calls that ask it to make commits durable are recorded.
    is_asked: bool,
}

impl Target {
    fn note(&self, action: &str, text: &str) {
        self.journal
            .lock()
            .unwrap()
            .push(format!("{action} {text}"));
    }
}

impl TwoPhaseCommit<str> for Target {
    type Transaction = String;

    fn begin(&mut self) -> Result<String, BoxError> {
        Ok(String::new())
    }
    fn write(&mut self, text: &mut String, record: &str, _at: Timestamp) -> Outcome {
        text.push_str(record);
        Ok(())
    }
    fn handle(&self, _text: &String) -> Option<Vec<u8>> {
        Some(b"open".to_vec())
    }
    fn pre_commit(&mut self, text: String, checkpoint: u64) -> Result<Option<Vec<u8>>, BoxError> {
        self.note(&format!("pre-commit {checkpoint}"), &text);
        Ok((!text.is_empty()).then(|| text.into_bytes()))
    }
    fn before_any_completion(&mut self) -> Result<Option<Work>, BoxError> {
        let target = self.clone();
        let work = move || {
            target.note("make it last", "");
            Ok(())
        };
        Ok(self.is_asked.then(|| -> Work { Box::new(work) }))
    }
    fn commit(&mut self, handle: &[u8]) -> Result<Work, BoxError> {
        let (target, text) = (self.clone(), String::from_utf8(handle.to_vec())?);
        Ok(Box::new(move || {
            target.note("commit", &text);
            if text.starts_with(target.refused) {
                return Err(format!("{text} was refused").into());
            }
            Ok(())
        }))
    }
    fn recover_and_abort(&mut self, handle: &[u8]) -> Outcome {
        self.note("recover and abort", std::str::from_utf8(handle)?);
        Ok(())
    }
    fn recovered(&mut self) -> Outcome {
        self.note("recovered", "");
        Ok(())
    }
    fn abort(&mut self, text: String) -> Outcome {
        self.note("abort", &text);
        Ok(())
    }
}

struct Run {
    journal: Journal,
    writer: TransactionalWriter<str, Target>,
}

impl Run {
    fn open(refused: &'static str, checkpointing: bool) -> Self {
        Run::of(refused, checkpointing, false)
    }

    fn of(refused: &'static str, checkpointing: bool, is_asked: bool) -> Self {
        let journal = Journal::default();
        let target = Target {
            journal: Arc::clone(&journal),
            refused,
            is_asked,
        };
        let sink = Transactional::new(move |_, _| target.clone());
        let mut writer = sink.writer(0, 1);
        writer
            .open(&checkpointed_context(0, 1, checkpointing))
            .unwrap();
        Run { journal, writer }
    }

    fn write(&mut self, record: &str) {
        self.writer.write(record, Timestamp::MIN).unwrap();
    }

    /// The transactions that the checkpoint stores.
    fn prepare(&mut self, checkpoint: u64) -> Vec<Vec<u8>> {
        let mut prepared = Prepared::default();
        self.writer.prepare(checkpoint, &mut prepared).unwrap();
        prepared.transactions().to_vec()
    }

    fn journal(&self) -> Vec<String> {
        std::mem::take(&mut self.journal.lock().unwrap())
    }
}

#[test]
fn a_notice_commits_everything_up_to_its_checkpoint_in_order_and_late_ones_nothing() {
    let mut run = Run::open("none", true);
    for (record, checkpoint) in [("a", 1), ("b", 2), ("c", 3)] {
        run.write(record);
        assert_eq!(run.prepare(checkpoint).len(), checkpoint as usize + 1);
    }
    run.journal();
    run.writer.commit(2).unwrap();
    run.writer.commit(1).unwrap();
    run.writer.commit(2).unwrap();
    assert_eq!(run.journal(), ["commit a", "commit b"]);
    assert_eq!(run.prepare(4).len(), 2);
    run.writer.commit(4).unwrap();
    assert_eq!(run.journal(), ["pre-commit 4 ", "commit c"]);
}

#[test]
fn others_are_committed_when_one_is_refused_and_the_first_error_is_the_one_reported() {
    let mut run = Run::open("b", true);
    for (record, checkpoint) in [("b1", 1), ("a", 2), ("b2", 3)] {
        run.write(record);
        run.prepare(checkpoint);
    }
    run.journal();
    let error = run.writer.commit(3).unwrap_err();
    assert_eq!(error.to_string(), "b1 was refused");
    assert_eq!(run.journal(), ["commit b1", "commit a", "commit b2"]);
    run.writer.commit(3).unwrap_err();
    assert_eq!(run.journal(), ["commit b1", "commit b2"]);
}

#[test]
fn restored_sink_commits_what_is_pending_and_aborts_what_was_open() {
    let mut run = Run::open("none", true);
    run.write("a");
    run.prepare(1);
    run.write("b");
    let kept = run.prepare(2);
    run.write("lost");
    run.journal();
    run.writer.close().unwrap();
    assert_eq!(run.journal(), ["abort lost"]);

    let mut restored = Run::open("none", true);
    restored.writer.recover(kept.clone()).unwrap();
    let expected = [
        "commit a",
        "commit b",
        "recover and abort open",
        "recovered ",
    ];
    assert_eq!(restored.journal(), expected);
    let mut refused = Run::open("a", true);
    assert_eq!(
        refused.writer.recover(kept).unwrap_err().to_string(),
        "a was refused"
    );
    let error = refused.writer.recover(vec![b"?".to_vec()]).unwrap_err();
    assert_eq!(error.to_string(), TransactionError.to_string());
}

#[test]
fn last_transaction_is_that_of_the_final_checkpoint() {
    let mut run = Run::open("none", true);
    run.write("a");
    run.writer.finish().unwrap();
    assert!(run.journal().is_empty());
    // No transaction is begun after the end.
    assert_eq!(run.prepare(7).len(), 1);
    run.writer.commit(7).unwrap();
    run.writer.close().unwrap();
    assert_eq!(run.journal(), ["pre-commit 7 a", "commit a"]);
}

#[test]
fn without_checkpoints_the_end_commits() {
    let mut run = Run::open("none", false);
    run.write("a");
    run.writer.finish().unwrap();
    run.writer.close().unwrap();
    assert_eq!(run.journal(), ["pre-commit 0 a", "commit a"]);
}

#[test]
fn commits_are_done_elsewhere_and_a_checkpoint_keeps_what_they_have_not_come_to() {
    let (mut run, tasks) = (Run::open("none", true), CommitTasks::default());
    run.writer.open(&tasks.context(true)).unwrap();
    for (record, checkpoint) in [("a", 1), ("b", 2)] {
        run.write(record);
        run.prepare(checkpoint);
    }
    run.journal();
    run.writer.commit(2).unwrap();
    run.writer.commit(2).unwrap();
    assert!(run.journal().is_empty(), "nothing on this thread");
    assert_eq!(run.prepare(3).len(), 3, "both, and what is open");
    tasks.run();
    assert_eq!(run.journal()[1..], ["commit a", "commit b"], "once");
    assert_eq!(run.prepare(4).len(), 1);
    // Closing waits for pending work.
    run.write("c");
    run.prepare(5);
    run.writer.commit(5).unwrap();
    let elsewhere = std::thread::spawn(move || tasks.run());
    run.writer.close().unwrap();
    elsewhere.join().unwrap();
    assert!(run.journal().contains(&"commit c".to_owned()));
}

#[test]
fn commit_that_fails_elsewhere_fails_the_subtask_once_the_others_have_been_tried() {
    let (mut run, tasks) = (Run::open("b", true), CommitTasks::default());
    run.writer.open(&tasks.context(true)).unwrap();
    for (record, checkpoint) in [("a", 1), ("b1", 2), ("b2", 3), ("c", 4)] {
        run.write(record);
        run.prepare(checkpoint);
    }
    run.journal();
    run.writer.commit(4).unwrap();
    run.writer.flush().unwrap();
    assert_eq!(tasks.run(), [false, true, true, true]);
    assert_eq!(
        run.journal(),
        ["commit a", "commit b1", "commit b2", "commit c"]
    );
    let error = run.writer.flush().unwrap_err().to_string();
    assert_eq!(error, "b1 was refused", "the first");
    assert!(
        run.prepare(5).len() > 3,
        "a checkpoint would keep the refused"
    );
    run.writer.close().unwrap();
}

#[test]
fn what_the_last_checkpoint_commits_is_made_to_last_before_the_job_has_ended() {
    let mut run = Run::of("none", true, true);
    run.write("a");
    run.writer.finish().unwrap();
    run.prepare(1);
    run.writer.commit(1).unwrap();
    run.writer.close().unwrap();
    assert_eq!(
        run.journal(),
        ["pre-commit 1 a", "commit a", "make it last "]
    );

    let mut run = Run::of("none", true, true);
    run.writer.close().unwrap();
    assert_eq!(run.journal(), [""; 0], "nothing was committed");
}

#[test]
fn checkpoint_that_waits_for_a_commit_and_the_writer_are_both_told_why_it_failed() {
    let tasks = CommitTasks::default();
    let mut commits = CommitQueue::new(&tasks.context(true));
    commits.send(|| panic!("the target is gone")).unwrap();
    let wait = commits.until_done().unwrap();
    assert_eq!(tasks.run(), [true]);
    for error in [commits.check().unwrap_err(), wait().unwrap_err()] {
        let message = error.to_string();
        assert_eq!(message, "a commit panicked: the target is gone");
    }
}
