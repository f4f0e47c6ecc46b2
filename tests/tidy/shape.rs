//! The shape of files: length, names, `unsafe`, leftovers.

use super::Offences;
use crate::lexer::{code_only, functions, words};
use crate::tree::Tree;

const LINES_MAX: usize = 500;
const FUNCTION_LINES_MAX: usize = 70;

/// The only files that may contain `unsafe`; adding one is a decision, so it requires a change here.
const UNSAFE_FILES: &[&str] = &[
    "src/bin/thalweg/bench/cpu_time.rs",
    "src/checkpoint/storage/mapped_file.rs",
    "src/checkpoint/storage/sigbus.rs",
    "src/checkpoint/storage/sigbus_test.rs",
    "src/connectors/file/mapping.rs",
    "src/connectors/record_ring.rs",
    "src/datastream/pipe/two_input.rs",
    "src/operator/co_process_test.rs",
    "src/operator/on_stack.rs",
    "src/operator/port.rs",
    "src/operator/split.rs",
    "src/operator/stage.rs",
    "src/record/archived.rs",
    "src/record/compact_text.rs",
    "src/record/form.rs",
    "src/record/pod.rs",
    "src/record/raw.rs",
    "src/record/run/reader.rs",
    "src/record/run/tests.rs",
    "src/record/run/writer.rs",
    "src/record/short_bytes.rs",
    "src/ring/consumer.rs",
    "src/ring/memory.rs",
    "src/ring/producer.rs",
    "src/ring/run_producer.rs",
    "src/runtime/input_gate.rs",
    "src/runtime/runs.rs",
    "src/state/backend.rs",
    "src/state/log/chunk.rs",
    "src/state/log/record_log.rs",
    "src/state/prefetch.rs",
    "src/state/table/directory.rs",
    "src/state/table/entry.rs",
    "src/state/table/group.rs",
    "src/state/table/handle.rs",
    "src/state/table/iter.rs",
    "src/state/table/keyed.rs",
    "src/state/table/layout.rs",
    "src/state/table/memory.rs",
    "src/state/table/page.rs",
    "src/state/table/restore.rs",
    "src/state/table/scan.rs",
    "src/state/table/segment.rs",
    "src/state/table/upsert_run.rs",
    "src/state/table/way.rs",
    "tests/allocations.rs",
];

/// Names that say nothing about the contents of a file.
const BANNED_NAMES: &[&str] = &[
    "utils", "util", "common", "misc", "helpers", "helper", "types", "base", "core", "impl",
    "manager", "handler", "handy",
];

/// Files of more than 500 lines and functions of more than 70.
pub(crate) fn lengths(tree: &Tree) -> Offences {
    let mut offences = Vec::new();
    for (path, text) in tree.rust("") {
        let lines = text.lines().count();
        if lines > LINES_MAX {
            offences.push(format!("{path}: {lines} lines, over {LINES_MAX}"));
        }
        let long = functions(&code_only(text))
            .into_iter()
            .filter(|function| function.lines > FUNCTION_LINES_MAX);
        offences.extend(long.map(|function| {
            format!(
                "{path}:{}: `{}` has {} lines, over {FUNCTION_LINES_MAX}",
                function.line, function.name, function.lines
            )
        }));
    }
    offences
}

/// `unsafe` outside the listed files, or without a justification.
pub(crate) fn unsafe_code(tree: &Tree) -> Offences {
    let mut offences = Vec::new();
    for (path, text) in tree.rust("") {
        let code = code_only(text);
        let Some((line, _)) = words(&code).find(|(_, word)| *word == "unsafe") else {
            continue;
        };
        if !UNSAFE_FILES.contains(&path) {
            offences.push(format!("{path}:{line}: unsafe outside the list"));
            continue;
        }
        let flat: String = text.split_whitespace().collect();
        if !flat.contains("expect(unsafe_code,reason=") {
            offences.push(format!(
                "{path}: unsafe without `#![expect(unsafe_code, reason = …)]`"
            ));
        }
    }
    offences
}

/// Notes to self, placeholders, and commented-out code.
pub(crate) fn leftovers(tree: &Tree) -> Offences {
    let notes = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("XX", "X"),
    ];
    let macros = [
        concat!("to", "do!"),
        concat!("db", "g!"),
        concat!("unimpl", "emented!"),
    ];
    let mut offences = Vec::new();
    for (path, text) in tree.rust("") {
        let code = code_only(text);
        for (number, (line, code)) in (1..).zip(text.lines().zip(code.lines())) {
            let note = words(line).any(|(_, word)| notes.contains(&word));
            let placeholder = macros.iter().any(|name| code.contains(name));
            if note || placeholder || is_commented_out(line, code) {
                offences.push(format!("{path}:{number}: left over: {}", line.trim()));
            }
        }
    }
    offences
}

/// Whether the line is a comment that looks like a statement.
fn is_commented_out(line: &str, code: &str) -> bool {
    let Some(comment) = line.trim_start().strip_prefix("// ") else {
        return false;
    };
    let statement = ["let ", "use ", "mod ", "pub ", "fn ", "if ", "return"];
    let starts = statement.iter().any(|start| comment.starts_with(start));
    code.trim().is_empty() && comment.ends_with([';', '{']) && starts
}

/// Banned names of files and folders.
pub(crate) fn names(tree: &Tree) -> Offences {
    let banned = |path: &str| {
        let parts = path.trim_end_matches(".rs").split('/');
        parts.into_iter().any(|part| BANNED_NAMES.contains(&part))
    };
    tree.rust("")
        .filter(|(path, _)| banned(path))
        .map(|(path, _)| format!("{path}: the name says nothing"))
        .collect()
}

/// Paths specific to the author's machine.
pub(crate) fn machine_paths(tree: &Tree) -> Offences {
    let places = [
        concat!("/wo", "rk/"),
        concat!("/ro", "ot/"),
        concat!("/ho", "me/"),
    ];
    let mut offences = Vec::new();
    for (path, text) in tree.all() {
        for (number, line) in (1..).zip(text.lines()) {
            if places.iter().any(|place| line.contains(place)) {
                offences.push(format!("{path}:{number}: a path of one machine"));
            }
        }
    }
    offences
}
