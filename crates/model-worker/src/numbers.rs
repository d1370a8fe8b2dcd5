//! Arithmetic that gives the same bits on every machine, for any number of threads and any split into batches.
//!
//! A sum of floating-point numbers depends on its order, so here every sum has one: eight lanes, added up in a fixed
//! tree. Nothing is fused, nothing is reordered, and functions that differ between platforms are not used. Vector
//! instructions do exactly what the portable code does, only faster.

mod elementwise;
mod lanes;
mod matmul;
mod matrix;
mod vector;

pub(crate) use self::elementwise::{Gate, Normalise, softmax};
pub(crate) use self::lanes::{Instructions, Lanes, Work};
pub(crate) use self::matmul::{matmul, rows_dot};
pub(crate) use self::matrix::{BLOCK, Matrix, Quantised};
pub(crate) use self::vector::{add_scaled, dot};

/// Lanes of a sum.
pub(crate) const LANES: usize = 8;

/// Adds up the lanes, in the one order that there is.
#[inline(always)]
pub(crate) fn sum_lanes(lanes: [f32; LANES]) -> f32 {
    let [a, b, c, d, e, f, g, h] = lanes;
    ((a + e) + (c + g)) + ((b + f) + (d + h))
}
