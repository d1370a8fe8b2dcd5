//! Weights and activations in eight bits: blocks of 32 with one scale each.

use thiserror::Error;

/// Values that share a scale.
pub(crate) const BLOCK: usize = 32;
/// Bytes of a block as files hold it: a scale in 16 bits, then the codes.
const FILE_BLOCK: usize = 2 + BLOCK;

/// The largest code of a weight. The range is kept symmetric.
const LARGEST_CODE: f32 = 127.0;
/// The largest code of an activation.
const LARGEST_WIDE: f32 = 32_767.0;
/// A number so large that what is added to it is rounded to an integer, which then stands in its low bits.
const ROUNDER: f32 = 12_582_912.0;

/// A matrix of weights, each row contiguous.
#[derive(Clone, Debug)]
pub(crate) struct Matrix {
    rows: usize,
    columns: usize,
    // Invariant: blocks for `rows * columns` codes, and a scale for each.
    codes: Vec<[i8; BLOCK]>,
    scales: Vec<f32>,
}

impl Matrix {
    /// Quantises `weights`, row after row.
    pub(crate) fn quantise(rows: usize, columns: usize, weights: &[f32]) -> Result<Self, MatrixError> {
        let (whole, rest) = weights.as_chunks::<BLOCK>();
        check_shape(rows, columns, whole.len(), rest.len())?;
        let mut codes = Vec::with_capacity(whole.len());
        let mut scales = Vec::with_capacity(whole.len());
        for block in whole {
            let scale = largest(block) / LARGEST_CODE;
            let inverse = inverse_of(scale);
            // Within -127 and 127: the low eight bits are all of it.
            codes.push(block.map(|weight| round(weight * inverse) as i8));
            scales.push(scale);
        }
        Ok(Self { rows, columns, codes, scales })
    }

    /// Takes weights that already are in eight bits, as files hold them.
    pub(crate) fn from_q8_0(rows: usize, columns: usize, bytes: &[u8]) -> Result<Self, MatrixError> {
        let (whole, rest) = bytes.as_chunks::<FILE_BLOCK>();
        check_shape(rows, columns, whole.len(), rest.len())?;
        let mut codes = Vec::with_capacity(whole.len());
        let mut scales = Vec::with_capacity(whole.len());
        for block in whole {
            let [low, high, block_codes @ ..] = block;
            let scale = half_to_single(u16::from_le_bytes([*low, *high]));
            if !scale.is_finite() {
                return Err(MatrixError::NotANumber);
            }
            codes.push(block_codes.map(|code| i8::from_le_bytes([code])));
            scales.push(scale);
        }
        Ok(Self { rows, columns, codes, scales })
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    pub(crate) fn columns(&self) -> usize {
        self.columns
    }

    /// Row `row` as blocks and their scales, empty if there is none.
    #[inline(always)]
    pub(crate) fn row(&self, row: usize) -> (&[[i8; BLOCK]], &[f32]) {
        let blocks = self.columns / BLOCK;
        let start = row.saturating_mul(blocks);
        let span = start..start.saturating_add(blocks);
        let (codes, scales) = (self.codes.get(span.clone()), self.scales.get(span));
        (codes.unwrap_or_default(), scales.unwrap_or_default())
    }

    /// Writes row `row` as numbers.
    pub(crate) fn write_row(&self, row: usize, into: &mut [f32]) {
        let (codes, scales) = self.row(row);
        for ((block, scale), into) in codes.iter().zip(scales).zip(into.chunks_exact_mut(BLOCK)) {
            for (code, into) in block.iter().zip(into) {
                *into = f32::from(*code) * scale;
            }
        }
    }
}

fn check_shape(rows: usize, columns: usize, blocks: usize, rest: usize) -> Result<(), MatrixError> {
    if !columns.is_multiple_of(BLOCK) {
        return Err(MatrixError::Uneven { columns });
    }
    if rest != 0 || rows.checked_mul(columns / BLOCK) != Some(blocks) {
        return Err(MatrixError::Size { rows, columns });
    }
    Ok(())
}

/// Activations on their way into a product: 16 bits each, with one scale for a row.
///
/// A row has outliers, and 16 bits have room for them. The sum of four products with weights is still exact.
#[derive(Debug, Default)]
pub(crate) struct Quantised {
    pub(super) columns: usize,
    // Invariant: blocks for whole rows of `columns` codes, and a scale for each row.
    codes: Vec<[i16; BLOCK]>,
    scales: Vec<f32>,
}

impl Quantised {
    /// Quantises rows of `columns` values. `columns` must be a multiple of [`BLOCK`], as every matrix's are.
    #[inline(always)]
    pub(crate) fn fill(&mut self, columns: usize, values: &[f32]) {
        self.columns = columns;
        self.codes.clear();
        self.scales.clear();
        for row in values.chunks_exact(columns) {
            let scale = largest(row) / LARGEST_WIDE;
            let inverse = inverse_of(scale);
            for block in row.as_chunks::<BLOCK>().0 {
                let mut codes = [0_i16; BLOCK];
                for (code, value) in codes.iter_mut().zip(block) {
                    *code = round(value * inverse) as i16;
                }
                self.codes.push(codes);
            }
            self.scales.push(scale);
        }
    }

