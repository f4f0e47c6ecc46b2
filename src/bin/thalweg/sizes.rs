//! The sizes of generated inputs, kept beside them: a file of whole records does not show that it was cut off, or holds
//! records of another kind.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fs, io};

/// The hidden file of a directory of inputs that holds their sizes, a line `name bytes` each.
const NAME: &str = ".sizes";

/// Keeps the sizes of `files`, beside those kept of others.
///
/// # Errors
/// If they cannot be written.
pub(crate) fn keep<'a>(
    directory: &Path,
    files: impl IntoIterator<Item = (&'a str, u64)>,
) -> io::Result<()> {
    let mut sizes = load(directory);
    sizes.extend(
        files
            .into_iter()
            .map(|(name, size)| (name.to_owned(), size)),
    );
    let lines = sizes.iter().map(|(name, size)| format!("{name} {size}\n"));
    let aside = directory.join(format!("{NAME}.partial"));
    fs::write(&aside, lines.collect::<String>())?;
    fs::rename(aside, directory.join(NAME))
}

/// Says what is wrong with the size of a generated file, if that was kept.
pub(crate) fn wrong(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_str()?;
    let kept = *load(path.parent()?).get(name)?;
    let found = fs::metadata(path).ok()?.len();
    (found != kept).then(|| {
        format!("has {found} bytes, and had {kept} when it was generated: it was cut off, or is another file")
    })
}

fn load(directory: &Path) -> BTreeMap<String, u64> {
    let file: PathBuf = directory.join(NAME);
    let text = fs::read_to_string(file).unwrap_or_default();
    let sizes = text.lines().filter_map(|line| line.rsplit_once(' '));
    sizes
        .filter_map(|(name, size)| Some((name.to_owned(), size.parse().ok()?)))
        .collect()
}
