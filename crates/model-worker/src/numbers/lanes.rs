//! Eight numbers at a time, on whatever instructions there are.

// By reference: a cast by value goes through memory, and waits for it.
#[cfg(target_arch = "x86_64")]
use pulp::bytemuck::cast_ref;

use super::{BLOCK, LANES};

/// Eight lanes of plain numbers. Every implementation gives the same bits: each operation is rounded once and alone.
pub(crate) trait Lanes: Copy {
    /// Eight numbers.
    type Eight: Copy;
    /// A block of weights, widened to be multiplied.
    type Wide: Copy;

    fn splat(self, value: f32) -> Self::Eight;
    fn load(self, values: &[f32; LANES]) -> Self::Eight;
    fn store(self, values: Self::Eight) -> [f32; LANES];
    fn add(self, a: Self::Eight, b: Self::Eight) -> Self::Eight;
    fn mul(self, a: Self::Eight, b: Self::Eight) -> Self::Eight;
    fn widen(self, weights: &[i8; BLOCK]) -> Self::Wide;

    /// Lane `j` is the sum of the products at `2j`, `2j+1`, `16+2j` and `17+2j`. Exact: the largest of such sums, of
    /// four products of 8 and 16 bits, is below 2^24.
    fn products(self, weights: Self::Wide, activations: &[i16; BLOCK]) -> Self::Eight;
}

/// For every machine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Portable;

impl Lanes for Portable {
    type Eight = [f32; LANES];
    type Wide = [i16; BLOCK];

    #[inline(always)]
    fn splat(self, value: f32) -> [f32; LANES] {
        [value; LANES]
    }

    #[inline(always)]
    fn load(self, values: &[f32; LANES]) -> [f32; LANES] {
        *values
    }

    #[inline(always)]
    fn store(self, values: [f32; LANES]) -> [f32; LANES] {
        values
    }

    #[inline(always)]
    fn add(self, a: [f32; LANES], b: [f32; LANES]) -> [f32; LANES] {
        std::array::from_fn(|lane| a[lane] + b[lane])
    }

    #[inline(always)]
    fn mul(self, a: [f32; LANES], b: [f32; LANES]) -> [f32; LANES] {
        std::array::from_fn(|lane| a[lane] * b[lane])
    }

    #[inline(always)]
    fn widen(self, weights: &[i8; BLOCK]) -> [i16; BLOCK] {
        weights.map(i16::from)
    }

    #[inline(always)]
    fn products(self, weights: [i16; BLOCK], activations: &[i16; BLOCK]) -> [f32; LANES] {
        let product = |at: usize| i32::from(weights[at]) * i32::from(activations[at]);
        std::array::from_fn(|lane| {
            let (low, high) = (2 * lane, 16 + 2 * lane);
            (product(low) + product(low + 1) + product(high) + product(high + 1)) as f32
        })
    }
}

/// With 256-bit instructions.
#[cfg(target_arch = "x86_64")]
impl Lanes for pulp::x86::V3 {
    type Eight = pulp::f32x8;
    type Wide = [pulp::i16x16; 2];

    #[inline(always)]
    fn splat(self, value: f32) -> pulp::f32x8 {
        self.splat_f32x8(value)
    }

    #[inline(always)]
    fn load(self, values: &[f32; LANES]) -> pulp::f32x8 {
        *cast_ref(values)
    }

    #[inline(always)]
    fn store(self, values: pulp::f32x8) -> [f32; LANES] {
        *cast_ref(&values)
    }

    #[inline(always)]
    fn add(self, a: pulp::f32x8, b: pulp::f32x8) -> pulp::f32x8 {
        self.add_f32x8(a, b)
    }

    #[inline(always)]
    fn mul(self, a: pulp::f32x8, b: pulp::f32x8) -> pulp::f32x8 {
        self.mul_f32x8(a, b)
    }

    #[inline(always)]
    fn widen(self, weights: &[i8; BLOCK]) -> [pulp::i16x16; 2] {
        let [low, high]: &[pulp::i8x16; 2] = cast_ref(weights);
        [self.convert_i8x16_to_i16x16(*low), self.convert_i8x16_to_i16x16(*high)]
    }

    #[inline(always)]
    fn products(self, [w_low, w_high]: [pulp::i16x16; 2], activations: &[i16; BLOCK]) -> pulp::f32x8 {
        let [a_low, a_high]: &[pulp::i16x16; 2] = cast_ref(activations);
        self.convert_i32x8_to_f32x8(self.wrapping_add_i32x8(
            self.multiply_wrapping_add_adjacent_i16x16(w_low, *a_low),
            self.multiply_wrapping_add_adjacent_i16x16(w_high, *a_high),
        ))
    }
}

/// Something to compute with any lanes.
pub(crate) trait Work {
    fn run(self, lanes: impl Lanes);
}

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

    /// Does `work`, compiled for these instructions. What it calls must be marked to be inlined.
    #[inline]
    pub(crate) fn run(self, work: impl Work) {
        match self {
            Self::Portable => work.run(Portable),
            #[cfg(target_arch = "x86_64")]
            Self::V3(v3) => v3.vectorize(
                #[inline(always)]
                || work.run(v3),
            ),
        }
    }
}
