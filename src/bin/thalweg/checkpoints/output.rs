//! The findings, as tables for people and as JSON objects for programs.

use std::fmt::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use thalweg::checkpoint::inspect::{Listed, StateDifference, Verified};
use thalweg::checkpoint::{Chain, CheckpointError, Manifest, ManifestState};
use thalweg::state::TypeLayout;

use crate::duration::{shown, shown_long};
use crate::format::Format;
use crate::number::{bytes, counted, grouped};
use crate::table::table;

/// All checkpoints of a directory.
pub(super) struct Listing<'a>(pub(super) &'a [Listed]);

/// One checkpoint.
pub(super) struct Inspection<'a>(pub(super) &'a Manifest);

/// The result of a verification.
pub(super) struct Verification<'a>(pub(super) &'a [(u64, Result<Verified, CheckpointError>)]);

/// How the second of two checkpoints differs from the first.
pub(super) struct Comparison<'a>(
    pub(super) u64,
    pub(super) u64,
    pub(super) &'a [StateDifference],
);

/// One object, terminated by a newline.
fn line(value: &Value) -> String {
    format!("{value}\n")
}

/// The time elapsed since then.
fn age(at_ms: u64) -> Duration {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.unwrap_or_default();
    now.saturating_sub(Duration::from_millis(at_ms))
}

fn took(manifest: &Manifest) -> String {
    shown_millis(manifest.completed_ms.saturating_sub(manifest.started_ms))
}

/// A duration that is known to the millisecond.
fn shown_millis(millis: u64) -> String {
    match millis {
        0 => "< 1 ms".to_owned(),
        1..1000 => format!("{millis} ms"),
        _ => shown(Duration::from_millis(millis)),
    }
}

fn kind(manifest: &Manifest) -> &'static str {
    if manifest.is_savepoint {
        "savepoint"
    } else {
        "checkpoint"
    }
}

/// The summary of a checkpoint as a whole.
fn summary(manifest: &Manifest) -> Value {
    json!({
        "checkpoint": manifest.checkpoint,
        "savepoint": manifest.is_savepoint,
        "started_ms": manifest.started_ms,
        "completed_ms": manifest.completed_ms,
        "age_ms": age(manifest.completed_ms).as_millis() as u64,
        "operators": manifest.operators.len(),
        "states": manifest.states.len(),
        "entries": manifest.entries(),
        "bytes": manifest.bytes(),
        "segments": manifest.segments.len(),
        "file_bytes": file_bytes(manifest),
        "max_parallelism": manifest.max_parallelism.get(),
    })
}

fn file_bytes(manifest: &Manifest) -> u64 {
    let lengths = manifest.segments.iter().map(|segment| segment.length);
    lengths.fold(0, u64::saturating_add)
}

impl Listing<'_> {
    pub(super) fn text_or_json(&self, format: Format) -> String {
        let Listing(listed) = self;
        if format == Format::Json {
            let checkpoints = listed.iter().map(|listed| match &listed.manifest {
                Ok(manifest) => summary(manifest),
                Err(error) => {
                    json!({"checkpoint": listed.checkpoint, "error": error.to_string()})
                }
            });
            return line(&json!({"checkpoints": checkpoints.collect::<Vec<_>>()}));
        }
        let usable = listed
            .iter()
            .filter_map(|listed| listed.manifest.as_ref().ok());
        let rows = usable.map(|manifest| {
            [
                manifest.checkpoint.to_string(),
                kind(manifest).to_owned(),
                shown_long(age(manifest.completed_ms)),
                took(manifest),
                grouped(manifest.operators.len() as u64),
                grouped(manifest.states.len() as u64),
                grouped(manifest.entries()),
                bytes(manifest.bytes()),
                grouped(manifest.segments.len() as u64),
            ]
        });
        let header = [
            "checkpoint",
            "taken as",
            "age",
            "took",
            "operators",
            "states",
            "entries",
            "bytes",
            "segments",
        ];
        let mut text = table(header, 2.., rows);
        for listed in listed.iter() {
            if let Err(error) = &listed.manifest {
                // Writing to memory cannot fail.
                let _ = writeln!(
                    text,
                    "checkpoint {} cannot be used: {error}",
                    listed.checkpoint
                );
            }
        }
        text
    }
}

impl Inspection<'_> {
    pub(super) fn text_or_json(&self, format: Format) -> String {
        match format {
            Format::Json => line(&self.json()),
            Format::Text => self.text(),
        }
    }

    fn json(&self) -> Value {
        let Inspection(manifest) = self;
        let operators = manifest.operators.iter().map(|operator| {
            let own = manifest
                .states
                .iter()
                .filter(|(state, _)| state.operator == operator.uid);
            let states = own.map(|(state, entry)| {
                let length = longest(entry).len();
                json!({
                    "state": &*state.state,
                    "kind": entry.schema.kind.to_string(),
                    "key": type_json(&entry.schema.key),
                    "value": type_json(&entry.schema.value),
                    "entries": entry.entries(),
                    "bytes": entry.bytes(),
                    "subtasks": entry.chains.len(),
                    "chain_length": length,
                    "segments": segments(entry),
                })
            });
            json!({
                "uid": &*operator.uid,
                "parallelism": operator.parallelism,
                "max_parallelism": operator.max_parallelism,
                "states": states.collect::<Vec<_>>(),
            })
        });
        let files = manifest.segments.iter().map(|segment| {
            json!({
                "segment": segment.number,
                "checkpoint": segment.checkpoint,
                "bytes": segment.length,
            })
        });
        let mut object = summary(manifest);
        object["operators"] = Value::from(operators.collect::<Vec<_>>());
        object["segments"] = Value::from(files.collect::<Vec<_>>());
        object
    }

    fn text(&self) -> String {
        let Inspection(manifest) = self;
        let mut text = format!(
            "{} {}: taken {} ago in {}, {} key groups, {} of {}\n",
            kind(manifest),
            manifest.checkpoint,
            shown_long(age(manifest.completed_ms)),
            took(manifest),
            manifest.max_parallelism.get(),
            counted(manifest.segments.len() as u64, "segment"),
            bytes(file_bytes(manifest)),
        );
        for operator in &manifest.operators {
            // Writing to memory cannot fail.
            let _ = writeln!(
                text,
                "\n{} (parallelism {})",
                operator.uid, operator.parallelism
            );
            let own = manifest
                .states
                .iter()
                .filter(|(state, _)| state.operator == operator.uid);
            let rows = own.map(|(state, entry)| {
                [
                    state.state.to_string(),
                    entry.schema.kind.to_string(),
                    type_name(&entry.schema.key),
                    type_name(&entry.schema.value),
                    grouped(entry.entries()),
                    bytes(entry.bytes()),
                    longest(entry).len().to_string(),
                    segments(entry).len().to_string(),
                ]
            });
            let header = [
                "state", "kind", "key", "value", "entries", "bytes", "chain", "segments",
            ];
            text += &table(header, 4.., rows);
        }
        text
    }
}

