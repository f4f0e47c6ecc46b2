//! Wiring: to which subtasks downstream of an exchange a sender has channels.

use crate::graph::Partitioning;

/// The receivers of `sender` (of `senders`), in the order of its channels.
///
/// Pointwise exchanges follow Flink's `EdgeManagerBuildUtil`: with S senders and T receivers, S ≥ T
/// gives receiver *i* the senders from ⌊iS/T⌋ to ⌊(i+1)S/T⌋ − 1, and S < T gives sender *p* the
/// receivers from ⌈pT/S⌉ to ⌈(p+1)T/S⌉ − 1. All other exchanges are all-to-all.
pub(crate) fn channels(
    partitioning: Partitioning,
    sender: u32,
    senders: u32,
    receivers: u32,
) -> Vec<u32> {
    match partitioning {
        Partitioning::Forward | Partitioning::Rescale if senders >= receivers => (0..receivers)
            .filter(|i| (i * senders / receivers..(i + 1) * senders / receivers).contains(&sender))
            .collect(),
        Partitioning::Forward | Partitioning::Rescale => {
            let bound = |p: u32| (p * receivers).div_ceil(senders);
            (bound(sender)..bound(sender + 1)).collect()
        }
        _ => (0..receivers).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_receiver_has_a_sender_and_every_sender_a_receiver() {
        for (senders, receivers) in [(1, 1), (1, 4), (4, 1), (2, 3), (3, 2), (4, 6), (7, 3)] {
            let wired: Vec<Vec<u32>> = (0..senders)
                .map(|sender| channels(Partitioning::Rescale, sender, senders, receivers))
                .collect();
            assert!(wired.iter().all(|receivers| !receivers.is_empty()));
            let mut reached: Vec<u32> = wired.concat();
            reached.sort_unstable();
            reached.dedup();
            assert_eq!(
                reached.len(),
                receivers as usize,
                "{senders} to {receivers}"
            );
        }
    }

    #[test]
    fn pointwise_wiring_is_flinks() {
        let wired = |s, t| -> Vec<Vec<u32>> {
            (0..s)
                .map(|sender| channels(Partitioning::Rescale, sender, s, t))
                .collect()
        };
        assert_eq!(wired(2, 4), [vec![0, 1], vec![2, 3]]);
        assert_eq!(wired(4, 2), [vec![0], vec![0], vec![1], vec![1]]);
        assert_eq!(wired(2, 3), [vec![0, 1], vec![2]]);
        assert_eq!(wired(3, 2), [vec![0], vec![1], vec![1]]);
    }
}
