//! The initial number of segments and groups of a table.

use super::segment::Segment;

/// The minimum number of groups in a segment.
const GROUPS_MIN: usize = 2;

/// The initial shape of a table.
pub(super) struct Shape {
    /// The groups of every segment, and those of a full-size one.
    pub(super) groups: usize,
    pub(super) groups_full: usize,
    /// How many top bits choose the segment.
    pub(super) depth: u32,
}

impl Shape {
    /// The shape for `expected` keys in this share of the hash space.
    pub(super) fn of<K, V>(expected: usize, share: f64) -> Self {
        let full = Segment::<K, V>::GROUPS_MAX;
        // How many the whole hash space would need if it were as full as this part of it.
        let groups = Segment::<K, V>::groups_for(expected as f64 / share);
        let even = |groups: f64| ((groups / 2.0).ceil() as usize * 2).clamp(GROUPS_MIN, full);
        if groups <= full as f64 {
            return Shape {
                groups: even(groups),
                groups_full: full,
                depth: 0,
            };
        }
        let depth = (groups / full as f64).log2().ceil() as u32;
        let groups = even(groups / (1u64 << depth) as f64);
        Shape {
            groups,
            groups_full: groups,
            depth,
        }
    }
}
