//! Which models the suite serves, and where.

use std::sync::Arc;

use serde::Serialize;

use crate::model::ModelBook;

/// A model that the suite's side serves.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[expect(clippy::exhaustive_structs, reason = "what the protocol's hello tells of a model")]
pub struct SuiteModel {
    /// By which tasks ask for it.
    pub id: &'static str,
    /// The class of models it belongs to, by which tasks may ask as well.
    pub tier: &'static str,
    /// Tokens of prompt and reply together.
    pub context_tokens: u64,
}

/// All that are served. Two, so that a backend can be seen taking the heavier one (C11.3).
pub const MODELS: [SuiteModel; 2] = [
    SuiteModel { id: "suite-small", tier: "small", context_tokens: 8192 },
    SuiteModel { id: "suite-large", tier: "large", context_tokens: 32768 },
];

/// Where the suite's model is found by what is made for a case.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "in this process, and maybe at an address")]
pub struct ModelEndpoint {
    /// What answers, for whoever is in this process.
    pub book: Arc<ModelBook>,
    /// Where a server listens that answers from the same book, up to and including `/v1`, if one does.
    pub base_url: Option<String>,
}
