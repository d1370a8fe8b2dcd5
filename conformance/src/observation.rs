//! What the suite saw of a case: answers as documents, calls as its own model counted them.

use backend_server::Answer;
use serde_json::Value;

use crate::model::SeenCall;
use crate::subject::Mishap;

/// Everything seen of one case.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "a plain record of what was seen")]
pub struct Observation {
    /// One for each planned run.
    pub runs: Vec<SeenRun>,
    /// Before the first run.
    pub capabilities: Result<Value, Mishap>,
    /// After the last run. The same snapshot, or the backend changed its word (C3.6).
    pub capabilities_after: Result<Value, Mishap>,
    /// After the last run (C3.5).
    pub health: Result<Value, Mishap>,
    /// The last of what the backend logged, if there is a log.
    pub log_tail: Option<String>,
}

/// Everything seen of one run.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "a plain record of what was seen")]
pub struct SeenRun {
    /// The graph as it was sent.
    pub graph: Value,
    /// The context as it was sent.
    pub context: Value,
    /// The ending of ids that was drawn for this run; it is taken out of everything before it is compared.
    pub ending: String,
    /// What came back.
    pub end: RunEnd,
    /// What the model's side saw, in the order in which calls began.
    pub calls: Vec<SeenCall>,
    /// Calls with a marker of no task of this run, or with none at all.
    pub stray_calls: u32,
}

/// How a run ended for who asked for it.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_enums, reason = "answered, cancelled, or neither")]
pub enum RunEnd {
    /// With a result or a refusal.
    Answered(Answer),
    /// The suite cancelled it.
    Cancelled,
    /// With no answer.
    Mishap(Mishap),
}
