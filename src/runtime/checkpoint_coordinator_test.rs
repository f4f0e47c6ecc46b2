//! The coordinator's rules, one by one.

use super::*;

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn settings() -> CheckpointSettings {
    CheckpointSettings {
        interval: Some(secs(10)),
        ..CheckpointSettings::default()
    }
}

/// Abbreviates actions: `t1w` a whole (full) checkpoint triggered, `o1` its barriers overtake, `w1` written, `c1`
/// complete, `a1` aborted, `f` the job failed.
fn shown(actions: &[Action]) -> String {
    let one = |action: &Action| match action {
        Action::Trigger(barrier, _) if barrier.options & Barrier::WHOLE != 0 => {
            format!("t{}w", barrier.checkpoint)
        }
        Action::Trigger(barrier, _) => format!("t{}", barrier.checkpoint),
        Action::Overtake(barrier) => format!("o{}", barrier.checkpoint),
        Action::Write { checkpoint, .. } => format!("w{checkpoint}"),
        Action::Complete { checkpoint, .. } => format!("c{checkpoint}"),
        Action::Abort { checkpoint, .. } => format!("a{checkpoint}"),
        Action::Fail(_) => "f".to_owned(),
    };
    actions.iter().map(one).collect::<Vec<_>>().join(" ")
}

fn part(place: usize) -> Part {
    Part {
        place,
        states: Vec::new(),
    }
}

/// Lets both subtasks hand over their parts.
fn collect(coordinator: &mut CheckpointCoordinator, checkpoint: u64) -> String {
    let first = coordinator.on_part(checkpoint, part(0));
    assert_eq!(shown(&first), "", "one part is missing");
    shown(&coordinator.on_part(checkpoint, part(1)))
}

#[test]
fn checkpoints_are_triggered_in_their_interval_and_complete_when_all_parts_are_written() {
    let mut coordinator = CheckpointCoordinator::new(settings(), 2, 1, secs(0));
    assert_eq!(coordinator.deadline(), Some(secs(10)));
    assert_eq!(shown(&coordinator.on_time(secs(9))), "");
    assert_eq!(shown(&coordinator.on_time(secs(10))), "t1w");
    assert_eq!(collect(&mut coordinator, 1), "w1");
    assert_eq!(shown(&coordinator.on_part(1, part(1))), "", "twice is once");
    assert_eq!(shown(&coordinator.on_written(1, Ok(()), secs(11))), "c1");
    assert_eq!(shown(&coordinator.on_time(secs(20))), "t2", "a delta");
}

#[test]
fn barriers_that_have_been_in_line_for_too_long_overtake_but_never_those_of_savepoints() {
    let settings = CheckpointSettings {
        unaligned_after: Some(secs(2)),
        ..settings()
    };
    let mut coordinator = CheckpointCoordinator::new(settings.clone(), 2, 1, secs(0));
    let triggered = coordinator.on_time(secs(10));
    assert!(matches!(triggered[..], [Action::Trigger(barrier, _)] if !barrier.overtakes()));
    assert_eq!(coordinator.deadline(), Some(secs(12)));
    let overtakes = coordinator.on_time(secs(12));
    assert!(matches!(overtakes[..], [Action::Overtake(barrier)] if barrier.overtakes()));
    assert_eq!(
        shown(&coordinator.on_time(secs(13))),
        "",
        "they are told once"
    );
    assert_eq!(collect(&mut coordinator, 1), "w1");
    assert_eq!(shown(&coordinator.on_written(1, Ok(()), secs(14))), "c1");
    assert_eq!(
        shown(&coordinator.on_request(Purpose::Savepoint, secs(15))),
        "t2"
    );
    assert_eq!(shown(&coordinator.on_time(secs(18))), "");

    let at_once = CheckpointSettings {
        unaligned_after: Some(Duration::ZERO),
        ..settings
    };
    let overtakes = |settings: &CheckpointSettings, purpose| {
        let mut coordinator = CheckpointCoordinator::new(settings.clone(), 2, 1, secs(0));
        let triggered = coordinator.on_request(purpose, secs(1));
        matches!(triggered[..], [Action::Trigger(barrier, _)] if barrier.overtakes())
    };
    assert!(overtakes(&at_once, Purpose::Asked));
    assert!(!overtakes(&at_once, Purpose::Savepoint));
    let at_least_once = CheckpointSettings {
        at_least_once: true,
        ..at_once
    };
    assert!(!overtakes(&at_least_once, Purpose::Asked));
}

