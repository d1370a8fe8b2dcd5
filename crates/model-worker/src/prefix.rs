//! What was computed for earlier prompts, for those that begin the same.

use std::collections::VecDeque;

use crate::runtime::Runtime;

/// What is remembered of a prompt is whole pieces of so many tokens, counted from its first. Where the company of a
/// token matters ([`Batch::Fixed`](crate::runtime::Batch)), it is then the same whether it was computed now or earlier.
pub(crate) const CHUNK: usize = 32;
/// Prompts that are remembered.
const MAX_PROMPTS: usize = 4;
/// Tokens of one prompt that are remembered.
const MAX_TOKENS: usize = 64 * CHUNK;

/// The latest prompts, the most recently used last.
pub(crate) struct PrefixCache<K> {
    prompts: VecDeque<(Vec<u32>, K)>,
}

impl<K: Send> PrefixCache<K> {
    pub(crate) fn new() -> Self {
        Self { prompts: VecDeque::new() }
    }

    /// Begins the runtime's sequence with what is known of `prompt`, and says how many tokens that is. The last one
    /// is never among them: a reply needs it computed.
    pub(crate) fn begin<R: Runtime<Kept = K>>(&mut self, runtime: &mut R, prompt: &[u32]) -> usize {
        let known = |(tokens, _): &(Vec<u32>, K)| {
            let equal = tokens.iter().zip(prompt).take_while(|(a, b)| a == b).count();
            equal.min(prompt.len().saturating_sub(1)) / CHUNK * CHUNK
        };
        let best = self.prompts.iter().enumerate().max_by_key(|(_, kept)| known(kept));
        let Some((at, tokens)) = best.map(|(at, kept)| (at, known(kept))).filter(|(_, tokens)| *tokens > 0)
        else {
            runtime.clear();
            return 0;
        };
        let Some(kept) = self.prompts.remove(at) else { return 0 };
        let tokens = runtime.resume(&kept.1, tokens);
        self.prompts.push_back(kept);
        tokens
    }

    /// Remembers `prompt`, which the runtime has just computed, unless that much of it is known.
    pub(crate) fn remember<R: Runtime<Kept = K>>(&mut self, runtime: &R, prompt: &[u32]) {
        let whole = prompt.len().min(MAX_TOKENS) / CHUNK * CHUNK;
        let Some(start) = prompt.get(..whole).filter(|start| !start.is_empty()) else { return };
        if self.prompts.iter().any(|(tokens, _)| tokens.starts_with(start)) {
            return;
        }
        // What it begins with is known through it from now on.
        self.prompts.retain(|(tokens, _)| !start.starts_with(tokens));
        if self.prompts.len() >= MAX_PROMPTS {
            self.prompts.pop_front();
        }
        self.prompts.push_back((start.to_vec(), runtime.keep(whole)));
    }
}
