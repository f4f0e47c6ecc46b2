//! The repository as text.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Files by path, with slashes, relative to the root.
#[derive(Debug)]
pub(crate) struct Tree {
    files: BTreeMap<String, String>,
}

impl Tree {
    /// The files of this repository that the rules apply to.
    pub(crate) fn of_this_repository() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut files = BTreeMap::new();
        for top in ["src", "tests", "benches", "examples", "docs", ".ci"] {
            read(root, &root.join(top), &mut files);
        }
        let documents = fs::read_dir(root).expect("the repository is readable");
        for entry in documents.map(|entry| entry.expect("readable").path()) {
            // A worktree's `.git` is a file, and not part of the tree.
            if entry.is_file() && !entry.ends_with(".git") {
                read_file(root, &entry, &mut files);
            }
        }
        assert!(files.contains_key("src/lib.rs"), "the tree was not found");
        Tree { files }
    }

    /// An artificial tree.
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        let owned = |(path, text): &(&str, &str)| ((*path).to_owned(), (*text).to_owned());
        Tree {
            files: files.iter().map(owned).collect(),
        }
    }

    /// Every file.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files.iter().map(|(path, text)| (&**path, &**text))
    }

    /// Every Rust file below `folder`.
    pub(crate) fn rust<'a>(&'a self, folder: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.all()
            .filter(move |(path, _)| path.starts_with(folder) && path.ends_with(".rs"))
    }

    /// One file.
    pub(crate) fn file(&self, path: &str) -> Option<&str> {
        self.files.get(path).map(String::as_str)
    }
}

fn read(root: &Path, folder: &Path, files: &mut BTreeMap<String, String>) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for path in entries.map(|entry| entry.expect("readable").path()) {
        if path.is_dir() {
            read(root, &path, files);
        } else {
            read_file(root, &path, files);
        }
    }
}

/// Adds a file unless it is not text.
fn read_file(root: &Path, path: &Path, files: &mut BTreeMap<String, String>) {
    let inside = path.strip_prefix(root).expect("below the root");
    let parts: Vec<_> = inside
        .iter()
        .map(|part| part.to_string_lossy().into_owned())
        .collect();
    if let Ok(text) = fs::read_to_string(path) {
        files.insert(parts.join("/"), text);
    }
}