/// The longest chain among a state's subtasks.
fn longest(state: &ManifestState) -> &[thalweg::checkpoint::Link] {
    let chains = state.chains.values().map(Chain::as_slice);
    chains.max_by_key(|chain| chain.len()).unwrap_or_default()
}

/// The numbers of the segments that contain a state.
fn segments(state: &ManifestState) -> Vec<u64> {
    let links = state.chains.values().flatten();
    let mut segments: Vec<u64> = links.map(|link| link.segment).collect();
    segments.sort_unstable();
    segments.dedup();
    segments
}

fn type_json(layout: &TypeLayout) -> Value {
    json!({"type": &*layout.name, "bytes": layout.length, "version": layout.version})
}

/// The name of a type without module paths.
fn type_name(layout: &TypeLayout) -> String {
    let mut short = String::new();
    let mut word = String::new();
    for letter in layout.name.chars() {
        match letter {
            ':' => word.clear(),
            letter if letter.is_alphanumeric() || letter == '_' => word.push(letter),
            other => {
                short += &word;
                word.clear();
                short.push(other);
            }
        }
    }
    short + &word
}

impl Verification<'_> {
    pub(super) fn text_or_json(&self, format: Format) -> String {
        let Verification(all) = self;
        if format == Format::Json {
            let all = all.iter().map(|(checkpoint, result)| match result {
                Ok(verified) => json!({
                    "checkpoint": checkpoint,
                    "intact": true,
                    "segments": verified.segments,
                    "blocks": verified.blocks,
                    "bytes": verified.bytes,
                }),
                Err(error) => json!({
                    "checkpoint": checkpoint,
                    "intact": false,
                    "error": error.to_string(),
                }),
            });
            return line(&json!({"checkpoints": all.collect::<Vec<_>>()}));
        }
        let lines = all.iter().map(|(checkpoint, result)| match result {
            Ok(verified) => format!(
                "checkpoint {checkpoint} is intact: {} in {}, {}\n",
                counted(verified.blocks, "block"),
                counted(verified.segments, "segment"),
                bytes(verified.bytes),
            ),
            Err(error) => format!("checkpoint {checkpoint} cannot be used: {error}\n"),
        });
        lines.collect()
    }
}

impl Comparison<'_> {
    pub(super) fn text_or_json(&self, format: Format) -> String {
        let Comparison(first, second, states) = self;
        if format == Format::Json {
            let states = states.iter().map(|difference| {
                json!({
                    "operator": &*difference.state.operator,
                    "state": &*difference.state.state,
                    "other_type": difference.is_other,
                    "added": difference.added,
                    "removed": difference.removed,
                    "changed": difference.changed,
                    "unchanged": difference.unchanged,
                })
            });
            let states: Vec<_> = states.collect();
            return line(&json!({"first": first, "second": second, "states": states}));
        }
        let rows = states.iter().map(|difference| {
            let other = if difference.is_other {
                " (another type)"
            } else {
                ""
            };
            [
                difference.state.operator.to_string(),
                format!("{}{other}", difference.state.state),
                grouped(difference.added),
                grouped(difference.removed),
                grouped(difference.changed),
                grouped(difference.unchanged),
            ]
        });
        let header = [
            "operator",
            "state",
            "added",
            "removed",
            "changed",
            "unchanged",
        ];
        format!(
            "from checkpoint {first} to {second}\n\n{}",
            table(header, 2.., rows)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_in_milliseconds_is_shown_no_finer_than_it_is_known() {
        let cases = [
            (0, "< 1 ms"),
            (1, "1 ms"),
            (14, "14 ms"),
            (999, "999 ms"),
            (1_250, "1.25 s"),
        ];
        for (millis, text) in cases {
            assert_eq!(shown_millis(millis), text);
        }
    }

    #[test]
    fn types_are_shown_without_the_paths_of_their_modules() {
        let layout = |name: &str| TypeLayout {
            name: name.into(),
            length: None,
            shape: 0,
            version: 0,
        };
        let cases = [
            ("u64", "u64"),
            ("alloc::vec::Vec<u8>", "Vec<u8>"),
            (
                "(my::Key, [core::option::Option<a::B>; 4])",
                "(Key, [Option<B>; 4])",
            ),
        ];
        for (name, short) in cases {
            assert_eq!(type_name(&layout(name)), short);
        }
    }
}
