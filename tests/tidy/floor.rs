//! Floors: a module names only itself and modules of floors below.

use super::Offences;
use crate::lexer::code_only;
use crate::tree::Tree;

/// The floors of `src/`, from the ground up.
const FLOORS: &[&str] = &[
    "seeded_bugs",
    "metrics",
    "time",
    "record",
    "ring",
    "state",
    "checkpoint",
    "operator",
    "graph",
    "runtime",
    "datastream",
    "connectors",
    "prelude",
    "testing",
    "lib",
];

/// Floors that may name only some of the floors below.
const NARROW: &[(&str, &[&str])] = &[(
    "connectors",
    &[
        "seeded_bugs",
        "record",
        "ring",
        "time",
        "metrics",
        "operator",
        "state",
        "checkpoint",
    ],
)];

fn floor_of(name: &str) -> Option<usize> {
    FLOORS.iter().position(|floor| *floor == name)
}

/// References to higher floors or through the root, and folders on no floor.
pub(crate) fn floors(tree: &Tree) -> Offences {
    let mut offences = Vec::new();
    let library = tree
        .rust("src/")
        .filter(|(path, _)| !path.starts_with("src/bin/"));
    for (path, text) in library {
        let inside = path.strip_prefix("src/").expect("a file of `src`");
        let top = inside.split('/').next().expect("a path has a part");
        let top = top.trim_end_matches(".rs");
        let Some(floor) = floor_of(top) else {
            offences.push(format!("{path}: `{top}` is on no floor"));
            continue;
        };
        let code = code_only(text);
        offences.extend(climbs(path, inside, &code));
        for (line, name) in named_floors(&code) {
            let may = NARROW.iter().find(|(floor, _)| *floor == top);
            let place = format!("{path}:{line}");
            match floor_of(&name) {
                _ if name == top => {}
                None => offences.push(format!(
                    "{place}: `crate::{name}`: import it from its own floor"
                )),
                Some(other) if other > floor => {
                    offences.push(format!("{place}: {top} names {name}, a floor above"));
                }
                Some(_) if may.is_some_and(|(_, names)| !names.contains(&&*name)) => {
                    offences.push(format!("{place}: {top} may not name {name}"));
                }
                Some(_) => {}
            }
        }
    }
    offences
}

/// Every floor that `code` names after `crate::`, with its line; groups may be nested and span lines.
fn named_floors(code: &str) -> Vec<(usize, String)> {
    let mut named = Vec::new();
    for (at, found) in code.match_indices("crate::") {
        let (mut depth, mut name, mut open) = (0, String::new(), true);
        for (offset, c) in code[at + found.len()..].char_indices() {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                c if c.is_alphanumeric() || c == '_' => {
                    if open && depth <= 1 {
                        name.push(c);
                    }
                    continue;
                }
                _ => {}
            }
            if !name.is_empty() {
                let line = code[..at + found.len() + offset].matches('\n').count() + 1;
                named.push((line, std::mem::take(&mut name)));
                open = false;
            }
            if depth <= 0 {
                break;
            }
            // A comma at the outermost brace starts the next name of the group.
            open |= c == ',' && depth == 1;
        }
    }
    // Macros of this crate use `$crate::`, which is the same root.
    named
}

/// Finds `super::super::…` paths that leave the floor.
fn climbs(path: &str, inside: &str, code: &str) -> Offences {
    let parts = inside.trim_end_matches("/mod.rs").split('/').count();
    let mut offences = Vec::new();
    for (number, line) in (1..).zip(code.lines()) {
        let climbs = line.matches("super::").count();
        let chained = (1..=climbs)
            .rev()
            .find(|n| line.contains(&"super::".repeat(*n)));
        // Indented code may be inside an inline module of the file.
        let inline = usize::from(line.starts_with(' '));
        if chained.unwrap_or(0) > parts - 1 + inline {
            offences.push(format!("{path}:{number}: `super` climbs out of the floor"));
        }
    }
    offences
}

#[test]
fn groups_of_names_are_seen() {
    let names = |text| -> Vec<String> {
        let named = named_floors(&code_only(text));
        named.into_iter().map(|(_, name)| name).collect()
    };
    assert_eq!(names("use crate::ring;"), ["ring"]);
    assert_eq!(names("use crate::ring::{Producer, Consumer};"), ["ring"]);
    let nested = "use crate::{\n    record::{Frame, Header},\n    state,\n    ring::Producer,\n};";
    assert_eq!(names(nested), ["record", "state", "ring"]);
    let inline = "// crate::runtime\nlet x = crate::time::now() + $crate::ring::LEN;";
    assert_eq!(names(inline), ["time", "ring"]);
}
