//! Regions: the parts of a graph that nothing separates.

use super::stream_graph::{Node, StreamGraph};

/// For each node the first one of its region, where the nodes that are `separate` are in another region than their
/// inputs, unless there is another way between the two.
pub(super) fn regions(graph: &StreamGraph, separate: impl Fn(&Node) -> bool) -> Vec<usize> {
    let mut parent: Vec<usize> = (0..graph.nodes().len()).collect();
    fn root(parent: &mut [usize], mut i: usize) -> usize {
        while parent[i] != i {
            parent[i] = parent[parent[i]];
            i = parent[i];
        }
        i
    }
    for node in graph.nodes().iter().filter(|node| !separate(node)) {
        for input in &node.inputs {
            let (a, b) = (
                root(&mut parent, node.id.index()),
                root(&mut parent, input.index()),
            );
            parent[a.max(b)] = a.min(b);
        }
    }
    (0..parent.len()).map(|i| root(&mut parent, i)).collect()
}