#[test]
fn one_checkpoint_at_a_time_unless_more_are_allowed() {
    let mut coordinator = CheckpointCoordinator::new(settings(), 2, 1, secs(0));
    assert_eq!(shown(&coordinator.on_time(secs(10))), "t1w");
    assert_eq!(shown(&coordinator.on_time(secs(20))), "");
    assert_eq!(shown(&coordinator.on_request(Purpose::Asked, secs(21))), "");
    assert_eq!(shown(&coordinator.on_request(Purpose::Asked, secs(21))), "");
    assert_eq!(
        shown(&coordinator.on_request(Purpose::Savepoint, secs(22))),
        ""
    );
    assert_eq!(collect(&mut coordinator, 1), "w1");
    let actions = coordinator.on_written(1, Ok(()), secs(23));
    assert_eq!(shown(&actions), "c1 t2");
    assert_eq!(
        coordinator.pending[0].purpose,
        Purpose::Savepoint,
        "savepoints first"
    );
    assert_eq!(coordinator.waiting, [Purpose::Asked, Purpose::Periodic]);

    let two = CheckpointSettings {
        max_concurrent: 2,
        ..settings()
    };
    let mut coordinator = CheckpointCoordinator::new(two, 2, 1, secs(0));
    assert_eq!(shown(&coordinator.on_time(secs(10))), "t1w");
    assert_eq!(shown(&coordinator.on_time(secs(20))), "t2");
    assert_eq!(shown(&coordinator.on_time(secs(30))), "");

    for (at_least_once, unaligned_after) in [(false, Some(secs(60))), (true, None)] {
        let not_in_line = CheckpointSettings {
            max_concurrent: 2,
            at_least_once,
            unaligned_after,
            ..settings()
        };
        let mut coordinator = CheckpointCoordinator::new(not_in_line, 2, 1, secs(0));
        assert_eq!(shown(&coordinator.on_time(secs(10))), "t1w");
        assert_eq!(shown(&coordinator.on_time(secs(20))), "");
    }
}

#[test]
fn periodic_checkpoints_pause_and_others_do_not() {
    let pausing = CheckpointSettings {
        min_pause: secs(8),
        ..settings()
    };
    let mut coordinator = CheckpointCoordinator::new(pausing, 2, 1, secs(0));
    coordinator.on_time(secs(10));
    collect(&mut coordinator, 1);
    coordinator.on_written(1, Ok(()), secs(15));
    assert_eq!(shown(&coordinator.on_time(secs(20))), "");
    assert_eq!(coordinator.deadline(), Some(secs(23)));
    assert_eq!(
        shown(&coordinator.on_request(Purpose::Asked, secs(21))),
        "t2"
    );
}

#[test]
fn periodic_checkpoint_that_was_due_during_another_one_pauses_behind_it_too() {
    let pausing = CheckpointSettings {
        min_pause: secs(8),
        ..settings()
    };
    let mut coordinator = CheckpointCoordinator::new(pausing, 2, 1, secs(0));
    assert_eq!(shown(&coordinator.on_time(secs(10))), "t1w");
    assert_eq!(shown(&coordinator.on_time(secs(20))), "");
    collect(&mut coordinator, 1);
    assert_eq!(shown(&coordinator.on_written(1, Ok(()), secs(25))), "c1");
    assert_eq!(coordinator.deadline(), Some(secs(33)));
    assert_eq!(shown(&coordinator.on_time(secs(33))), "t2");
}

