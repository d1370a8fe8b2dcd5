//! The product of activations and weights, where the time goes.

use rayon::prelude::*;

use super::matrix::{BLOCK, Matrix, Quantised};
use super::{LANES, sum_lanes};

/// Rows of activations that meet a weight while it is at hand.
const ROW_TILE: usize = 4;
/// Products below which a second thread costs more than it gains.
const WORTH_A_THREAD: usize = 1 << 18;

/// Vector instructions that this machine has.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Instructions {
    /// Whatever the build's target has.
    Portable,
    /// 256 bits at a time.
    #[cfg(target_arch = "x86_64")]
    V3(pulp::x86::V3),
}

impl Instructions {
    /// The fastest that there are.
    pub(crate) fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        if let Some(v3) = pulp::x86::V3::try_new() {
            return Self::V3(v3);
        }
        Self::Portable
    }

    /// Runs `work` compiled for these instructions. `work` must be inlined: what it calls must be marked so.
    #[inline]
    pub(crate) fn run<R>(self, work: impl FnOnce() -> R) -> R {
        match self {
            Self::Portable => work(),
            #[cfg(target_arch = "x86_64")]
            Self::V3(v3) => v3.vectorize(work),
        }
    }
}

/// Writes `activations` times the transpose of `weights` to `into`, row after row, with up to `threads` threads.
///
/// Each number is the sum of its own products in a fixed order, so neither `threads` nor the number of rows that are
/// computed together changes any bit of it.
pub(crate) fn matmul(
    instructions: Instructions,
    threads: usize,
    activations: &Quantised,
    weights: &Matrix,
    into: &mut [f32],
) {
    debug_assert_eq!(activations.columns, weights.columns(), "the shapes fit");
    let (rows, columns) = (activations.rows(), weights.rows());
    if rows == 0 || columns == 0 {
        return;
    }
    let threads = threads.min(rows * columns * weights.columns() / WORTH_A_THREAD);
    if threads <= 1 {
        part(instructions, activations, 0, weights, 0, columns, into);
    } else if rows == 1 {
        let share = columns.div_ceil(threads);
        into.par_chunks_mut(share).enumerate().for_each(|(at, into)| {
            part(instructions, activations, 0, weights, at * share, into.len(), into);
        });
    } else {
        let share = rows.div_ceil(threads);
        into.par_chunks_mut(share * columns).enumerate().for_each(|(at, into)| {
            part(instructions, activations, at * share, weights, 0, columns, into);
        });
    }
}

/// Writes the products of the one row of `activations` with chosen rows of `weights`.
pub(crate) fn rows_dot(
    instructions: Instructions,
    threads: usize,
    activations: &Quantised,
    weights: &Matrix,
    chosen: &[u32],
    into: &mut Vec<f32>,
) {
    let share =
        chosen.len().div_ceil(threads.clamp(1, 1 + chosen.len() * weights.columns() / WORTH_A_THREAD));
    into.resize(chosen.len(), 0.0);
    let each = |(chosen, into): (&[u32], &mut [f32])| {
        for (&row, into) in chosen.iter().zip(into) {
            part(instructions, activations, 0, weights, row as usize, 1, std::slice::from_mut(into));
        }
    };
    if share == chosen.len() {
        each((chosen, into));
    } else {
        chosen.par_chunks(share).zip(into.par_chunks_mut(share)).for_each(each);
    }
}

/// A part of the product: as many rows from `first_row` as `into` holds, and `width` columns from `first_column`.
fn part(
    instructions: Instructions,
    activations: &Quantised,
    first_row: usize,
    weights: &Matrix,
    first_column: usize,
    width: usize,
    into: &mut [f32],
) {
    match instructions {
        Instructions::Portable => {
            tiles(Portable, activations, first_row, weights, first_column, width, into);
        }
        #[cfg(target_arch = "x86_64")]
        Instructions::V3(v3) => v3.vectorize(
            #[inline(always)]
            || tiles(v3, activations, first_row, weights, first_column, width, into),
        ),
    }
}

