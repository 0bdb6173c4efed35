//! Delays drawn from a distribution, by the cluster's seed.

use std::time::Duration;

use rand::Rng;
use rand::rngs::StdRng;
use serde::{Deserialize, Serialize};

/// How long a call waits before its work. Microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "distribution")]
pub enum Latency {
    /// Every length between the two equally often.
    Uniform { low_us: u64, high_us: u64 },
    /// Mostly short and sometimes long, as waiting for something that happens at random.
    Exponential { mean_us: u64 },
    /// A network or disk: around the median, with a long tail of which one in a hundred exceeds `p99_us`.
    LogNormal { median_us: u64, p99_us: u64 },
}

/// The standard normal distribution stays below this in 99 of 100 draws.
const NORMAL_P99: f64 = 2.326_347_874;

impl Latency {
    pub(super) fn draw(self, random: &mut StdRng) -> Duration {
        let micros = match self {
            Latency::Uniform { low_us, high_us } => {
                return Duration::from_micros(random.random_range(low_us.min(high_us)..=high_us.max(low_us)));
            }
            Latency::Exponential { mean_us } => -(mean_us as f64) * open_unit(random).ln(),
            Latency::LogNormal { median_us, p99_us } => {
                let median = (median_us as f64).max(1.0);
                let sigma = ((p99_us as f64).max(median) / median).ln() / NORMAL_P99;
                // Box and Muller: a normally distributed number from two uniform ones.
                let normal = (-2.0 * open_unit(random).ln()).sqrt()
                    * (std::f64::consts::TAU * open_unit(random)).cos();
                median * (sigma * normal).exp()
            }
        };
        // Beyond the range of a Duration there is only the limit on delays.
        Duration::try_from_secs_f64(micros / 1e6).unwrap_or(Duration::MAX)
    }
}

/// Above 0, at most 1.
fn open_unit(random: &mut StdRng) -> f64 {
    1.0 - random.random::<f64>()
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    /// Sorted draws in microseconds.
    fn draws(latency: Latency) -> Vec<u128> {
        let mut random = StdRng::seed_from_u64(3);
        let mut all: Vec<u128> = (0..20_000).map(|_| latency.draw(&mut random).as_micros()).collect();
        all.sort_unstable();
        all
    }

    #[test]
    fn draws_follow_their_distribution() {
        let uniform = draws(Latency::Uniform { low_us: 100, high_us: 300 });
        assert!(uniform[0] >= 100 && uniform[19_999] <= 300);
        assert!((195..=205).contains(&uniform[10_000]), "{}", uniform[10_000]);
        let exponential = draws(Latency::Exponential { mean_us: 1000 });
        let mean = exponential.iter().sum::<u128>() / 20_000;
        assert!((970..=1030).contains(&mean), "{mean}");
        let tailed = draws(Latency::LogNormal { median_us: 1000, p99_us: 10_000 });
        assert!((950..=1050).contains(&tailed[10_000]), "{}", tailed[10_000]);
        assert!((8_500..=11_500).contains(&tailed[19_800]), "{}", tailed[19_800]);
        assert_eq!(draws(Latency::Exponential { mean_us: 1000 }), exponential);
    }
}
