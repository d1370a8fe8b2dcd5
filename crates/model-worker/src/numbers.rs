//! Arithmetic that gives the same bits on every machine, for any number of threads and any split into batches.
//!
//! A sum of floating-point numbers depends on its order, so here every sum has one: eight lanes, added up in a fixed
//! tree. Nothing is fused, nothing is reordered, and functions that differ between platforms are not used. Vector
//! instructions do exactly what the portable code does, only faster.

mod dot;
mod elementwise;
mod matmul;
mod matrix;

pub(crate) use self::dot::{add_scaled, dot};
pub(crate) use self::elementwise::{add, gate, rms_norm, softmax};
pub(crate) use self::matmul::{Instructions, matmul, rows_dot};
pub(crate) use self::matrix::{BLOCK, Matrix, Quantised};

/// Lanes of a sum.
pub(crate) const LANES: usize = 8;

/// Adds up the lanes, in the one order that there is.
#[inline(always)]
pub(crate) fn sum_lanes(lanes: [f32; LANES]) -> f32 {
    let [a, b, c, d, e, f, g, h] = lanes;
    ((a + e) + (c + g)) + ((b + f) + (d + h))
}
