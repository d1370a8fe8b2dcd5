//! What a good backend does not remember from one run to the next. Some mutants do.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use kora_ir::ValidatedOutput;
use serde_json::Value;

use super::admission::Context;
use super::budget::Used;

/// Everything that outlives a run.
#[derive(Debug, Default)]
pub(super) struct Memory(Mutex<Remembered>);

/// What is remembered. The plain backend counts runs and looks at nothing here.
#[derive(Debug, Default)]
pub(super) struct Remembered {
    pub(super) runs: u64,
    pub(super) under_way: u64,
    pub(super) descriptors: u32,
    pub(super) run_ids: BTreeSet<String>,
    pub(super) results: BTreeMap<String, Value>,
    pub(super) used: Used,
    pub(super) attempts: BTreeMap<String, u32>,
    /// By task id.
    pub(super) outputs: BTreeMap<String, ValidatedOutput>,
    /// By the task's place, of runs that are under way.
    pub(super) table: BTreeMap<usize, ValidatedOutput>,
    pub(super) latest: Option<Context>,
    pub(super) a_run_failed: bool,
    pub(super) a_graph_was_refused: bool,
    pub(super) a_run_was_cancelled: bool,
}

impl Memory {
    pub(super) fn look(&self) -> MutexGuard<'_, Remembered> {
        // Nothing inside of the lock panics halfway.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
