//! The life of a job: how it starts, fails, is cancelled and ends.

mod cancelled_jobs_close_everything;
mod failures_fail_the_job_only;
mod graphs_are_checked_first;
mod nothing_runs_before_it_must;
mod probe;
mod steppers_say_what_is_left;
