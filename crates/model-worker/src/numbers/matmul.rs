//! The product of activations and weights, where the time goes.

use rayon::prelude::*;

use super::lanes::{Instructions, Lanes, Work};
use super::matrix::{BLOCK, Matrix, Quantised};
use super::sum_lanes;

/// Rows of activations that meet weights while these are at hand.
const ROW_TILE: usize = 4;
/// Products below which a second thread costs more than it gains.
const WORTH_A_THREAD: usize = 1 << 18;

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
    let (rows, columns) = (activations.rows(), weights.rows());
    if rows == 0 || columns == 0 || activations.columns != weights.columns() {
        return;
    }
    let threads = threads.min(rows * columns * weights.columns() / WORTH_A_THREAD).max(1);
    let part = |first_row: usize, first_column: usize, width: usize, into: &mut [f32]| {
        instructions.run(Part { activations, first_row, weights, first_column, width, into });
    };
    if threads == 1 {
        part(0, 0, columns, into);
    } else if rows == 1 {
        let share = columns.div_ceil(threads);
        let each = |(at, into): (usize, &mut [f32])| part(0, at * share, into.len(), into);
        into.par_chunks_mut(share).enumerate().for_each(each);
    } else {
        let share = rows.div_ceil(threads).next_multiple_of(ROW_TILE);
        let each = |(at, into): (usize, &mut [f32])| part(at * share, 0, columns, into);
        into.par_chunks_mut(share * columns).enumerate().for_each(each);
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
    into.resize(chosen.len(), 0.0);
    let threads = threads.min(chosen.len() * weights.columns() / WORTH_A_THREAD).max(1);
    let share = chosen.len().div_ceil(threads);
    let each = |(chosen, into): (&[u32], &mut [f32])| {
        instructions.run(Chosen { activations, weights, chosen, into });
    };
    if threads == 1 {
        each((chosen, into));
    } else {
        chosen.par_chunks(share).zip(into.par_chunks_mut(share)).for_each(each);
    }
}

/// As many rows from `first_row` as `into` holds, and `width` columns from `first_column`.
struct Part<'a> {
    activations: &'a Quantised,
    first_row: usize,
    weights: &'a Matrix,
    first_column: usize,
    width: usize,
    into: &'a mut [f32],
}

impl Work for Part<'_> {
    #[inline(always)]
    fn run(self, lanes: impl Lanes) {
        let Self { activations, first_row, weights, first_column, width, into } = self;
        for (tile_at, tile) in into.chunks_mut(ROW_TILE * width).enumerate() {
            let row = first_row + tile_at * ROW_TILE;
            if tile.len() == ROW_TILE * width {
                several_rows(lanes, activations, row, weights, first_column, width, tile);
            } else {
                for (at, into) in tile.chunks_mut(width).enumerate() {
                    one_row(lanes, activations, row + at, weights, |at| first_column + at, into);
                }
            }
        }
    }
}

struct Chosen<'a> {
    activations: &'a Quantised,
    weights: &'a Matrix,
    chosen: &'a [u32],
    into: &'a mut [f32],
}

impl Work for Chosen<'_> {
    #[inline(always)]
    fn run(self, lanes: impl Lanes) {
        let column = |at: usize| self.chosen.get(at).map_or(usize::MAX, |column| *column as usize);
        one_row(lanes, self.activations, 0, self.weights, column, self.into);
    }
}

#[inline(always)]
fn several_rows(
    lanes: impl Lanes,
    activations: &Quantised,
    row: usize,
    weights: &Matrix,
    first_column: usize,
    width: usize,
    into: &mut [f32],
) {
    let rows: [_; ROW_TILE] = std::array::from_fn(|at| activations.row(row + at));
    for at in 0..width {
        let sums = tile(lanes, weights.row(first_column + at), &rows);
        for (row, sum) in sums.iter().enumerate() {
            if let Some(into) = into.get_mut(row * width + at) {
                *into = *sum;
            }
        }
    }
}

