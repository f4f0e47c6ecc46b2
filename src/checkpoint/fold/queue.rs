//! A finished fold that waits for the next checkpoint.

use std::collections::BTreeMap;

use crate::checkpoint::manifest::{Chain, Link, Manifest, SegmentInfo};
use crate::checkpoint::piece::StateRef;
use crate::checkpoint::store::Pin;
use crate::seeded_bugs::seeded;

/// Chains that were folded into one segment.
#[derive(Debug)]
pub struct Folded {
    /// None if nothing is left of any chain.
    pub(super) info: Option<SegmentInfo>,
    pub(super) chains: BTreeMap<(StateRef, u32), FoldedChain>,
    /// Keeps the folded chains' segments until the fold is in use or abandoned.
    pub(super) _pin: Pin,
}

/// The first links of a chain, and the single link that replaces them.
#[derive(Debug)]
pub(super) struct FoldedChain {
    pub(super) segments: Vec<u64>,
    /// None if nothing is left.
    pub(super) link: Option<Link>,
}

/// Holds the fold that no complete checkpoint names yet.
#[derive(Debug, Default)]
pub(in crate::checkpoint) struct FoldQueue {
    attached: Option<Folded>,
}

impl FoldQueue {
    /// Accepts a fold. Returns the segment number of a previous fold that was never used.
    pub(in crate::checkpoint) fn attach(&mut self, folded: Folded) -> Option<u64> {
        let before = self.attached.replace(folded)?;
        before.info.map(|info| info.number)
    }

    /// The folded segment.
    pub(in crate::checkpoint) fn segment(&self) -> Option<SegmentInfo> {
        self.attached.as_ref()?.info
    }

    /// The chain with its first links replaced by the folded one, if they are still the same.
    pub(in crate::checkpoint) fn fold_chain(
        &self,
        state: &StateRef,
        subtask: u32,
        chain: &Chain,
    ) -> Chain {
        let of = (state.clone(), subtask);
        let folded = self
            .attached
            .as_ref()
            .and_then(|folded| folded.chains.get(&of));
        let Some(folded) = folded else {
            return chain.clone();
        };
        let segments = chain.iter().map(|link| link.segment);
        let begins_so = folded
            .segments
            .iter()
            .copied()
            .eq(segments.take(folded.segments.len()));
        if !begins_so {
            return chain.clone();
        }
        let lost = usize::from(seeded("delta-lost-behind-fold"));
        let rest = &chain[(folded.segments.len() + lost).min(chain.len())..];
        folded.link.iter().chain(rest).copied().collect()
    }

    /// Called when a checkpoint completes: a segment that it names is now in use; one that it does not name never will
    /// be. Returns the number of the latter.
    pub(in crate::checkpoint) fn settle(&mut self, manifest: &Manifest) -> Option<u64> {
        let number = self.attached.take()?.info?.number;
        manifest.segment(number).is_none().then_some(number)
    }
}
