//! A case: data that says what is run, what the model answers, and which outcomes are allowed and why.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::Step;

/// The content of `case.json`, beside which lie the graphs that it names.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "the published case format")]
pub struct Case {
    /// What holds if the case passes, as a sentence.
    pub title: String,
    /// The clauses that it observes, the most specific first.
    pub clauses: Vec<String>,
    /// What to look at first in a backend that fails it.
    pub likely_cause: String,
    /// What a backend must have declared for the case to apply.
    #[serde(default)]
    pub requires: Requires,
    /// Whether ids are drawn anew by the seed. Not for graphs whose ids are the point, nor for IR 0.1.
    #[serde(default = "yes")]
    pub draw_ids: bool,
    /// What is run, one after the other. By default `graph.json`, once.
    #[serde(default = "one_run")]
    pub runs: Vec<RunPlan>,
    /// All runs at the same time instead.
    #[serde(default)]
    pub together: bool,
    /// For each task the steps of its attempts; further attempts repeat the last.
    #[serde(default)]
    pub model: BTreeMap<String, Vec<Step>>,
    /// Statuses, failures, stages, outputs and retries must be the same in all runs (C6.1).
    #[serde(default)]
    pub same_meaning: bool,
    /// The outcomes, one of which must be met in full.
    pub allowed: Vec<Allowed>,
}

/// One run of a case.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "the published case format")]
pub struct RunPlan {
    /// A file beside `case.json`.
    #[serde(default = "graph_json")]
    pub graph: String,
    /// Members that replace those of the usual context; `null` leaves one out.
    #[serde(default)]
    pub context: BTreeMap<String, Value>,
    /// The run is cancelled as soon as the model has been called so many times.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancel_after_calls: Option<u32>,
    /// Steps that replace those of the case in this run.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub model: BTreeMap<String, Vec<Step>>,
}

/// What a backend must have declared for a case to apply (C3.7).
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields, default)]
#[expect(clippy::exhaustive_structs, reason = "the published case format")]
pub struct Requires {
    /// Of `supported_task_types`.
    pub task_types: BTreeSet<String>,
    /// Of `operations`.
    pub operations: BTreeSet<String>,
    /// Of `extensions`.
    pub extensions: BTreeSet<String>,
    /// At least this `max_concurrency`.
    pub max_concurrency: Option<u64>,
    /// `local` or `krako`: only for backends of this mode.
    pub backend_mode: Option<String>,
    /// Whether the backend must be told that it is distributed, or not.
    pub distributed: Option<bool>,
}

/// One outcome that the contract allows.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "the published case format")]
pub struct Allowed {
    /// Why the contract allows it.
    pub because: String,
    /// A pattern for the view of every run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub each: Option<Value>,
    /// A pattern for the view of each run, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub runs: Vec<Value>,
    /// A pattern for the capability descriptor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capabilities: Option<Value>,
    /// A pattern for the health status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<Value>,
}

fn yes() -> bool {
    true
}

fn graph_json() -> String {
    String::from("graph.json")
}

fn one_run() -> Vec<RunPlan> {
    vec![RunPlan {
        graph: graph_json(),
        context: BTreeMap::new(),
        cancel_after_calls: None,
        model: BTreeMap::new(),
    }]
}
