//! Laws: what must hold in every run of every case, whatever the case is about.

use std::collections::BTreeMap;

use kora_ir::{CheckedGraph, GraphDigest, Task};
use serde_json::Value;

use super::pattern;
use crate::model::{SeenCall, Step};

/// A rule over any run. Each is a case of its own, judged on all runs of the suite.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Law {
    pub(crate) id: &'static str,
    /// What holds, as a sentence.
    pub(crate) title: &'static str,
    /// The most specific first.
    pub(crate) clauses: &'static [&'static str],
    /// What to look at first in a backend that breaks it.
    pub(crate) likely_cause: &'static str,
    /// Looks at one run. The law was not put to the test by a run that gives [`Occasion::None`].
    pub(crate) judge: fn(&Sight<'_>, &mut Faults) -> Occasion,
}

/// Whether a run put a law to the test.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Occasion {
    /// There was nothing to judge.
    None,
    /// There was.
    Given,
}

impl Occasion {
    pub(crate) fn given_if(there_was: bool) -> Self {
        if there_was { Self::Given } else { Self::None }
    }
}

/// Everything that a law may look at.
#[derive(Debug)]
pub(crate) struct Sight<'a> {
    /// The view of the run.
    pub(crate) view: &'a Value,
    /// The graph with the author's ids, if it is one.
    pub(crate) graph: Option<&'a CheckedGraph>,
    /// Of the graph as it was sent.
    pub(crate) digest: Option<&'a GraphDigest>,
    /// As it was sent.
    pub(crate) context: &'a Value,
    /// What the model had to say in this run.
    pub(crate) steps: &'a BTreeMap<String, Vec<Step>>,
    /// What its side saw.
    pub(crate) calls: &'a [SeenCall],
    pub(crate) capabilities: &'a Value,
    pub(crate) capabilities_after: &'a Value,
    pub(crate) health: &'a Value,
    /// What the graph needs and the backend does not declare.
    pub(crate) undeclared: Option<&'a str>,
}

impl<'a> Sight<'a> {
    /// The result, if the run was answered with one.
    pub(crate) fn result(&self) -> Option<&'a Value> {
        self.view.get("result")
    }

    /// The records in their order, each with the task that it names if the graph has it.
    pub(crate) fn records(&self) -> impl Iterator<Item = (String, &'a Value, Option<&'a Task>)> {
        let records = self.result().and_then(|result| result["telemetry_bundle"]["tasks"].as_array());
        records.into_iter().flatten().enumerate().map(|(place, record)| {
            let at = format!("/result/telemetry_bundle/tasks/{place}");
            (at, record, record["task_id"].as_str().and_then(|id| self.task(id)))
        })
    }

    /// The task with this id.
    pub(crate) fn task(&self, id: &str) -> Option<&'a Task> {
        let graph = self.graph?;
        graph.index_of(id).map(|index| graph.task(index))
    }

    /// The calls for this task, in the order in which they began.
    pub(crate) fn calls_of(&self, task: &str) -> impl Iterator<Item = &'a SeenCall> {
        self.calls.iter().filter(move |call| call.task == task)
    }

    /// The step that answered `call`.
    pub(crate) fn step(&self, call: &SeenCall) -> Option<&'a Step> {
        let steps = self.steps.get(&call.task)?;
        steps.get(usize::try_from(call.attempt).ok()?).or(steps.last())
    }
}

/// Where a law does not hold.
#[derive(Debug, Default)]
pub(crate) struct Faults(pub(crate) Vec<pattern::Mismatch>);

/// Faults of one law in one run beyond this number say nothing new.
const MAX_FAULTS: usize = 8;

impl Faults {
    pub(crate) fn add(&mut self, at: impl Into<String>, expected: impl Into<Value>, got: impl Into<Value>) {
        if self.0.len() < MAX_FAULTS {
            self.0.push(pattern::Mismatch { at: at.into(), expected: expected.into(), got: got.into() });
        }
    }

    /// Adds a fault unless the two are equal numbers.
    pub(crate) fn unless_equal(&mut self, at: impl Into<String>, expected: u64, got: &Value) {
        if got.as_u64() != Some(expected) {
            self.add(at, expected, got.clone());
        }
    }

    /// Adds a fault for each place where `document`, which is at `at`, is not as `pattern` says.
    pub(crate) fn unless_matches(&mut self, at: &str, pattern: &Value, document: &Value) {
        for found in pattern::mismatches(pattern, document) {
            self.add(format!("{at}{}", found.at), found.expected, found.got);
        }
    }
}
