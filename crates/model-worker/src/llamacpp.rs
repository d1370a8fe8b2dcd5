//! llama.cpp as the runtime: every architecture that it knows, by its own kernels.

mod vocabulary;

use std::num::NonZeroU32;
use std::path::Path;
use std::sync::OnceLock;

use llama_cpp_2::context::LlamaContext;
use llama_cpp_2::context::params::LlamaContextParams;
use llama_cpp_2::context::session::{LlamaStateSeqFlags, SeqState};
use llama_cpp_2::llama_backend::LlamaBackend;
use llama_cpp_2::llama_batch::LlamaBatch;
use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::model::params::LlamaModelParams;
use llama_cpp_2::token::LlamaToken;

use crate::runtime::{Batch, Pass, Runtime, RuntimeError};
use crate::tokenizer::Tokenizer;
use crate::weights::WeightsError;

/// Tokens of a pass. Its kernels add up in other orders for other numbers, so it is always the same; few, because no
/// pass of llama.cpp can be ended from here. It divides what is remembered of a prompt.
const PASS: u32 = 8;
/// Tokens beyond those that are kept that a state may have.
const MOST_BEYOND: usize = 64;
/// The one sequence.
const SEQUENCE: i32 = 0;

/// A model in memory, and the one sequence that it is at.
#[derive(Debug)]
pub(crate) struct LlamaCpp {
    model: &'static LlamaModel,
    context: LlamaContext<'static>,
    context_tokens: usize,
    vocabulary: usize,
    /// Tokens of the sequence.
    fed: usize,
    /// Whether the latest pass was of this sequence.
    is_read: bool,
    scores: Vec<f32>,
}

/// The state of a sequence; `None` if llama.cpp could not tell it.
pub(crate) struct Kept(Option<SeqState>);

impl LlamaCpp {
    /// Loads the model. `context_tokens` may narrow what the model allows; `threads` compute.
    ///
    /// The weights stay in memory for as long as the process lives: it has one model.
    ///
    /// # Errors
    ///
    /// [`WeightsError`] if llama.cpp cannot run the file.
    pub(crate) fn load(
        path: &Path,
        context_tokens: Option<usize>,
        threads: usize,
    ) -> Result<Self, WeightsError> {
        let backend = backend()?;
        // Read, not mapped: nobody can change under us what was compared with its digest.
        let parameters = LlamaModelParams::default().with_n_gpu_layers(0).with_use_mmap(false);
        let model = LlamaModel::load_from_file(backend, path, &parameters)
            .map_err(|error| refused(&format!("llama.cpp does not load it ({error})")))?;
        let model: &'static LlamaModel = Box::leak(Box::new(model));
        let allowed = model.n_ctx_train();
        let context_tokens =
            context_tokens.map_or(allowed, |asked| u32::try_from(asked).unwrap_or(u32::MAX).min(allowed));
        let threads = i32::try_from(threads.max(1)).unwrap_or(i32::MAX);
        let parameters = LlamaContextParams::default()
            .with_n_ctx(NonZeroU32::new(context_tokens))
            .with_n_batch(PASS)
            .with_n_ubatch(PASS)
            .with_n_seq_max(1)
            .with_n_threads(threads)
            .with_n_threads_batch(threads);
        let context = model.new_context(backend, parameters).map_err(|error| {
            refused(&format!("llama.cpp makes no context of {context_tokens} tokens for it ({error})"))
        })?;
        Ok(Self {
            context_tokens: context_tokens as usize,
            vocabulary: usize::try_from(model.n_vocab()).unwrap_or(0),
            model,
            context,
            fed: 0,
            is_read: false,
            scores: Vec::new(),
        })
    }

    /// How this model's text becomes tokens, by llama.cpp's own rules.
    pub(crate) fn tokenizer(&self) -> Result<Tokenizer, WeightsError> {
        vocabulary::tokenizer(self.model)
    }

