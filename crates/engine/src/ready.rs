//! What may start: a set of tasks that gives out the first of them in canonical order.

use kora_ir::{CheckedGraph, TaskIndex};

/// Tasks by place, a bit for each, and a bit for each 64 that are not all absent. Taking the first costs the same
/// whether one is ready or a million, where a heap would grow dearer.
#[derive(Debug, Default)]
pub(crate) struct ReadySet {
    words: Vec<u64>,
    // Invariant: bit `i` is set exactly if `words[i]` is not 0.
    filled: Vec<u64>,
    /// Every word of `filled` before this one is 0.
    first: usize,
}

impl ReadySet {
    /// Takes `index` in. Room is made when something comes first, since most sets stay empty.
    pub(crate) fn insert(&mut self, graph: &CheckedGraph, index: TaskIndex) {
        if self.words.is_empty() {
            self.words.resize(graph.tasks().len().div_ceil(64), 0);
            self.filled.resize(self.words.len().div_ceil(64), 0);
        }
        let (word, bit) = (index.as_usize() / 64, index.as_usize() % 64);
        self.words[word] |= 1 << bit;
        self.filled[word / 64] |= 1 << (word % 64);
        self.first = self.first.min(word / 64);
    }

    /// Takes the first one out.
    pub(crate) fn pop_first(&mut self, graph: &CheckedGraph) -> Option<TaskIndex> {
        while *self.filled.get(self.first)? == 0 {
            self.first += 1;
        }
        let filled = &mut self.filled[self.first];
        let word = self.first * 64 + filled.trailing_zeros() as usize;
        let bits = &mut self.words[word];
        let index = word * 64 + bits.trailing_zeros() as usize;
        *bits &= *bits - 1;
        if *bits == 0 {
            *filled &= *filled - 1;
        }
        graph.index_at(index)
    }
}
