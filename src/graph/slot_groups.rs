//! Slot sharing groups: which one each region of a graph is in.
//!
//! Flink's rule: an operator without a group of its own is in the group that its inputs have in common, else in the
//! default one. Here a region has one group as a whole, since operators that no exchange separates share a loop.

use std::sync::Arc;

use super::regions::regions;
use super::stream_graph::{Node, NodeId, NodeKind, StreamGraph};

/// The name of the group that operators are in by default.
const DEFAULT: &str = "default";

/// The group of every node.
#[derive(Debug)]
pub(super) struct SlotGroups {
    /// By node: the first node of its region.
    regions: Vec<usize>,
    /// By node, filled for the first nodes of regions.
    groups: Vec<Option<Arc<str>>>,
}

impl SlotGroups {
    pub(super) fn of(graph: &StreamGraph) -> Self {
        let mut groups = SlotGroups {
            regions: regions(graph, |node| matches!(node.kind, NodeKind::Exchange(_))),
            groups: vec![None; graph.nodes().len()],
        };
        for region in 0..graph.nodes().len() {
            if groups.regions[region] == region {
                groups.find(graph, region, &mut Vec::new());
            }
        }
        groups
    }

    /// The group of a node.
    pub(super) fn group(&self, id: NodeId) -> &Arc<str> {
        let group = self.groups[self.regions[id.index()]].as_ref();
        group.expect("found for every region")
    }

    /// Two different groups that were given to the region of `id`, if there are two.
    pub(super) fn conflict(&self, graph: &StreamGraph, id: NodeId) -> Option<[Arc<str>; 2]> {
        let mut given = self.roots(graph, self.regions[id.index()]);
        let first = given.find_map(Node::own_slot_group)?;
        let other = given
            .filter_map(Node::own_slot_group)
            .find(|other| *other != first)?;
        Some([Arc::clone(first), Arc::clone(other)])
    }

    fn roots<'a>(
        &'a self,
        graph: &'a StreamGraph,
        region: usize,
    ) -> impl Iterator<Item = &'a Node> {
        let is_root =
            |node: &&Node| matches!(node.kind, NodeKind::Source { .. } | NodeKind::Exchange(_));
        let own = move |node: &&Node| self.regions[node.id.index()] == region;
        graph.nodes().iter().filter(is_root).filter(own)
    }

    /// Finds the group of a region: the one that it was given, else the common one of the regions upstream. `open` are
    /// the regions that wait for this one: a region may be upstream of itself, by another way.
    fn find(&mut self, graph: &StreamGraph, region: usize, open: &mut Vec<usize>) -> Arc<str> {
        if let Some(group) = &self.groups[region] {
            return Arc::clone(group);
        }
        let roots: Vec<&Node> = self.roots(graph, region).collect();
        let given = roots.iter().find_map(|root| root.own_slot_group().cloned());
        let upstream: Vec<Option<usize>> = (roots.iter())
            .map(|root| root.inputs.first().map(|input| self.regions[input.index()]))
            .collect();
        open.push(region);
        let group = given.unwrap_or_else(|| {
            let mut common: Option<Arc<str>> = None;
            for region in upstream {
                let group = match region {
                    Some(region) if open.contains(&region) => continue,
                    Some(region) => self.find(graph, region, open),
                    None => DEFAULT.into(),
                };
                if common
                    .replace(Arc::clone(&group))
                    .is_some_and(|other| other != group)
                {
                    common = Some(DEFAULT.into());
                    break;
                }
            }
            common.unwrap_or_else(|| DEFAULT.into())
        });
        open.pop();
        self.groups[region] = Some(Arc::clone(&group));
        group
    }
}
