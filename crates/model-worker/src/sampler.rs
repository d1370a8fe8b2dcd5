//! Which of the allowed tokens comes next: the likeliest, or one drawn by a seed.

/// How to choose. The same choice for the same scores, seed and place, on every machine.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Sampler {
    /// Always the likeliest; the lowest id if several are.
    Greedy,
    /// By chance, as likely as the scores say.
    Seeded {
        /// Which series of chances.
        seed: u64,
        /// Above 1 flattens the likelihoods, below sharpens them.
        temperature: f64,
        /// Only the likeliest tokens that make up this share are drawn from.
        top_p: f64,
    },
}

impl Sampler {
    /// Without a temperature, or at zero, nothing is drawn. A missing seed is zero: nothing here is left to chance.
    pub(crate) fn new(seed: Option<u64>, temperature: Option<f64>, top_p: Option<f64>) -> Self {
        match temperature {
            Some(temperature) if temperature > 0.0 => {
                Self::Seeded { seed: seed.unwrap_or(0), temperature, top_p: top_p.unwrap_or(1.0) }
            }
            Some(_) | None => Self::Greedy,
        }
    }

    /// The index of the chosen score. `place` counts the tokens before it.
    pub(crate) fn choose(self, scores: &[f32], place: u64) -> Option<usize> {
        let likeliest = (0..scores.len()).max_by(|a, b| scores[*a].total_cmp(&scores[*b]).then(b.cmp(a)))?;
        let Self::Seeded { seed, temperature, top_p } = self else { return Some(likeliest) };
        let most = f64::from(scores[likeliest]);
        let mut shares: Vec<(usize, f64)> = scores
            .iter()
            .enumerate()
            .map(|(at, score)| (at, libm::exp((f64::from(*score) - most) / temperature)))
            .collect();
        shares.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        let total: f64 = shares.iter().map(|(_, share)| share).sum();
        let mut kept = 0.0;
        let nucleus = shares.iter().take_while(|(_, share)| {
            let before = kept;
            kept += share;
            before < top_p * total
        });
        let nucleus: Vec<(usize, f64)> = nucleus.copied().collect();
        let total: f64 = nucleus.iter().map(|(_, share)| share).sum();
        let mut left = chance(seed, place) * total;
        for (at, share) in &nucleus {
            left -= share;
            if left < 0.0 {
                return Some(*at);
            }
        }
        Some(nucleus.last().map_or(likeliest, |(at, _)| *at))
    }
}

/// The number at `place` of the series of `seed`, from 0 up to and without 1. SplitMix64, whose state only counts.
fn chance(seed: u64, place: u64) -> f64 {
    let mut bits = seed.wrapping_add(place.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^= bits >> 31;
    (bits >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_likeliest_is_chosen_and_the_first_of_equals() {
        assert_eq!(Sampler::Greedy.choose(&[1.0, 3.0, 3.0, 2.0], 0), Some(1));
        assert_eq!(Sampler::Greedy.choose(&[], 0), None);
        assert_eq!(Sampler::new(Some(1), Some(0.0), None), Sampler::Greedy);
    }

    #[test]
    fn chances_follow_the_scores_and_the_seed() {
        let sampler = Sampler::new(Some(7), Some(1.0), None);
        let scores = [0.0, 0.0, 1.0];
        let mut counts = [0_u32; 3];
        for place in 0..3000 {
            let chosen = sampler.choose(&scores, place).unwrap();
            assert_eq!(sampler.choose(&scores, place), Some(chosen));
            counts[chosen] += 1;
        }
        // 1 : 1 : e
        assert!((500..780).contains(&counts[0]) && (500..780).contains(&counts[1]), "{counts:?}");
        assert!((1600..1850).contains(&counts[2]), "{counts:?}");
    }

    #[test]
    fn a_narrow_nucleus_holds_the_likeliest_alone() {
        let sampler = Sampler::new(Some(7), Some(1.0), Some(0.1));
        assert!((0..100).all(|place| sampler.choose(&[0.0, 2.0, 1.0], place) == Some(1)));
    }
}
