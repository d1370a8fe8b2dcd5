//! Where a token stands, told to its queries and keys by turning them.

/// Angles of every position, made as far as they are needed.
#[derive(Debug)]
pub(super) struct Rotation {
    /// By how much a pair of values turns from one position to the next.
    steps: Vec<f64>,
    // Invariant: for each position as many sines and cosines as there are steps.
    sines: Vec<f32>,
    cosines: Vec<f32>,
}

impl Rotation {
    pub(super) fn new(head_width: usize, base: f64) -> Self {
        let steps = (0..head_width / 2)
            .map(|pair| libm::pow(base, -((2 * pair) as f64) / head_width as f64))
            .collect();
        Self { steps, sines: Vec::new(), cosines: Vec::new() }
    }

    /// Makes the angles of the first `positions`.
    pub(super) fn reach(&mut self, positions: usize) {
        let made = self.sines.len() / self.steps.len().max(1);
        for position in made..positions {
            for step in &self.steps {
                // Not the platform's functions: those differ in the last bit from one to the next.
                self.sines.push(libm::sin(position as f64 * step) as f32);
                self.cosines.push(libm::cos(position as f64 * step) as f32);
            }
        }
    }

    /// Turns rows of `row_width` values, the first of which stands at `start`. Call [`Self::reach`] before.
    pub(super) fn turn(&self, start: usize, row_width: usize, rows: &mut [f32]) {
        let pairs = self.steps.len();
        for (at, row) in rows.chunks_exact_mut(row_width).enumerate() {
            let angles = (start + at) * pairs..(start + at + 1) * pairs;
            let (Some(sines), Some(cosines)) = (self.sines.get(angles.clone()), self.cosines.get(angles))
            else {
                return;
            };
            for head in row.chunks_exact_mut(2 * pairs) {
                for ((pair, sine), cosine) in head.as_chunks_mut::<2>().0.iter_mut().zip(sines).zip(cosines) {
                    let [x, y] = *pair;
                    *pair = [x * cosine - y * sine, x * sine + y * cosine];
                }
            }
        }
    }
}
