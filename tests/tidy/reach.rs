//! Every file is compiled: reached by `mod` from a root.

use std::collections::BTreeSet;

use super::Offences;
use crate::lexer::code_only;
use crate::tree::Tree;

/// The roots: the library, and every target's main file.
fn roots(tree: &Tree) -> Vec<String> {
    let is_root = |path: &str| {
        let below = |folder: &str| {
            path.strip_prefix(folder)
                .is_some_and(|rest| !rest.contains('/') || rest.ends_with("/main.rs"))
        };
        path == "src/lib.rs"
            || path == "src/main.rs"
            || below("src/bin/")
            || below("tests/")
            || below("benches/")
            || below("examples/")
    };
    tree.rust("")
        .map(|(path, _)| path.to_owned())
        .filter(|path| is_root(path))
        .collect()
}

/// Files that nothing refers to. Sources of compile-fail tests are named by a pattern, not by `mod`.
pub(crate) fn reached(tree: &Tree) -> Offences {
    let mut seen: BTreeSet<String> = BTreeSet::new();
    let mut open = roots(tree);
    while let Some(path) = open.pop() {
        let Some(text) = tree.file(&path) else {
            continue;
        };
        if seen.insert(path.clone()) {
            open.extend(children(&path, text));
        }
    }
    tree.rust("")
        .filter(|(path, _)| !seen.contains(*path) && !path.starts_with("tests/ui/"))
        .map(|(path, _)| format!("{path}: no `mod` names it"))
        .collect()
}

/// The possible files of the modules that `path` declares.
fn children(path: &str, text: &str) -> Vec<String> {
    let (folder, file) = path.rsplit_once('/').unwrap_or(("", path));
    let stem = file.trim_end_matches(".rs");
    let is_root_like = matches!(stem, "mod" | "lib" | "main")
        || (folder == "tests" || folder == "benches" || folder == "examples");
    let own = if is_root_like {
        folder.to_owned()
    } else {
        format!("{folder}/{stem}")
    };
    let code = code_only(text);
    let mut found = Vec::new();
    let mut given: Option<String> = None;
    for (line, code) in text.lines().zip(code.lines()) {
        // Attributes are partly blanked out in the code, so the line is read from the source itself.
        let attribute = code.trim_start().starts_with("#[path");
        if let Some(quoted) = attribute.then(|| line.split('"').nth(1)).flatten() {
            given = Some(format!("{folder}/{quoted}"));
        }
        let declared = code.trim().strip_suffix(';').and_then(|declaration| {
            let mut words = declaration.split_whitespace().rev();
            let name = words.next()?;
            (words.next() == Some("mod")).then_some(name)
        });
        if let Some(name) = declared {
            match given.take() {
                Some(path) => found.push(path),
                None => {
                    found.push(format!("{own}/{name}.rs"));
                    found.push(format!("{own}/{name}/mod.rs"));
                }
            }
        }
    }
    found
}