    pub(super) fn rows(&self) -> usize {
        self.scales.len()
    }

    /// Row `row` as blocks and its scale, empty if there is none.
    #[inline(always)]
    pub(super) fn row(&self, row: usize) -> (&[[i16; BLOCK]], f32) {
        let blocks = self.columns / BLOCK;
        let codes = self.codes.get(row * blocks..(row + 1) * blocks);
        (codes.unwrap_or_default(), self.scales.get(row).copied().unwrap_or(0.0))
    }
}

/// The largest size among whole eights of `values`.
#[inline(always)]
fn largest(values: &[f32]) -> f32 {
    let mut lanes = [0.0_f32; 8];
    for values in values.as_chunks::<8>().0 {
        for (lane, value) in lanes.iter_mut().zip(values) {
            let size = value.abs();
            *lane = if size > *lane { size } else { *lane };
        }
    }
    lanes.into_iter().fold(0.0_f32, |most, size| if size > most { size } else { most })
}

#[inline(always)]
fn inverse_of(scale: f32) -> f32 {
    // A scale so small that its inverse is infinite is as good as zero.
    let inverse = 1.0 / scale;
    if inverse.is_finite() { inverse } else { 0.0 }
}

/// The nearest integer, ties to even, in the low bits. Exact below 2^22 in size.
#[inline(always)]
fn round(value: f32) -> u32 {
    (value + ROUNDER).to_bits()
}

/// A number in 16 bits, as IEEE 754 has them.
fn half_to_single(half: u16) -> f32 {
    let sign = if half & 0x8000 == 0 { 1.0 } else { -1.0 };
    let exponent = i32::from((half >> 10) & 0x1f);
    let fraction = f32::from(half & 0x3ff);
    let size = match exponent {
        0 => fraction * 2.0_f32.powi(-24),
        31 => f32::INFINITY,
        _ => (1024.0 + fraction) * 2.0_f32.powi(exponent - 25),
    };
    sign * size
}

/// Weights that make no matrix.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub(crate) enum MatrixError {
    /// Rows are not made of whole blocks.
    #[error("rows of {columns} weights are not made of blocks of {BLOCK}")]
    Uneven {
        /// Weights of a row.
        columns: usize,
    },
    /// There are not as many weights as there should be.
    #[error("there are not {rows} rows of {columns} weights")]
    Size {
        /// Rows wanted.
        rows: usize,
        /// Weights of a row.
        columns: usize,
    },
    /// A scale is infinite or no number.
    #[error("it holds weights that are no numbers")]
    NotANumber,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_become_what_they_stand_for() {
        for (half, single) in [
            (0x0000, 0.0),
            (0x3c00, 1.0),
            (0xc000, -2.0),
            (0x3555, 0.333_251_95),
            (0x0001, 5.960_464_5e-8),
            (0x7bff, 65_504.0),
            (0x7c00, f32::INFINITY),
        ] {
            assert_eq!(half_to_single(half), single, "{half:#x}");
        }
    }

    #[test]
    fn what_is_quantised_comes_back_within_half_a_step() {
        let weights: Vec<f32> = (0..64_u8).map(|n| (f32::from(n) - 31.0) / 7.0).collect();
        let matrix = Matrix::quantise(2, 32, &weights).unwrap();
        let mut back = vec![0.0; 32];
        for row in 0..2 {
            matrix.write_row(row, &mut back);
            for (weight, back) in weights[row * 32..].iter().zip(&back) {
                assert!((weight - back).abs() <= 33.0 / 7.0 / 127.0 / 2.0 + 1e-6, "{weight} became {back}");
            }
        }
    }

    #[test]
    fn a_shape_that_the_weights_do_not_have_is_refused() {
        assert_eq!(Matrix::quantise(1, 33, &[0.0; 33]).unwrap_err(), MatrixError::Uneven { columns: 33 });
        assert!(matches!(Matrix::quantise(2, 32, &[0.0; 32]), Err(MatrixError::Size { .. })));
        assert!(matches!(Matrix::from_q8_0(1, 32, &[0xff; 34]), Err(MatrixError::NotANumber)));
    }

    #[test]
    fn a_block_of_next_to_nothing_is_nothing() {
        let matrix = Matrix::quantise(1, 32, &[1e-44; 32]).unwrap();
        assert_eq!(matrix.row(0).0, [[0; BLOCK]]);
    }
}