#[inline(always)]
fn one_row(
    lanes: impl Lanes,
    activations: &Quantised,
    row: usize,
    weights: &Matrix,
    column: impl Fn(usize) -> usize,
    into: &mut [f32],
) {
    // One after the other, as they lie in memory: that is what is waited for here.
    let rows = [activations.row(row)];
    for (at, into) in into.iter_mut().enumerate() {
        [*into] = tile(lanes, weights.row(column(at)), &rows);
    }
}

/// One row of weights with `N` rows of activations.
#[inline(always)]
fn tile<const N: usize>(
    lanes: impl Lanes,
    (codes, scales): (&[[i8; BLOCK]], &[f32]),
    activations: &[(&[[i16; BLOCK]], f32); N],
) -> [f32; N] {
    let blocks = activations.iter().map(|(codes, _)| codes.len());
    let blocks = blocks.fold(codes.len().min(scales.len()), usize::min);
    // Shortened once, so that nothing is checked inside the loop.
    let (codes, scales) = (&codes[..blocks], &scales[..blocks]);
    let inputs: [&[[i16; BLOCK]]; N] = std::array::from_fn(|row| &activations[row].0[..blocks]);
    let mut sums = [lanes.splat(0.0); N];
    for at in 0..blocks {
        let wide = lanes.widen(&codes[at]);
        let scale = lanes.splat(scales[at]);
        for row in 0..N {
            let products = lanes.products(wide, &inputs[row][at]);
            sums[row] = lanes.add(sums[row], lanes.mul(products, scale));
        }
    }
    let mut all = [0.0; N];
    for row in 0..N {
        all[row] = sum_lanes(lanes.store(sums[row])) * activations[row].1;
    }
    all
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn product(instructions: Instructions, threads: usize, weights: &Matrix, rows: &[f32]) -> Vec<f32> {
        let mut activations = Quantised::default();
        activations.fill(weights.columns(), rows);
        let mut into = vec![0.0; rows.len() / weights.columns() * weights.rows()];
        matmul(instructions, threads, &activations, weights, &mut into);
        into
    }

    proptest! {
        #[test]
        fn instructions_and_batches_change_no_bit(
            values in proptest::collection::vec(-4.0_f32..4.0, 9 * 64),
            weights in proptest::collection::vec(-2.0_f32..2.0, 7 * 64),
        ) {
            let weights = Matrix::quantise(7, 64, &weights).unwrap();
            let right = product(Instructions::Portable, 1, &weights, &values);
            prop_assert_eq!(&product(Instructions::detect(), 1, &weights, &values), &right);
            let apart = values.chunks(64).flat_map(|row| product(Instructions::detect(), 1, &weights, row));
            prop_assert_eq!(&apart.collect::<Vec<_>>(), &right);
        }

        #[test]
        fn a_product_is_what_it_should_be(
            values in proptest::collection::vec(-4.0_f32..4.0, 64),
            weights in proptest::collection::vec(-2.0_f32..2.0, 3 * 64),
        ) {
            let matrix = Matrix::quantise(3, 64, &weights).unwrap();
            let found = product(Instructions::detect(), 1, &matrix, &values);
            for (found, row) in found.into_iter().zip(weights.chunks(64)) {
                let right: f32 = row.iter().zip(&values).map(|(a, b)| a * b).sum();
                prop_assert!((found - right).abs() < 1.5, "{} for {}", found, right);
            }
        }
    }

    #[test]
    fn threads_change_no_bit() {
        let numbers =
            |count: usize| (0..count).map(|at| ((at * 7919) % 1013) as f32 / 97.0 - 5.0).collect::<Vec<_>>();
        let weights = Matrix::quantise(2003, 256, &numbers(2003 * 256)).unwrap();
        for rows in [1, 9] {
            let rows = numbers(rows * 256);
            let right = product(Instructions::detect(), 1, &weights, &rows);
            assert!(product(Instructions::detect(), 3, &weights, &rows) == right);
        }
        let (mut activations, mut chosen) = (Quantised::default(), Vec::new());
        activations.fill(256, &numbers(256));
        let all: Vec<u32> = (0..2003).collect();
        rows_dot(Instructions::detect(), 3, &activations, &weights, &all, &mut chosen);
        assert!(chosen == product(Instructions::detect(), 1, &weights, &numbers(256)));
    }
}
