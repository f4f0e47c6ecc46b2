//! What has been folded and waits for the next checkpoint.

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
    /// What was folded stays until what came of it is in use or given up.
    pub(super) _pin: Pin,
}

/// The first links of a chain, and the one that is the same.
#[derive(Debug)]
pub(super) struct FoldedChain {
    pub(super) segments: Vec<u64>,
    /// None if nothing is left.
    pub(super) link: Option<Link>,
}

/// The fold that no complete checkpoint names yet.
#[derive(Debug, Default)]
pub(in crate::checkpoint) struct FoldQueue {
    attached: Option<Folded>,
}

impl FoldQueue {
    /// Takes a fold. Returns the number of the segment of one that waited in vain.
    pub(in crate::checkpoint) fn attach(&mut self, folded: Folded) -> Option<u64> {
        let before = self.attached.replace(folded)?;
        before.info.map(|info| info.number)
    }

    /// The folded segment.
    pub(in crate::checkpoint) fn segment(&self) -> Option<SegmentInfo> {
        self.attached.as_ref()?.info
    }

    /// The chain with its first links folded, if they are those that were.
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

    /// A checkpoint is complete: what it names is in use, and what it does not name will not be. Returns the
    /// number of the latter.
    pub(in crate::checkpoint) fn settle(&mut self, manifest: &Manifest) -> Option<u64> {
        let number = self.attached.take()?.info?.number;
        manifest.segment(number).is_none().then_some(number)
    }
}
