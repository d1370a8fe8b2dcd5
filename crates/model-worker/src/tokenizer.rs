//! Text as tokens and back, as the model learned them.

mod byte_level;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use schema_grammar::{Encode, Token, Vocabulary};
use tokenizers::models::bpe::BPE;
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::digits::Digits;
use tokenizers::pre_tokenizers::sequence::Sequence;

use crate::weights::{Metadata, WeightsError};

/// Tokens that a model may have.
const MAX_TOKENS: usize = 1 << 20;
/// The kind of token that stands for no text, in a file.
const CONTROL: i64 = 3;
/// The kind of token that is text.
const NORMAL: i64 = 1;

/// Text that someone else wrote, as tokens. It never finds a control token.
pub(crate) type Plain = Arc<dyn Fn(&str) -> Vec<u32> + Send + Sync>;

/// The tokenizer of one model.
#[derive(Clone)]
pub(crate) struct Tokenizer {
    // Without any control token: user text cannot hold one, whatever it says.
    plain: Plain,
    controls: Arc<BTreeMap<String, u32>>,
    tokens: Arc<Vec<Token>>,
    beginning: Option<u32>,
    end: Vec<u32>,
    longest: usize,
}

impl Tokenizer {
    /// Builds the tokenizer that the metadata describe.
    ///
    /// # Errors
    ///
    /// [`WeightsError`] if it is of a kind that is not known here. A near miss would be worse: text would silently
    /// become other tokens than the model learned.
    pub(crate) fn read(metadata: &Metadata) -> Result<Self, WeightsError> {
        let model = metadata.text("tokenizer.ggml.model")?.unwrap_or("(none)");
        if model != "gpt2" {
            return Err(WeightsError::unsupported(format!("its tokenizer is of kind `{model}`, not `gpt2`")));
        }
        let pre = pre_tokenizer(metadata.text("tokenizer.ggml.pre")?.unwrap_or("(none)"))?;
        let texts = metadata.texts("tokenizer.ggml.tokens")?;
        let kinds = metadata.integers("tokenizer.ggml.token_type")?;
        if texts.len() > MAX_TOKENS || texts.len() != kinds.len() {
            return Err(WeightsError::invalid(format!(
                "{} tokens of {} kinds, where as many of both and at most {MAX_TOKENS} can be",
                texts.len(),
                kinds.len()
            )));
        }
        let mut controls = BTreeMap::new();
        let mut vocabulary = Vec::with_capacity(texts.len());
        let mut tokens = Vec::with_capacity(texts.len());
        for (id, (text, kind)) in (0_u32..).zip(texts.iter().zip(kinds)) {
            tokens.push(match *kind {
                NORMAL => {
                    let bytes =
                        byte_level::bytes(text).filter(|bytes| !bytes.is_empty()).ok_or_else(|| {
                            WeightsError::invalid(format!(
                                "token {id} is not written in the byte-level alphabet"
                            ))
                        })?;
                    vocabulary.push((text.clone(), id));
                    Token::Bytes(bytes)
                }
                CONTROL => {
                    controls.insert(text.clone(), id);
                    Token::Control(text.clone())
                }
                // Unknown, user-defined and unused ones: nothing writes them and nothing is read as them.
                _ => Token::Control(format!("unused {id}")),
            });
        }
        let plain = Self::plain(vocabulary, metadata.texts("tokenizer.ggml.merges")?, pre)?;
        let special = |name: &str| special(metadata, name, texts.len());
        let Some(end) = special("tokenizer.ggml.eos_token_id")? else {
            return Err(crate::weights::missing("tokenizer.ggml.eos_token_id"));
        };
        let mut all_ends = vec![end];
        all_ends.extend(special("tokenizer.ggml.eot_token_id")?.filter(|eot| *eot != end));
        let beginning = match metadata.truth("tokenizer.ggml.add_bos_token")? {
            Some(true) => special("tokenizer.ggml.bos_token_id")?,
            Some(false) | None => None,
        };
        // Without a limit on length and without normalisation, no text can fail.
        let plain = move |text: &str| {
            plain.encode_fast(text, false).map(|encoding| encoding.get_ids().to_vec()).unwrap_or_default()
        };
        Ok(Self::assemble(tokens, controls, Arc::new(plain), beginning, all_ends))
    }

