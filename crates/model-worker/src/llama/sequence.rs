//! What was computed for the tokens so far, to be looked back at.

/// Keys and values of every token, by layer.
#[derive(Debug)]
pub(crate) struct Sequence {
    width: usize,
    // Tokens that every layer has.
    len: usize,
    // Invariant: each holds at least `len` rows of `width`, and at most one feed more.
    layers: Vec<(Vec<f32>, Vec<f32>)>,
}

impl Sequence {
    pub(super) fn new(layers: usize, width: usize) -> Self {
        Self { width, len: 0, layers: (0..layers).map(|_| Default::default()).collect() }
    }

    /// Tokens so far.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Appends rows of one layer. They count once [`Self::advance`] says so.
    pub(super) fn append(&mut self, layer: usize, keys: &[f32], values: &[f32]) {
        let end = self.len * self.width;
        if let Some((all_keys, all_values)) = self.layers.get_mut(layer) {
            // What a pass that failed had left is of no use.
            all_keys.truncate(end);
            all_values.truncate(end);
            all_keys.extend_from_slice(keys);
            all_values.extend_from_slice(values);
        }
    }

    pub(super) fn advance(&mut self, tokens: usize) {
        self.len += tokens;
    }

    /// Keys and values of one layer, those just appended included.
    pub(super) fn layer(&self, layer: usize) -> (&[f32], &[f32]) {
        self.layers.get(layer).map_or((&[], &[]), |(keys, values)| (keys, values))
    }

    pub(super) fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// Becomes a copy of the first `tokens` of another.
    pub(super) fn copy_from(&mut self, other: &Self, tokens: usize) {
        self.len = tokens.min(other.len);
        let end = self.len * self.width;
        for ((keys, values), (other_keys, other_values)) in self.layers.iter_mut().zip(&other.layers) {
            keys.clear();
            keys.extend_from_slice(other_keys.get(..end).unwrap_or_default());
            values.clear();
            values.extend_from_slice(other_values.get(..end).unwrap_or_default());
        }
    }
}
