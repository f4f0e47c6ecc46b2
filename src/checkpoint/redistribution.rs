//! How state without keys is dealt anew when the parallelism changes.

/// One subtask's share of values that are dealt: its own where the parallelism is what it was, else a
/// contiguous share of all of them in the order of the old subtasks, the first remainders one longer
/// (Flink's `RoundRobinOperatorStateRepartitioner`, for one state).
#[must_use]
pub fn share<T>(mut values: Vec<Vec<T>>, index: u32, parallelism: u32) -> Vec<T> {
    let (index, parallelism) = (index as usize, parallelism as usize);
    if values.len() == parallelism {
        return values.swap_remove(index);
    }
    let total = values.iter().map(Vec::len).sum::<usize>();
    let (each, more) = (total / parallelism, total % parallelism);
    let start = index * each + index.min(more);
    let count = each + usize::from(index < more);
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