    /// A tokenizer of these tokens, each in the place of its id, of which a template may name `controls`.
    pub(crate) fn assemble(
        tokens: Vec<Token>,
        controls: BTreeMap<String, u32>,
        plain: Plain,
        beginning: Option<u32>,
        end: Vec<u32>,
    ) -> Self {
        let longest = tokens.iter().map(|token| match token {
            Token::Bytes(bytes) => bytes.len(),
            Token::Control(_) => 0,
        });
        Self {
            longest: longest.max().unwrap_or(0),
            tokens: Arc::new(tokens),
            controls: Arc::new(controls),
            plain,
            beginning,
            end,
        }
    }

    fn plain(
        vocabulary: Vec<(String, u32)>,
        merges: &[String],
        pre: PreTokenizerWrapper,
    ) -> Result<tokenizers::Tokenizer, WeightsError> {
        let merges: Option<Vec<(String, String)>> = merges
            .iter()
            .map(|merge| merge.split_once(' ').map(|(left, right)| (left.to_owned(), right.to_owned())))
            .collect();
        let merges = merges.ok_or_else(|| WeightsError::invalid("a merge is not of two parts"))?;
        let listed = vocabulary.len();
        let vocabulary: tokenizers::models::bpe::Vocab = vocabulary.into_iter().collect();
        if vocabulary.len() != listed {
            return Err(WeightsError::invalid("two of its tokens are the same text"));
        }
        let model = BPE::builder().vocab_and_merges(vocabulary, merges).build().map_err(|error| {
            WeightsError::invalid(format!("its tokenizer does not fit together: {error}"))
        })?;
        let mut plain = tokenizers::Tokenizer::new(model);
        plain.with_pre_tokenizer(Some(pre));
        Ok(plain)
    }

    /// The tokens of text that someone else wrote. None is a control token.
    ///
    /// Bytes that no token is, rare control characters, are left out: the model has never seen any.
    pub(crate) fn plain_text(&self, text: &str) -> Vec<u32> {
        if text.is_empty() {
            return Vec::new();
        }
        (self.plain)(text)
    }

    /// The tokens of a template's own text, in which control tokens are written by name.
    pub(crate) fn template_text(&self, text: &str) -> Vec<u32> {
        let mut tokens = Vec::new();
        let mut rest = text;
        while let Some((at, name, id)) = self.next_control(rest) {
            tokens.extend(self.plain_text(rest.get(..at).unwrap_or_default()));
            tokens.push(id);
            rest = rest.get(at + name.len()..).unwrap_or_default();
        }
        tokens.extend(self.plain_text(rest));
        tokens
    }

    /// The first control token in `text`, the longest if several begin there.
    fn next_control(&self, text: &str) -> Option<(usize, &str, u32)> {
        let found = self
            .controls
            .iter()
            .filter_map(|(name, id)| Some((text.find(name.as_str())?, name.as_str(), *id)));
        found.min_by_key(|(at, name, _)| (*at, std::cmp::Reverse(name.len())))
    }

    /// The token with which every sequence begins, if there is one.
    pub(crate) fn beginning(&self) -> Option<u32> {
        self.beginning
    }

    /// The control token of this name, as a template may ask for it.
    pub(crate) fn control_name(&self, id: u32) -> Option<&str> {
        match self.tokens.get(id as usize)? {
            Token::Control(name) => Some(name),
            Token::Bytes(_) => None,
        }
    }

    /// The fewest tokens that `bytes` of text can be.
    pub(crate) fn fewest(&self, bytes: usize) -> usize {
        bytes / self.longest.max(1)
    }

    /// The tokens that end a text.
    pub(crate) fn end(&self) -> &[u32] {
        &self.end
    }