    /// Forgets the sequence from its token `from` on. Some architectures can only forget all of it.
    fn forget(&mut self, from: usize) -> bool {
        let from = u32::try_from(from).ok();
        let is_done = self.context.kv_cache_seq_rm(SEQUENCE, from, None).is_ok();
        self.is_read = false;
        is_done
    }
}

/// llama.cpp, readied once for the process and silent: what it would write has no place in what a worker says.
fn backend() -> Result<&'static LlamaBackend, WeightsError> {
    static BACKEND: OnceLock<Result<LlamaBackend, String>> = OnceLock::new();
    let ready = || {
        let mut backend = LlamaBackend::init().map_err(|error| error.to_string())?;
        backend.void_logs();
        Ok(backend)
    };
    BACKEND.get_or_init(ready).as_ref().map_err(|error| refused(error))
}

fn refused(what: &str) -> WeightsError {
    WeightsError::ByLlamaCpp(what.to_owned())
}

fn failed(error: impl ToString) -> RuntimeError {
    RuntimeError::LlamaCpp(error.to_string())
}

impl Runtime for LlamaCpp {
    type Kept = Kept;

    fn context_tokens(&self) -> usize {
        self.context_tokens
    }

    fn parameters(&self) -> u64 {
        self.model.n_params()
    }

    fn clear(&mut self) {
        self.forget(0);
        self.fed = 0;
    }

    fn resume(&mut self, kept: &Kept, tokens: usize) -> usize {
        self.clear();
        let Kept(Some(state)) = kept else { return 0 };
        let is_there = self.context.state_seq_set(state, SEQUENCE).is_ok() && self.forget(tokens);
        if is_there {
            self.fed = tokens;
        } else {
            self.clear();
        }
        self.fed
    }

    fn keep(&self, tokens: usize) -> Kept {
        // A state is of the whole sequence, and what is too much is taken away where it is gone on from. What goes far
        // beyond what is to be kept would only take memory.
        let is_near = self.fed <= tokens + MOST_BEYOND;
        let state = || self.context.state_seq_get(SEQUENCE, LlamaStateSeqFlags::empty()).ok();
        Kept(is_near.then(state).flatten())
    }

    fn batch(&self) -> Batch {
        Batch::Fixed(PASS as usize)
    }

    fn feed(&mut self, tokens: &[u32], stop: &mut dyn FnMut() -> bool) -> Result<Pass, RuntimeError> {
        if tokens.is_empty() {
            return Ok(Pass::Whole);
        }
        if stop() {
            return Ok(Pass::Stopped);
        }
        if self.fed + tokens.len() > self.context_tokens {
            return Err(RuntimeError::Full { context_tokens: self.context_tokens });
        }
        let mut batch = LlamaBatch::new(tokens.len(), 1);
        for (at, token) in tokens.iter().enumerate() {
            let id = i32::try_from(*token).ok().filter(|_| (*token as usize) < self.vocabulary);
            let id = id.ok_or(RuntimeError::UnknownToken(*token))?;
            let place = i32::try_from(self.fed + at).map_err(failed)?;
            let is_last = at + 1 == tokens.len();
            batch.add(LlamaToken::new(id), place, &[SEQUENCE], is_last).map_err(failed)?;
        }
        self.is_read = false;
        self.context.decode(&mut batch).map_err(failed)?;
        self.fed += tokens.len();
        self.is_read = true;
        Ok(Pass::Whole)
    }

    fn scores(&mut self, tokens: &[u32]) -> Result<&[f32], RuntimeError> {
        // llama.cpp has nothing to show then, and its binding panics.
        if !self.is_read {
            return Err(failed("nothing was fed"));
        }
        let all = self.context.get_logits_ith(-1);
        self.scores.clear();
        for token in tokens {
            let score = all.get(*token as usize).ok_or(RuntimeError::UnknownToken(*token))?;
            self.scores.push(*score);
        }
        if self.scores.iter().any(|score| !score.is_finite()) {
            return Err(RuntimeError::NotANumber);
        }
        Ok(&self.scores)
    }
}
