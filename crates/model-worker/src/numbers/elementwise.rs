//! What happens to a vector between two products.

use super::dot;

/// Adds `values` to `into`.
#[inline(always)]
pub(crate) fn add(into: &mut [f32], values: &[f32]) {
    for (into, value) in into.iter_mut().zip(values) {
        *into += value;
    }
}

/// Scales `values` by the inverse of their root mean square, and each by its weight.
#[inline(always)]
pub(crate) fn rms_norm(values: &[f32], weights: &[f32], epsilon: f32, into: &mut [f32]) {
    let mean = dot(values, values) / values.len() as f32;
    let scale = 1.0 / (mean + epsilon).sqrt();
    for ((into, value), weight) in into.iter_mut().zip(values).zip(weights) {
        *into = value * scale * weight;
    }
}

/// Multiplies `up` into `gate`, each of which passes through x/(1+e^-x) first.
#[inline(always)]
pub(crate) fn gate(gate: &mut [f32], up: &[f32]) {
    for (gate, up) in gate.iter_mut().zip(up) {
        *gate = *gate / (1.0 + exp(-*gate)) * up;
    }
}

/// Turns scores into shares of one.
#[inline(always)]
pub(crate) fn softmax(scores: &mut [f32]) {
    let most = scores.iter().fold(f32::NEG_INFINITY, |most, score| if *score > most { *score } else { most });
    let mut lanes = [0.0_f32; super::LANES];
    let (whole, rest) = scores.as_chunks_mut::<{ super::LANES }>();
    for scores in whole {
        for (score, lane) in scores.iter_mut().zip(&mut lanes) {
            *score = exp(*score - most);
            *lane += *score;
        }
    }
    let mut sum = super::sum_lanes(lanes);
    for score in rest {
        *score = exp(*score - most);
        sum += *score;
    }
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
    let n = (x * std::f32::consts::LOG2_E + 12_582_912.0) - 12_582_912.0;
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
    let power = f32::from_bits(((n as i32 + 127) as u32) << 23);
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
