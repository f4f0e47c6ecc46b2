//! Jobs resume from checkpoints: after a crash, after a failure, from a savepoint, at another parallelism.

mod accepted_records_are_there_once;
mod barriers_overtake;
mod changed_edges_are_refused;
mod checkpoints_overlap;
mod commits_are_done_elsewhere;
mod copies_fail;
mod crashes_lose_and_double_nothing;
mod damaged_checkpoints_are_passed_over;
mod failed_jobs_start_again;
mod files_are_read_and_written_once;
mod killed;
mod ledger;
mod output_disk;
mod overtaken_branches_meet_again;
mod power_loss_loses_and_doubles_nothing;
mod savepoints_are_gone_on_from;
mod stalled;
mod windows_are_gone_on_with;
