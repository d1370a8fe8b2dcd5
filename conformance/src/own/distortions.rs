//! What some mutants make of prompts, outputs and outcomes. For every other backend they pass through unchanged.

use std::sync::Arc;

use kora_ir::{CheckedGraph, PromptTemplate, TaskIndex, TaskType, ValidatedOutput};
use serde_json::{Value, json};

use super::Defect;
use super::attempt::as_it_is;
use super::budget::Spent;
use super::failure::VALIDATION_ERROR;
use super::readings::{each_leaf, whole};
use super::run::{Outcome, Run};

/// A payload with references to nothing replaced by null.
pub(super) fn filled<'o>(
    template: &Value,
    output_of: impl Fn(&str) -> Option<&'o ValidatedOutput> + Copy,
) -> Value {
    match template {
        Value::Array(items) => items.iter().map(|item| filled(item, output_of)).collect(),
        Value::Object(members) => match members.get("$from").and_then(Value::as_str) {
            Some(from) => {
                let pointer = members.get("pointer").and_then(Value::as_str).unwrap_or_default();
                output_of(from)
                    .and_then(|output| output.value().pointer(pointer))
                    .cloned()
                    .unwrap_or_default()
            }
            None => {
                let members = members.iter().map(|(name, member)| (name.clone(), filled(member, output_of)));
                Value::Object(members.collect())
            }
        },
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => template.clone(),
    }
}

/// A message of a prompt.
pub(super) fn prompt(run: &Run, content: String, input: &Arc<Value>) -> String {
    if run.has(Defect::FillsPlaceholdersTwice) {
        let again = PromptTemplate::parse(&content).ok().and_then(|template| template.fill(input).ok());
        return again.unwrap_or(content);
    }
    if run.has(Defect::TellsTheModelEverything) {
        let outputs = run.tasks.iter().filter_map(|state| Some(state.output.as_ref()?.value().to_string()));
        return format!("So far: {}\n{content}", outputs.collect::<Vec<_>>().join("\n"));
    }
    content
}

/// The output of a task that was run.
pub(super) fn output(
    run: &Run,
    graph: &CheckedGraph,
    index: TaskIndex,
    output: Option<ValidatedOutput>,
    spent: &Spent,
    refused: Option<&Value>,
) -> Option<ValidatedOutput> {
    let task = graph.task(index);
    let id = task.id.as_str();
    if run.has(Defect::AttemptsCountedForever) {
        *run.world.memory.look().attempts.entry(id.to_owned()).or_default() += spent.attempts;
    }
    let Some(output) = output else {
        return refused.filter(|_| run.has(Defect::HandsOnWhatIsRefused)).cloned().map(as_it_is);
    };
    if run.has(Defect::OutputsCachedByTask) && task.task_type.is_model() {
        return Some(run.world.memory.look().outputs.entry(id.to_owned()).or_insert(output).clone());
    }
    if run.has(Defect::OutputsMixed) {
        let place = index.as_usize();
        return Some(run.world.memory.look().table.entry(place).or_insert(output).clone());
    }
    let odd_run = run.world.memory.look().runs % 2 == 1;
    let is_aggregation = task.task_type == TaskType::Aggregation;
    if is_aggregation && run.has(Defect::AggregatesInReverse) || odd_run && run.has(Defect::DifferentEachTime)
    {
        return Some(as_it_is(reversed(output.value())));
    }
    if run.has(Defect::RoundsOutputs) {
        return Some(as_it_is(each_leaf(output.value(), |leaf| {
            leaf.as_f64().map(|number| json!(whole(number)))
        })));
    }
    if run.has(Defect::OutputsAsText) && index != graph.root() {
        return Some(as_it_is(json!(output.value().to_string())));
    }
    if run.has(Defect::ReadsReferencesInOutputs) {
        let resolved = |id: &str| graph.index_of(id).and_then(|from| run.resolved_output(from));
        return Some(as_it_is(filled(output.value(), resolved)));
    }
    Some(output)
}

/// What came of a run.
pub(super) fn outcome(run: &Run, graph: &CheckedGraph, outcome: Outcome) -> Outcome {
    let Outcome { mut final_output, mut failure, records } = outcome;
    let root = run.state(graph.root());
    if run.has(Defect::FailureOfTheRoot) {
        failure = root.record.failure.clone().or(failure);
    }
    if run.has(Defect::OutputDespiteFailure) && final_output.is_none() {
        final_output = run.tasks.iter().rev().find_map(|state| Some(state.output.as_ref()?.value().clone()));
    }
    if run.has(Defect::TakesTheSourceForTheRoot) {
        final_output = run.tasks.first().and_then(|state| Some(state.output.as_ref()?.value().clone()));
    }
    let refused = root.record.failure.as_ref().is_some_and(|failure| failure.category == VALIDATION_ERROR);
    if refused && run.has(Defect::ReturnsWhatIsRefused) {
        final_output.clone_from(&root.refused);
    }
    Outcome { final_output, failure, records }
}

fn reversed(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().rev().map(reversed).collect(),
        Value::Object(members) => {
            Value::Object(members.iter().map(|(name, member)| (name.clone(), reversed(member))).collect())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}