#[test]
fn periodic_checkpoints_come_again_when_the_job_goes_on_after_all() {
    let mut coordinator = CheckpointCoordinator::new(settings(), 2, 1, secs(0));
    coordinator.stop_periodic();
    assert_eq!(shown(&coordinator.on_time(secs(15))), "");
    coordinator.resume_periodic(secs(16));
    assert_eq!(shown(&coordinator.on_time(secs(25))), "");
    assert_eq!(shown(&coordinator.on_time(secs(26))), "t1w");
}

#[test]
fn checkpoint_expires_and_its_late_parts_are_of_no_use() {
    let short = CheckpointSettings {
        timeout: secs(5),
        tolerable_failures: 1,
        ..settings()
    };
    let mut coordinator = CheckpointCoordinator::new(short, 2, 1, secs(0));
    coordinator.on_time(secs(10));
    coordinator.on_part(1, part(0));
    assert_eq!(coordinator.deadline(), Some(secs(15)));
    assert_eq!(shown(&coordinator.on_time(secs(15))), "a1");
    assert_eq!(shown(&coordinator.on_part(1, part(1))), "");
    assert_eq!(
        shown(&coordinator.on_time(secs(20))),
        "t2w",
        "what 1 held is in no chain"
    );
    assert_eq!(collect(&mut coordinator, 2), "w2");
    assert_eq!(
        shown(&coordinator.on_time(secs(25))),
        "a2 f",
        "while it is written, too"
    );
    assert_eq!(shown(&coordinator.on_written(2, Ok(()), secs(26))), "");
    assert_eq!(shown(&coordinator.on_time(secs(30))), "t3w");
}

#[test]
fn checkpoints_that_fall_with_one_that_expires_are_one_failure() {
    let pair = CheckpointSettings {
        timeout: secs(5),
        tolerable_failures: 1,
        max_concurrent: 2,
        ..settings()
    };
    let mut coordinator = CheckpointCoordinator::new(pair, 2, 1, secs(0));
    coordinator.on_time(secs(10));
    coordinator.on_request(Purpose::Savepoint, secs(10));
    assert_eq!(coordinator.pending.len(), 2);
    assert_eq!(shown(&coordinator.on_time(secs(15))), "a1 a2");
}

#[test]
fn failures_count_until_one_succeeds() {
    let one = CheckpointSettings {
        tolerable_failures: 1,
        ..settings()
    };
    let mut coordinator = CheckpointCoordinator::new(one, 2, 1, secs(0));
    coordinator.on_time(secs(10));
    assert_eq!(shown(&coordinator.on_decline(1, "busy", secs(11))), "a1");
    assert_eq!(
        shown(&coordinator.on_decline(1, "busy", secs(11))),
        "",
        "each counts once"
    );
    coordinator.on_time(secs(20));
    collect(&mut coordinator, 2);
    assert_eq!(shown(&coordinator.on_written(2, Ok(()), secs(21))), "c2");
    coordinator.on_time(secs(30));
    collect(&mut coordinator, 3);
    let full = || Err("no space".to_owned());
    assert_eq!(shown(&coordinator.on_written(3, full(), secs(31))), "a3");
    coordinator.on_time(secs(40));
    collect(&mut coordinator, 4);
    assert_eq!(shown(&coordinator.on_written(4, full(), secs(41))), "a4 f");
}

#[test]
fn deltas_fall_with_what_they_stand_on() {
    let many = CheckpointSettings {
        max_concurrent: 3,
        tolerable_failures: 9,
        ..settings()
    };
    let mut coordinator = CheckpointCoordinator::new(many, 2, 5, secs(0));
    for at in [10, 20, 30] {
        coordinator.on_time(secs(at));
    }
    let parents: Vec<_> = coordinator.pending.iter().map(|p| p.parent).collect();
    assert_eq!(parents, [None, Some(5), Some(6)]);
    assert_eq!(shown(&coordinator.on_decline(6, "busy", secs(31))), "a6 a7");
    assert_eq!(collect(&mut coordinator, 5), "w5");
    assert_eq!(shown(&coordinator.on_time(secs(40))), "t8w");
}
