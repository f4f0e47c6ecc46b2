//! Random numbers that are the same on every machine, and the hash function they are based on.

/// SplitMix64's step from one state to the next.
const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

/// SplitMix64's output for the state `x`: a bijection that scatters neighbours.
#[inline(always)]
pub(crate) const fn mix64(x: u64) -> u64 {
    let z = x.wrapping_add(STEP);
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// A stream of random numbers: SplitMix64.
#[derive(Clone, Debug)]
pub(crate) struct Random {
    state: u64,
}

impl Random {
    /// The stream of a seed.
    pub(crate) const fn new(seed: u64) -> Self {
        Random { state: seed }
    }

    /// The next 64 random bits.
    #[inline(always)]
    pub(crate) const fn bits(&mut self) -> u64 {
        let bits = mix64(self.state);
        self.state = self.state.wrapping_add(STEP);
        bits
    }

    /// A number below `bound`.
    #[inline(always)]
    pub(crate) const fn below(&mut self, bound: u64) -> u64 {
        ((self.bits() as u128 * bound as u128) >> 64) as u64
    }

    /// A number in [0, 1).
    #[inline(always)]
    pub(crate) fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// True with a probability of 1 − 1/`ratio`.
    #[inline(always)]
    pub(crate) const fn mostly(&mut self, ratio: u64) -> bool {
        self.below(ratio) > 0
    }

    /// A price in cents, from one dollar to a million, log-uniformly distributed.
    #[inline]
    pub(crate) fn price(&mut self) -> u64 {
        (10_f64.powf(self.unit() * 6.0) * 100.0).round() as u64
    }
}

/// Picks ranks from 0, where the *n*-th is as frequent as 1/*n* to some power: Zipf's law.
#[derive(Debug)]
pub(crate) struct Zipf {
    /// The cumulative probability of each rank.
    cumulative: Vec<f64>,
}

impl Zipf {
    /// Picks one of `ranks` ranks, with the power `exponent`.
    pub(crate) fn new(ranks: usize, exponent: f64) -> Self {
        let mut sum = 0.0;
        let weights = (1..=ranks).map(|rank| {
            sum += 1.0 / (rank as f64).powf(exponent);
            sum
        });
        let mut cumulative: Vec<_> = weights.collect();
        for weight in &mut cumulative {
            *weight /= sum;
        }
        Zipf { cumulative }
    }

    /// A random rank.
    pub(crate) fn rank(&self, random: &mut Random) -> usize {
        let point = random.unit();
        let rank = self.cumulative.partition_point(|weight| *weight <= point);
        rank.min(self.cumulative.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_splitmix64() {
        // The first outputs of the published algorithm for the seed 1234567.
        let mut random = Random::new(1_234_567);
        let expected = [
            6_457_827_717_110_365_317,
            3_203_168_211_198_807_973,
            9_817_491_932_198_370_423,
        ];
        assert_eq!([random.bits(), random.bits(), random.bits()], expected);
    }

    #[test]
    fn numbers_stay_below_their_bound_and_reach_it() {
        let mut random = Random::new(7);
        let mut seen = [0_u32; 5];
        for _ in 0..1000 {
            seen[random.below(5) as usize] += 1;
            assert!((0.0..1.0).contains(&random.unit()));
            assert!((100..=100_000_000).contains(&random.price()));
        }
        assert!(seen.iter().all(|count| *count > 150), "{seen:?}");
    }

    #[test]
    fn ranks_are_as_frequent_as_zipf_has_them() {
        let (zipf, mut random) = (Zipf::new(1000, 1.0), Random::new(7));
        let mut counts = vec![0_u32; 1000];
        for _ in 0..100_000 {
            counts[zipf.rank(&mut random)] += 1;
        }
        // The sum of 1/n up to 1000 is 7.485.
        for rank in [0, 1, 2, 9] {
            let expected = 100_000.0 / 7.485 / (rank + 1) as f64;
            let off = f64::from(counts[rank]) / expected;
            assert!((0.9..1.1).contains(&off), "rank {rank}: {off}");
        }
    }
}
