//! A model that is ready to answer: runtime, tokens, template, and what earlier prompts left.

use std::path::Path;

use kora_ir::Message;
use models::AdapterErrorKind;
use models::protocol::GenerateRequest;
use schema_grammar::{Grammar, GrammarError, Vocabulary};

use crate::generation::{self, GenerationError, Job, Listener, Summary};
use crate::llama::Llama;
#[cfg(feature = "llamacpp")]
use crate::llamacpp::LlamaCpp;
use crate::pace::Pace;
use crate::prefix::PrefixCache;
use crate::runtime::Runtime;
use crate::sampler::Sampler;
use crate::template::Template;
use crate::tokenizer::Tokenizer;
use crate::weights::{Weights, WeightsError};

/// A loaded model.
pub(crate) struct Model<R: Runtime> {
    runtime: R,
    architecture: String,
    tokenizer: Tokenizer,
    template: Template,
    vocabulary: Vocabulary,
    cache: PrefixCache<R::Kept>,
    pace: Pace,
}

impl Model<Llama> {
    /// Loads the model of a file.
    ///
    /// # Errors
    ///
    /// [`WeightsError`] if no model can be made of it.
    pub(crate) fn load(
        path: &Path,
        sha256: Option<&str>,
        context_tokens: Option<usize>,
        threads: usize,
    ) -> Result<Self, WeightsError> {
        let mut weights = Weights::open(path, sha256)?;
        let architecture = weights.metadata().text("general.architecture")?.unwrap_or_default().to_owned();
        let runtime = Llama::load(&mut weights, context_tokens, threads)?;
        let tokenizer = Tokenizer::read(weights.metadata())?;
        let template = Template::read(weights.metadata(), &tokenizer)?;
        let vocabulary = tokenizer.vocabulary()?;
        Ok(Self {
            runtime,
            architecture,
            tokenizer,
            template,
            vocabulary,
            cache: PrefixCache::new(),
            pace: Pace::new(),
        })
    }
}

#[cfg(feature = "llamacpp")]
impl Model<LlamaCpp> {
    /// Loads the model of a file, to be run by llama.cpp.
    ///
    /// # Errors
    ///
    /// [`WeightsError`] if no model can be made of it.
    pub(crate) fn load_with_llama_cpp(
        path: &Path,
        sha256: Option<&str>,
        context_tokens: Option<usize>,
        threads: usize,
    ) -> Result<Self, WeightsError> {
        let metadata = crate::weights::metadata(path, sha256)?;
        let architecture = metadata.text("general.architecture")?.unwrap_or_default().to_owned();
        let runtime = LlamaCpp::load(path, context_tokens, threads)?;
        let tokenizer = runtime.tokenizer()?;
        let template = Template::read(&metadata, &tokenizer)?;
        let vocabulary = tokenizer.vocabulary()?;
        let (cache, pace) = (PrefixCache::new(), Pace::new());
        Ok(Self { runtime, architecture, tokenizer, template, vocabulary, cache, pace })
    }
}

impl<R: Runtime> Model<R> {
    pub(crate) fn architecture(&self) -> &str {
        &self.architecture
    }

    pub(crate) fn context_tokens(&self) -> usize {
        self.runtime.context_tokens()
    }

    pub(crate) fn parameters(&self) -> u64 {
        self.runtime.parameters()
    }

    /// Reads a request as far as it can be read without computing.
    ///
    /// # Errors
    ///
    /// [`Refusal`] if it cannot be answered.
    pub(crate) fn prepare(&self, request: &GenerateRequest) -> Result<Prepared, Refusal> {
        let sampler = sampler(request)?;
        let grammar = Grammar::compile(&request.schema)?;
        // Before the tokenizer works on a prompt that cannot fit whatever its tokens are.
        let bytes = request.messages.iter().map(|message| message.content.len()).sum();
        let context_tokens = self.runtime.context_tokens();
        generation::check_context(self.tokenizer.fewest(bytes), request.max_tokens, context_tokens)?;
        let prompt = self.prompt(&request.messages)?;
        generation::check_context(prompt.len(), request.max_tokens, context_tokens)?;
        Ok(Prepared { prompt, grammar, sampler, max_tokens: request.max_tokens })
    }

    fn prompt(&self, messages: &[Message<String>]) -> Result<Vec<u32>, Refusal> {
        let rejected = |message: String| Refusal { kind: AdapterErrorKind::Rejected, message };
        if messages.is_empty() {
            return Err(rejected(String::from("there is no message to answer")));
        }
        self.template.tokens(&self.tokenizer, messages).map_err(|error| rejected(error.to_string()))
    }

    /// Forgets earlier prompts.
    #[cfg(test)]
    pub(crate) fn forget(&mut self) {
        self.cache = PrefixCache::new();
    }

    /// Answers a request.
    pub(crate) fn answer(
        &mut self,
        prepared: &Prepared,
        listener: &mut impl Listener,
    ) -> Result<Summary, GenerationError> {
        let job = Job {
            prompt: &prepared.prompt,
            constraint: self.vocabulary.constrain(&prepared.grammar)?,
            sampler: prepared.sampler,
            max_tokens: prepared.max_tokens,
        };
        let Self { runtime, pace, cache, vocabulary, .. } = self;
        generation::generate(runtime, pace, cache, vocabulary, job, listener)
    }
}

/// A request that can be answered.
pub(crate) struct Prepared {
    prompt: Vec<u32>,
    grammar: Grammar,
    sampler: Sampler,
    max_tokens: u64,
}

impl Prepared {
    pub(crate) fn tokens_in(&self) -> u64 {
        self.prompt.len() as u64
    }
}

fn sampler(request: &GenerateRequest) -> Result<Sampler, Refusal> {
    let rejected = |what: &str| Refusal { kind: AdapterErrorKind::Rejected, message: what.to_owned() };
    if request.temperature.is_some_and(|temperature| !(0.0..=100.0).contains(&temperature)) {
        return Err(rejected("`temperature` must lie in 0 to 100"));
    }
    if request.top_p.is_some_and(|top_p| !(top_p > 0.0 && top_p <= 1.0)) {
        return Err(rejected("`top_p` must be above 0 and at most 1"));
    }
    Ok(Sampler::new(request.seed, request.temperature, request.top_p))
}

/// A request that is not answered, and why. Holds nothing of prompt or reply (I9).
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Refusal {
    pub(crate) kind: AdapterErrorKind,
    pub(crate) message: String,
}

impl From<GenerationError> for Refusal {
    fn from(error: GenerationError) -> Self {
        let kind = match &error {
            GenerationError::ContextOverflow { .. } => AdapterErrorKind::ContextOverflow,
            GenerationError::Grammar(error) => grammar_kind(error),
            GenerationError::Runtime(_) | GenerationError::Unheard => AdapterErrorKind::Internal,
        };
        Self { kind, message: error.to_string() }
    }
}

impl From<GrammarError> for Refusal {
    fn from(error: GrammarError) -> Self {
        Self::from(GenerationError::Grammar(error))
    }
}

fn grammar_kind(error: &GrammarError) -> AdapterErrorKind {
    match error {
        GrammarError::Schema(_) | GrammarError::Unsatisfiable(_) | GrammarError::TooComplex(_) => {
            AdapterErrorKind::Rejected
        }
        GrammarError::NotAllowed(_)
        | GrammarError::Ended
        | GrammarError::DeadEnd
        | GrammarError::Engine(_)
        | _ => AdapterErrorKind::Internal,
    }
}

#[cfg(test)]
mod tests;
