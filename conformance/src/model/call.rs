//! What the suite saw of one call to its model: the truth that a backend's telemetry is held against.

use serde::Serialize;

/// One call, as the model's side saw it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[expect(clippy::exhaustive_structs, reason = "a plain record of what was seen")]
pub struct SeenCall {
    /// The task that the prompt's marker names.
    pub task: String,
    /// Counted from 0: the how-manieth call for this task in this run.
    pub attempt: u32,
    /// The model that was asked for.
    pub model: String,
    /// The cap that came with the call, if one did.
    pub max_tokens: Option<u64>,
    /// The whole conversation as text, marker and all.
    pub prompt: String,
    /// Tokens that were generated until the end.
    pub tokens_out: u64,
    /// Place of the call's start among all starts and ends of the run, counted from 0. No clock is read.
    pub started: u64,
    /// Place of its end, `None` while it is under way.
    pub ended: Option<u64>,
    /// How it ended.
    pub end: CallEnd,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "the model's side sees nothing else")]
pub enum CallEnd {
    /// Everything that the script had was said.
    Said,
    /// The script's own fault: an error, or a broken connection.
    Failed,
    /// The backend hung up before the end.
    HungUp,
    /// Still under way when the run was over.
    UnderWay,
}