    /// Arranges the tokens for grammars.
    pub(crate) fn vocabulary(&self) -> Result<Vocabulary, WeightsError> {
        let tokenizer = self.clone();
        let encode: Encode = Arc::new(move |bytes: &[u8]| match std::str::from_utf8(bytes) {
            Ok(text) => tokenizer.plain_text(text),
            Err(_) => Vec::new(),
        });
        Vocabulary::new(self.tokens.as_ref().clone(), &self.end, encode)
            .map_err(|error| WeightsError::invalid(format!("its tokens are of no use: {error}")))
    }
}

impl fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokenizer")
            .field("tokens", &self.tokens.len())
            .field("end", &self.end)
            .finish_non_exhaustive()
    }
}

fn special(metadata: &Metadata, name: &str, tokens: usize) -> Result<Option<u32>, WeightsError> {
    match metadata.count(name)? {
        None => Ok(None),
        Some(id) if id < tokens => Ok(u32::try_from(id).ok()),
        Some(id) => {
            Err(WeightsError::invalid(format!("metadata `{name}` name token {id}, which does not exist")))
        }
    }
}

/// How text is cut before its pieces are merged. Every family of models has its own way.
fn pre_tokenizer(name: &str) -> Result<PreTokenizerWrapper, WeightsError> {
    // No space is added in front, and words, numbers and spaces are told apart.
    let byte_level = ByteLevel::new(false, true, true);
    match name {
        "gpt-2" => Ok(PreTokenizerWrapper::ByteLevel(byte_level)),
        "smollm" => Ok(PreTokenizerWrapper::Sequence(Sequence::new(vec![
            PreTokenizerWrapper::Digits(Digits::new(true)),
            PreTokenizerWrapper::ByteLevel(byte_level),
        ]))),
        other => Err(WeightsError::unsupported(format!(
            "it cuts text in the way `{other}`, and only `smollm` and `gpt-2` are known"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::weights::Weights;

    fn tokenizer() -> Tokenizer {
        let weights = Weights::open(&model_store::testing::default_model(), None).unwrap();
        Tokenizer::read(weights.metadata()).unwrap()
    }

    /// Recorded from llama.cpp with the same file.
    #[test]
    fn text_becomes_the_tokens_that_the_model_learned() {
        let tokenizer = tokenizer();
        for (text, tokens) in [
            ("", &[][..]),
            ("Hello", &[19556]),
            (
                "Hello world, 12345 apples cost $3.50!",
                &[19556, 905, 28, 216, 33, 34, 35, 36, 37, 13855, 1708, 1885, 35, 30, 37, 32, 17],
            ),
            ("  two  spaces\n\n\tand tabs ", &[216, 827, 216, 5600, 1116, 197, 397, 29416, 216]),
            (
                "Grüße aus Köln: 日本語 😀",
                &[
                    27302, 7170, 34878, 85, 253, 376, 659, 7466, 34115, 42, 17097, 241, 115, 40993, 179, 120,
                    248, 40303, 218,
                ],
            ),
            ("don't you'll WE'VE", &[12420, 982, 346, 3060, 26587, 23, 18525]),
            (
                r#"{"city":"Paris","n":-1.5e+10}"#,
                &[39428, 20721, 25535, 38634, 14460, 94, 1799, 29, 33, 30, 37, 85, 27, 33, 32, 109],
            ),
            (
                "<|im_start|>system\nhi<|im_end|>",
                &[44, 108, 306, 79, 3738, 108, 46, 9690, 198, 6004, 44, 108, 306, 79, 486, 108, 46],
            ),
        ] {
            assert_eq!(tokenizer.plain_text(text), tokens, "{text:?}");
        }
        assert_eq!(tokenizer.template_text("<|im_start|>system\nhi<|im_end|>"), [1, 9690, 198, 6004, 2]);
    }

    #[test]
    fn a_way_of_cutting_text_that_is_not_known_is_refused() {
        for name in ["llama-bpe", "qwen2", "(none)"] {
            assert!(matches!(pre_tokenizer(name), Err(WeightsError::Unsupported(_))));
        }
    }
}
