//! The names of part files, and which of the hidden ones will never be committed.

use crate::checkpoint::Restored;
use crate::operator::Checkpointing;

/// The last components of hidden names.
pub(super) const IN_PROGRESS: &str = "inprogress";
pub(super) const PENDING: &str = "pending";

/// The subtask, number and hidden state encoded in a part file's name.
pub(super) fn parse(name: &str) -> Option<(u32, u64, Option<&str>)> {
    let hidden = name.strip_prefix('.');
    let rest = hidden.unwrap_or(name).strip_prefix("part-")?;
    let (subtask, rest) = rest.split_once('-')?;
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let (number, rest) = rest.split_at(digits);
    let state = hidden.and(rest.rsplit('.').next());
    Some((subtask.parse().ok()?, number.parse().ok()?, state))
}

/// How the name of a pending part file says which checkpoint has it.
pub(super) fn label(checkpoint: u64, directory: Option<u64>) -> String {
    match directory {
        Some(directory) => format!("{checkpoint}-{directory:016x}"),
        None => checkpoint.to_string(),
    }
}

/// Decodes what [`label`] wrote.
fn parse_label(label: &str) -> Option<(u64, Option<u64>)> {
    let Some((checkpoint, directory)) = label.split_once('-') else {
        return Some((label.parse().ok()?, None));
    };
    let directory = u64::from_str_radix(directory, 16).ok()?;
    Some((checkpoint.parse().ok()?, Some(directory)))
}

/// Whether a hidden part file will never be committed: it was still being written, or it was complete for a
/// checkpoint of this job's directory that never completed or is newer than the restored one. A part file that a
/// checkpoint of another run may refer to is kept, even if the job does not resume from that checkpoint: one that
/// completed in this directory before, or any of another directory, whose numbers say nothing about this one's.
pub(super) fn is_left(name: &str, state: &str, checkpointing: &Checkpointing) -> bool {
    let checkpoint = name.rsplit('.').nth(1).and_then(parse_label);
    let restored = checkpointing.restored.as_ref().map(Restored::checkpoint);
    match (state, checkpoint) {
        (IN_PROGRESS, _) => true,
        // It was to become visible at the end of a job without checkpoints.
        (PENDING, Some((0, _))) => true,
        (PENDING, Some((checkpoint, directory))) => {
            let is_own = checkpointing.enabled
                && directory == checkpointing.directory
                && checkpoint >= checkpointing.first;
            is_own && restored.is_none_or(|restored| checkpoint > restored)
        }
        _ => false,
    }
}
