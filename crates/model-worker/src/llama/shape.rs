//! How large a model is in every direction, as its file says, within bounds.

use crate::numbers::BLOCK;
use crate::weights::{Metadata, WeightsError};

/// The largest context that is kept (I8).
const MAX_CONTEXT: usize = 1 << 17;

#[derive(Clone, Debug)]
pub(super) struct Shape {
    pub(super) vocabulary: usize,
    pub(super) context: usize,
    pub(super) layers: usize,
    /// Values that a token's state has.
    pub(super) width: usize,
    /// Values that it has within a feed-forward layer.
    pub(super) inner_width: usize,
    pub(super) heads: usize,
    /// Each is shared by as many heads.
    pub(super) key_heads: usize,
    pub(super) head_width: usize,
    pub(super) norm_epsilon: f32,
    pub(super) rotation_base: f64,
}

impl Shape {
    pub(super) fn read(metadata: &Metadata, context_tokens: Option<usize>) -> Result<Self, WeightsError> {
        let architecture = metadata.text("general.architecture")?.unwrap_or("(none)");
        if architecture != "llama" {
            return Err(WeightsError::unsupported(format!("its architecture is `{architecture}`")));
        }
        only_what_is_computed(metadata)?;
        let width = metadata.count_within("llama.embedding_length", BLOCK..=1 << 15)?;
        let heads = metadata.count_within("llama.attention.head_count", 1..=512)?;
        let key_heads = match metadata.count("llama.attention.head_count_kv")? {
            None => heads,
            Some(_) => metadata.count_within("llama.attention.head_count_kv", 1..=heads)?,
        };
        let head_width = width / heads;
        let shape = Self {
            vocabulary: metadata.texts("tokenizer.ggml.tokens")?.len(),
            context: context(metadata, context_tokens)?,
            layers: metadata.count_within("llama.block_count", 1..=256)?,
            width,
            inner_width: metadata.count_within("llama.feed_forward_length", BLOCK..=1 << 17)?,
            heads,
            key_heads,
            head_width,
            norm_epsilon: metadata.float("llama.attention.layer_norm_rms_epsilon")?.unwrap_or(1e-5) as f32,
            rotation_base: metadata.float("llama.rope.freq_base")?.unwrap_or(10_000.0),
        };
        shape.check(metadata)?;
        Ok(shape)
    }

    /// Values of all queries of a token.
    pub(super) fn query_width(&self) -> usize {
        self.heads * self.head_width
    }

    /// Values of all keys of a token; as many as of its values.
    pub(super) fn key_width(&self) -> usize {
        self.key_heads * self.head_width
    }

    fn check(&self, metadata: &Metadata) -> Result<(), WeightsError> {
        let fault = if self.width != self.heads * self.head_width
            || !self.heads.is_multiple_of(self.key_heads)
        {
            Some(format!("{} heads share {} values and {} keys", self.heads, self.width, self.key_heads))
        } else if !self.head_width.is_multiple_of(2) {
            Some(format!("a head of {} values cannot be rotated", self.head_width))
        } else if !self.width.is_multiple_of(BLOCK) || !self.inner_width.is_multiple_of(BLOCK) {
            Some(format!("{} and {} values are not made of blocks of {BLOCK}", self.width, self.inner_width))
        } else if !(self.norm_epsilon > 0.0 && self.norm_epsilon < 1.0) {
            Some(format!("an epsilon of {} cannot be", self.norm_epsilon))
        } else if !(self.rotation_base >= 1.0 && self.rotation_base.is_finite()) {
            Some(format!("a rotation base of {} cannot be", self.rotation_base))
        } else if self.vocabulary == 0 || self.vocabulary > 1 << 20 {
            Some(format!("a vocabulary of {} tokens cannot be", self.vocabulary))
        } else {
            None
        };
        if let Some(fault) = fault {
            return Err(WeightsError::invalid(fault));
        }
        for (name, wanted) in [
            ("llama.vocab_size", self.vocabulary),
            ("llama.rope.dimension_count", self.head_width),
            ("llama.attention.key_length", self.head_width),
            ("llama.attention.value_length", self.head_width),
        ] {
            if let Some(found) = metadata.count(name)?.filter(|found| *found != wanted) {
                return Err(WeightsError::unsupported(format!(
                    "metadata `{name}` are {found}, not {wanted}"
                )));
            }
        }
        Ok(())
    }
}

/// Refuses what would silently be computed as something else.
fn only_what_is_computed(metadata: &Metadata) -> Result<(), WeightsError> {
    if metadata.count("llama.expert_count")?.is_some_and(|experts| experts > 0) {
        return Err(WeightsError::unsupported("it is a mixture of experts"));
    }
    if metadata.text("llama.rope.scaling.type")?.is_some_and(|scaling| scaling != "none") {
        return Err(WeightsError::unsupported("its positions are scaled"));
    }
    Ok(())
}

fn context(metadata: &Metadata, context_tokens: Option<usize>) -> Result<usize, WeightsError> {
    let trained = metadata.count_within("llama.context_length", 1..=usize::MAX)?.min(MAX_CONTEXT);
    match context_tokens {
        None => Ok(trained),
        Some(asked) if (1..=trained).contains(&asked) => Ok(asked),
        Some(asked) => Err(WeightsError::unsupported(format!(
            "a context of {asked} tokens was asked for, it can have 1 to {trained}"
        ))),
    }
}
