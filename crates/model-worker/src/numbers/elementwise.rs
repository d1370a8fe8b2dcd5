//! What happens to vectors between two products.

use super::{LANES, Lanes, Work, dot, sum_lanes};

/// Scales each row by the inverse of its root mean square, and each value by its weight.
pub(crate) struct Normalise<'a> {
    /// Rows as long as there are weights.
    pub(crate) rows: &'a [f32],
    pub(crate) weights: &'a [f32],
    pub(crate) epsilon: f32,
    pub(crate) into: &'a mut [f32],
}

impl Work for Normalise<'_> {
    #[inline(always)]
    fn run(self, lanes: impl Lanes) {
        let width = self.weights.len();
        for (row, into) in self.rows.chunks_exact(width).zip(self.into.chunks_exact_mut(width)) {
            let mean = dot(lanes, row, row) / width as f32;
            let scale = 1.0 / (mean + self.epsilon).sqrt();
            for ((into, value), weight) in into.iter_mut().zip(row).zip(self.weights) {
                *into = value * scale * weight;
            }
        }
    }
}

/// Multiplies `up` into `gate`, each of which passes through x/(1+e^-x) first.
pub(crate) struct Gate<'a> {
    pub(crate) gate: &'a mut [f32],
    pub(crate) up: &'a [f32],
}

impl Work for Gate<'_> {
    #[inline(always)]
    fn run(self, _: impl Lanes) {
        for (gate, up) in self.gate.iter_mut().zip(self.up) {
            *gate = *gate / (1.0 + exp(-*gate)) * up;
        }
    }
}

/// Turns scores into shares of one.
#[inline(always)]
pub(crate) fn softmax(scores: &mut [f32]) {
    let most = scores.iter().fold(f32::NEG_INFINITY, |most, score| if *score > most { *score } else { most });
    for score in &mut *scores {
        *score = exp(*score - most);
    }
    let mut sums = [0.0_f32; LANES];
    let (eights, rest) = scores.as_chunks::<LANES>();
    for scores in eights {
        for (sum, score) in sums.iter_mut().zip(scores) {
            *sum += score;
        }
    }
    let sum = rest.iter().fold(sum_lanes(sums), |sum, score| sum + score);
    let inverse = 1.0 / sum;
    for score in scores {
        *score *= inverse;
    }
}

/// e to the power of `x`, to about one unit in the last place, by additions and products alone.
#[inline(always)]
fn exp(x: f32) -> f32 {
    // Beyond these the result would be 0 or infinite; the clamped ones are as good for what it is used for.
    let x = x.clamp(-87.0, 88.0);
    // x = n ln 2 + r, with ln 2 in two parts so that n times the first is exact.
    let shifted = x * std::f32::consts::LOG2_E + 12_582_912.0;
    let n = shifted - 12_582_912.0;
    let r = (x - n * 0.693_359_4) - n * -2.121_944_4e-4;
    // The Taylor series to the seventh power: |r| is at most ln 2 / 2.
    let series = 1.0 / 5040.0;
    let series = series * r + 1.0 / 720.0;
    let series = series * r + 1.0 / 120.0;
    let series = series * r + 1.0 / 24.0;
    let series = series * r + 1.0 / 6.0;
    let series = series * r + 0.5;
    let series = series * r + 1.0;
    let series = series * r + 1.0;
    // The low bits of the shifted number are n: 2^n is n in an exponent's place.
    let power = f32::from_bits(shifted.to_bits().wrapping_add(127) << 23);
    series * power
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_of_e_are_right_to_a_few_units_in_the_last_place() {
        for step in -8700..=8800 {
            let x = step as f32 / 100.0;
            let (found, right) = (f64::from(exp(x)), f64::from(x).exp());
            assert!(((found - right) / right).abs() < 3e-7, "exp({x}) = {found}, not {right}");
        }
    }

    #[test]
    fn shares_add_up_to_one_and_keep_their_order() {
        let mut scores: Vec<f32> = (0..13_u8).map(f32::from).collect();
        softmax(&mut scores);
        assert!((scores.iter().sum::<f32>() - 1.0).abs() < 1e-6);
        assert!(scores.is_sorted());
    }
}
