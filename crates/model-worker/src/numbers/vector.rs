//! Sums of products of plain numbers, in the one order that there is.

use super::{LANES, Lanes, sum_lanes};

/// The sum of the products. Both must be as long; what is beyond whole lanes is added last.
#[inline(always)]
pub(crate) fn dot(lanes: impl Lanes, a: &[f32], b: &[f32]) -> f32 {
    let (a_eights, a_rest) = a.as_chunks::<LANES>();
    let (b_eights, b_rest) = b.as_chunks::<LANES>();
    let mut sums = lanes.splat(0.0);
    for (a, b) in a_eights.iter().zip(b_eights) {
        sums = lanes.add(sums, lanes.mul(lanes.load(a), lanes.load(b)));
    }
    let mut sum = sum_lanes(lanes.store(sums));
    for (a, b) in a_rest.iter().zip(b_rest) {
        sum += a * b;
    }
    sum
}

/// Adds `factor` times `values` to `into`.
#[inline(always)]
pub(crate) fn add_scaled(lanes: impl Lanes, into: &mut [f32], factor: f32, values: &[f32]) {
    let (into_eights, into_rest) = into.as_chunks_mut::<LANES>();
    let (eights, rest) = values.as_chunks::<LANES>();
    let factors = lanes.splat(factor);
    for (into, values) in into_eights.iter_mut().zip(eights) {
        *into = lanes.store(lanes.add(lanes.load(into), lanes.mul(factors, lanes.load(values))));
    }
    for (into, value) in into_rest.iter_mut().zip(rest) {
        *into += factor * value;
    }
}
