//! The real model, loaded once for all tests of a process.

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use kora_ir::{Message, Role};
use models::protocol::GenerateRequest;
use serde_json::Value;

use crate::generation::{GenerationError, Halt, Listener, Summary};
use crate::model::{Model, Refusal};

/// Who computes in tests: whoever does in the worker.
#[cfg(not(feature = "llamacpp"))]
pub(crate) type Sampled = crate::llama::Llama;
#[cfg(feature = "llamacpp")]
pub(crate) type Sampled = crate::llamacpp::LlamaCpp;

/// The default model, loaded anew.
pub(crate) fn load(threads: usize) -> Model<Sampled> {
    #[cfg(not(feature = "llamacpp"))]
    let load = Model::load;
    #[cfg(feature = "llamacpp")]
    let load = Model::load_with_llama_cpp;
    load(&model_store::testing::default_model(), None, None, threads).expect("it loads")
}

/// The default model. A test holds it for as long as it asks.
pub(crate) fn model() -> MutexGuard<'static, Model<Sampled>> {
    static MODEL: OnceLock<Mutex<Model<Sampled>>> = OnceLock::new();
    MODEL.get_or_init(|| Mutex::new(load(1))).lock().unwrap_or_else(PoisonError::into_inner)
}

/// What came of a request.
#[derive(Debug, PartialEq)]
pub(crate) struct Reply {
    pub(crate) text: String,
    /// Tokens as they were told, piece by piece.
    pub(crate) told: u64,
    pub(crate) summary: Summary,
}

/// Takes a reply, and halts when it was asked as often as said.
#[derive(Default)]
struct Collecting {
    text: String,
    told: u64,
    asked: u64,
    halt_at: Option<(u64, Halt)>,
}

impl Listener for Collecting {
    fn piece(&mut self, text: String, tokens: u64) -> Result<(), GenerationError> {
        self.text += &text;
        self.told += tokens;
        Ok(())
    }

    fn halt(&mut self) -> Option<Halt> {
        self.asked += 1;
        self.halt_at.filter(|(at, _)| self.asked >= *at).map(|(_, halt)| halt)
    }
}

/// A request with one message and nothing drawn.
pub(crate) fn request(content: &str, schema: Value, max_tokens: u64) -> GenerateRequest {
    GenerateRequest {
        id: 1,
        messages: vec![Message { role: Role::User, content: content.to_owned() }],
        schema,
        max_tokens,
        deadline_ms: 600_000,
        seed: None,
        temperature: None,
        top_p: None,
    }
}

/// Asks the model, and halts when the listener was asked as often as said.
pub(crate) fn ask_until(
    model: &mut Model<Sampled>,
    request: &GenerateRequest,
    halt_at: Option<(u64, Halt)>,
) -> Result<Reply, Refusal> {
    let mut listener = Collecting { halt_at, ..Collecting::default() };
    let prepared = model.prepare(request)?;
    let summary = model.answer(&prepared, &mut listener)?;
    assert_eq!(listener.told, summary.tokens_out, "every token is told");
    let Collecting { text, told, .. } = listener;
    Ok(Reply { text, told, summary })
}

/// Asks the model.
pub(crate) fn ask(model: &mut Model<Sampled>, request: &GenerateRequest) -> Result<Reply, Refusal> {
    ask_until(model, request, None)
}
