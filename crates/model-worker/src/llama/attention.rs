//! Looking back: each head weighs the values of the tokens before by how well their keys fit its query.

use rayon::prelude::*;

use crate::numbers::{self, Instructions, Lanes, Work};

/// Products below which a second thread costs more than it gains.
const WORTH_A_THREAD: usize = 1 << 18;

#[derive(Clone, Copy, Debug)]
pub(super) struct Heads {
    pub(super) count: usize,
    /// Heads for each key.
    pub(super) shared_by: usize,
    pub(super) width: usize,
}

/// Writes what each row of `queries` sees, the first of which stands at `start`. `keys` and `values` reach to the last.
#[expect(clippy::too_many_arguments, reason = "three tensors, where they stand, and how to compute")]
pub(super) fn attend(
    instructions: Instructions,
    threads: usize,
    heads: Heads,
    start: usize,
    queries: &[f32],
    keys: &[f32],
    values: &[f32],
    into: &mut [f32],
) {
    let width = heads.count * heads.width;
    let work = into.len() * (start + into.len() / width);
    let rows = |(at, (queries, into)): (usize, (&[f32], &mut [f32]))| {
        instructions.run(Row { heads, position: start + at, queries, keys, values, into });
    };
    if threads > 1 && work / WORTH_A_THREAD > 1 {
        queries.par_chunks(width).zip(into.par_chunks_mut(width)).enumerate().for_each(rows);
    } else {
        queries.chunks(width).zip(into.chunks_mut(width)).enumerate().for_each(rows);
    }
}

/// One token looking back from `position`.
struct Row<'a> {
    heads: Heads,
    position: usize,
    queries: &'a [f32],
    keys: &'a [f32],
    values: &'a [f32],
    into: &'a mut [f32],
}

impl Work for Row<'_> {
    #[inline(always)]
    fn run(self, lanes: impl Lanes) {
        let Self { heads, position, queries, keys, values, into } = self;
        let key_width = heads.count / heads.shared_by * heads.width;
        let scale = 1.0 / (heads.width as f32).sqrt();
        let mut scores = vec![0.0; position + 1];
        let each = queries.chunks_exact(heads.width).zip(into.chunks_exact_mut(heads.width));
        for (head, (query, into)) in each.enumerate() {
            let from = head / heads.shared_by * heads.width;
            let span = from..from + heads.width;
            for (score, keys) in scores.iter_mut().zip(keys.chunks_exact(key_width)) {
                *score = numbers::dot(lanes, query, &keys[span.clone()]) * scale;
            }
            numbers::softmax(&mut scores);
            into.fill(0.0);
            for (share, values) in scores.iter().zip(values.chunks_exact(key_width)) {
                numbers::add_scaled(lanes, into, *share, &values[span.clone()]);
            }
        }
    }
}
