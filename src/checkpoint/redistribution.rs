//! Redistribution of non-keyed state when the parallelism changes.

use crate::seeded_bugs::seeded;

/// One subtask's share of redistributed values: its own if the parallelism is unchanged, otherwise a contiguous share
/// of all of them in the order of the old subtasks, the first remainders one longer (Flink's
/// `RoundRobinOperatorStateRepartitioner`, for one state).
#[must_use]
pub fn share<T>(values: Vec<Vec<T>>, index: u32, parallelism: u32) -> Vec<T> {
    share_from(0, values, index, parallelism)
}

/// As [`share`], starting with the subtask `first`: with several states, each begins where the longer shares of the
/// previous one ended, so that no subtask gets all of the remainders.
#[must_use]
pub fn share_from<T>(first: u32, mut values: Vec<Vec<T>>, index: u32, parallelism: u32) -> Vec<T> {
    if values.len() == parallelism as usize {
        return values.swap_remove(index as usize);
    }
    let index = (index + parallelism - first % parallelism) % parallelism;
    let (index, parallelism) = (index as usize, parallelism as usize);
    let total = values.iter().map(Vec::len).sum::<usize>();
    let (each, more) = (total / parallelism, total % parallelism);
    let start = index * each + index.min(more);
    let count = each + usize::from(index < more && !seeded("list-remainder-lost"));
    values
        .into_iter()
        .flatten()
        .skip(start)
        .take(count)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_dealt_from_a_subtask_on() {
        let values = vec![vec![1, 2, 3, 4]];
        let shares = |first| (0..3).map(move |i| (first, i));
        let share = |(first, index)| share_from(first, values.clone(), index, 3);
        assert_eq!(
            shares(2).map(share).collect::<Vec<_>>(),
            [vec![3], vec![4], vec![1, 2]]
        );
    }

    #[test]
    fn every_value_has_one_owner_at_any_parallelism() {
        for old in 1..5u32 {
            let values: Vec<Vec<u32>> = (0..old)
                .map(|s| (0..s + 2).map(|n| s * 10 + n).collect())
                .collect();
            let all: Vec<u32> = values.iter().flatten().copied().collect();
            for new in 1..9 {
                let shares: Vec<Vec<u32>> =
                    (0..new).map(|i| share(values.clone(), i, new)).collect();
                assert_eq!(shares.concat(), all);
                let lengths = shares.iter().map(Vec::len);
                if new != old {
                    assert!(lengths.clone().max().unwrap() - lengths.min().unwrap() <= 1);
                } else {
                    assert_eq!(shares, values);
                }
            }
        }
    }
}
