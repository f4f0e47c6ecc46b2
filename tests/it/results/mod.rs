//! Results match those of a naive oracle, at every parallelism, on threads and in steps.

mod aligned_sources_keep_together;
mod archived_records_cross_exchanges;
mod broadcast_reaches_every_subtask;
mod chains_match_the_oracle;
mod connected_keys_meet;
mod forks_and_unions_keep_every_record;
mod full_rings_lose_nothing;
mod idle_subtasks_lose_nothing;
mod interval_joins_match_the_oracle;
mod joins_match_the_oracle;
mod keyed_results_match_the_oracle;
mod keys_behind_a_map_keep_their_order;
mod partitioners_place_records;
mod processing_time_ends_windows;
mod sessions_match_the_oracle;
mod side_outputs_get_their_records;
mod slot_sharing_groups_take_workers_of_their_own;
mod timers_fire_in_time;
mod two_phase_windows_match_the_oracle;
mod unbounded_joins_match_the_oracle;
mod watermarks_reach_every_subtask;
mod window_results_cross_exchanges;
mod windows_match_the_oracle;
mod windows_over_all_match_the_oracle;
