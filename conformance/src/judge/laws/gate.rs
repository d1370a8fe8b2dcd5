//! The schema gate (C2.4, C11.1): only what a schema admits gets out.

use kora_ir::{CheckedGraph, OutputSchema, TaskIndex};
use serde_json::Value;

use crate::judge::law::{Faults, Law, Occasion, Sight};
use crate::model::Act;

pub(super) const LAWS: &[Law] = &[
    Law {
        id: "C2.4-the-final-output-is-valid",
        title: "The final output is one that the root's schema admits",
        clauses: &["C2.4", "C4.4"],
        likely_cause: "`additionalProperties` is not false by default, nested objects are not looked into, or the output \
                       is not validated at all",
        judge: the_final_output_is_valid,
    },
    Law {
        id: "C11.1-nothing-raw-gets-out",
        title: "A reply that its schema refuses is in no result and in no prompt",
        clauses: &["C11.1"],
        likely_cause: "the refused reply is quoted in a message, kept as output, or handed to a dependent",
        judge: nothing_raw_gets_out,
    },
];

fn the_final_output_is_valid(sight: &Sight<'_>, faults: &mut Faults) -> Occasion {
    let (Some(result), Some(graph)) = (sight.result(), sight.graph) else { return Occasion::None };
    let output = &result["final_output"];
    // What a condition gives in place of an output is KORA's own, and no schema of IR 0.1 speaks of it.
    let skipped = sight.view["tasks"][graph.task(graph.root()).id.as_str()]["status"] == "skipped";
    if output.is_null() || skipped {
        return Occasion::None;
    }
    let admits = |index: TaskIndex| graph.task(index).schema.admit(output.clone()).is_ok();
    if !stand_ins(graph, graph.root()).into_iter().any(admits) {
        faults.add("/final_output", graph.task(graph.root()).schema.document().clone(), output.clone());
    }
    Occasion::Given
}

/// The task, and those that can stand in for it.
fn stand_ins(graph: &CheckedGraph, task: TaskIndex) -> Vec<TaskIndex> {
    let mut found = vec![task];
    let mut next = 0;
    while let Some(&source) = found.get(next) {
        found.extend(graph.iter().filter(|(_, task)| task.resolves == Some(source)).map(|(index, _)| index));
        next += 1;
    }
    found
}

/// A refused reply must have so many bytes to be looked for: shorter ones are found anywhere.
const TELLING_BYTES: usize = 12;

fn nothing_raw_gets_out(sight: &Sight<'_>, faults: &mut Faults) -> Occasion {
    let mut any = false;
    for call in sight.calls {
        let (Some(task), Some(step)) = (sight.task(&call.task), sight.step(call)) else { continue };
        let (raw, value) = match &step.act {
            Act::Text(text) => (text.clone(), serde_json::from_str(text).ok()),
            Act::Reply(value) => (value.to_string(), Some(value.clone())),
            Act::Overrun | Act::CutOff(_) | Act::Fail(_) | Act::Hang => continue,
        };
        if raw.len() < TELLING_BYTES || value.as_ref().is_some_and(|value| admitted(&task.schema, value)) {
            continue;
        }
        any = true;
        let value = value.filter(|value| value.is_object() || value.is_array());
        if let Some(at) =
            sight.result().and_then(|result| find(result, &raw, value.as_ref(), String::from("/result")))
        {
            faults.add(at, "nothing of a reply that was refused", raw.clone());
        }
        if let Some(told) = sight.calls.iter().find(|other| other.prompt.contains(&raw)) {
            faults.add(format!("/seen/calls/{}", told.task), "nothing of a reply that was refused", raw);
        }
    }
    Occasion::given_if(any)
}

fn admitted(schema: &OutputSchema, value: &Value) -> bool {
    schema.admit(value.clone()).is_ok()
}

/// Where `document` has the text in a string, or the value.
fn find(document: &Value, raw: &str, value: Option<&Value>, at: String) -> Option<String> {
    if value == Some(document) {
        return Some(at);
    }
    match document {
        Value::String(text) => text.contains(raw).then_some(at),
        Value::Array(members) => members
            .iter()
            .enumerate()
            .find_map(|(place, member)| find(member, raw, value, format!("{at}/{place}"))),
        Value::Object(members) => {
            members.iter().find_map(|(key, member)| find(member, raw, value, format!("{at}/{key}")))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
    }
}
