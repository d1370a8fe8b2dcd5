//! `skip_when`: a dependency's value that makes a model unnecessary (S9).

use std::sync::Arc;

use serde_json::Value;

use crate::{OutputSchema, TaskIndex, Template};

/// Declared by KORA: when any condition holds, the task is not run and `output` stands in its place.
#[derive(Clone, Debug)]
pub struct SkipWhen {
    /// Any one suffices.
    pub any_of: Box<[SkipCondition]>,
    /// What dependents see instead; may refer to dependencies.
    pub output: Template,
    /// What admits `output`: the task's own schema unless KORA declares another.
    pub schema: Arc<OutputSchema>,
}

/// "The value at `pointer` of the dependency's output equals `equals`", numbers compared by value.
#[derive(Clone, Debug, PartialEq)]
pub struct SkipCondition {
    /// A declared dependency.
    pub from: TaskIndex,
    /// JSON pointer into its output. A pointer to nothing equals nothing.
    pub pointer: String,
    /// The value to compare with.
    pub equals: Value,
}