#[inline(always)]
fn tiles(
    products: impl Products,
    activations: &Quantised,
    first_row: usize,
    weights: &Matrix,
    first_column: usize,
    width: usize,
    into: &mut [f32],
) {
    let depth = activations.columns;
    let blocks = depth / BLOCK;
    let row = |row: usize| -> (&[[i16; BLOCK]], &[f32]) {
        let codes = activations.codes.get(row * depth..(row + 1) * depth).unwrap_or_default();
        let scales = activations.scales.get(row * blocks..(row + 1) * blocks).unwrap_or_default();
        (codes.as_chunks().0, scales)
    };
    for (tile_at, tile) in into.chunks_mut(ROW_TILE * width).enumerate() {
        let tile_row = first_row + tile_at * ROW_TILE;
        if tile.len() == ROW_TILE * width {
            let rows: [_; ROW_TILE] = std::array::from_fn(|at| row(tile_row + at));
            let (codes, scales) = (rows.map(|(codes, _)| codes), rows.map(|(_, scales)| scales));
            for column in 0..width {
                let sums = column_of(products, weights.row(first_column + column), &codes, &scales);
                for (at, sum) in sums.into_iter().enumerate() {
                    if let Some(into) = tile.get_mut(at * width + column) {
                        *into = sum;
                    }
                }
            }
        } else {
            for (at, into) in tile.chunks_mut(width).enumerate() {
                let (codes, scales) = row(tile_row + at);
                for (column, into) in into.iter_mut().enumerate() {
                    let [sum] = column_of(products, weights.row(first_column + column), &[codes], &[scales]);
                    *into = sum;
                }
            }
        }
    }
}

/// One row of weights with `N` rows of activations.
#[inline(always)]
fn column_of<const N: usize>(
    products: impl Products,
    (weights, weight_scales): (&[i8], &[f32]),
    codes: &[&[[i16; BLOCK]]; N],
    scales: &[&[f32]; N],
) -> [f32; N] {
    let weights = weights.as_chunks::<BLOCK>().0;
    let blocks = weights.len().min(weight_scales.len());
    // Shortened once, so that nothing is checked inside the loop.
    let codes: [&[[i16; BLOCK]]; N] = std::array::from_fn(|row| &codes[row][..blocks]);
    let scales: [&[f32]; N] = std::array::from_fn(|row| &scales[row][..blocks]);
    let (weights, weight_scales) = (&weights[..blocks], &weight_scales[..blocks]);
    let mut sums = [[0.0_f32; LANES]; N];
    for at in 0..blocks {
        for row in 0..N {
            let lanes = products.of(&weights[at], &codes[row][at]);
            let scale = weight_scales[at] * scales[row][at];
            for (sum, lane) in sums[row].iter_mut().zip(lanes) {
                *sum += lane as f32 * scale;
            }
        }
    }
    sums.map(sum_lanes)
}

/// The products of a block's codes, in lanes. Exact, as integers do not round.
trait Products: Copy {
    /// Lane `j` holds the sum of the products at `2j`, `2j+1`, `16+2j` and `17+2j`.
    fn of(self, weights: &[i8; BLOCK], activations: &[i16; BLOCK]) -> [i32; LANES];
}

#[derive(Clone, Copy)]
struct Portable;

impl Products for Portable {
    #[inline(always)]
    fn of(self, weights: &[i8; BLOCK], activations: &[i16; BLOCK]) -> [i32; LANES] {
        let product = |at: usize| i32::from(weights[at]) * i32::from(activations[at]);
        std::array::from_fn(|lane| {
            product(2 * lane) + product(2 * lane + 1) + product(16 + 2 * lane) + product(17 + 2 * lane)
        })
    }
}

#[cfg(target_arch = "x86_64")]
impl Products for pulp::x86::V3 {
    #[inline(always)]
    fn of(self, weights: &[i8; BLOCK], activations: &[i16; BLOCK]) -> [i32; LANES] {
        let [w_low, w_high]: [pulp::i8x16; 2] = pulp::cast(*weights);
        let [a_low, a_high]: [pulp::i16x16; 2] = pulp::cast(*activations);
        let low = self.multiply_wrapping_add_adjacent_i16x16(self.convert_i8x16_to_i16x16(w_low), a_low);
        let high = self.multiply_wrapping_add_adjacent_i16x16(self.convert_i8x16_to_i16x16(w_high), a_high);
        pulp::cast(self.wrapping_add_i32x8(low, high))
    }
}
