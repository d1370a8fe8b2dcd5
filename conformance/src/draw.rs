//! Draws what a case leaves open: endings of ids and markers, so that no backend can key on the suite's own names.

use kora_ir::{CheckedGraph, Limits};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::model::marker;

/// Letters and digits that are hard to confuse.
const ALPHABET: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz023456789";

/// The ending that run number `run` of a case draws from the seed.
pub(crate) fn ending(seed: u64, case: &str, run: usize) -> String {
    let mut hash = Sha256::new();
    hash.update(seed.to_be_bytes());
    hash.update(case.as_bytes());
    hash.update(run.to_be_bytes());
    let letter = |byte: &u8| char::from(ALPHABET[usize::from(*byte) % ALPHABET.len()]);
    hash.finalize().iter().take(6).map(letter).collect()
}

/// The text `%REF:task%` in a graph stands for the marker of that task.
const PLACEHOLDER: &str = "%REF:";

/// `graph` as it is sent: every prompt with its marker, and with `draw_ids` every id with the ending.
///
/// Whatever is not where a well-formed graph has it stays as it is: malformed graphs are cases too.
pub(crate) fn drawn(graph: &Value, ending: &str, draw_ids: bool) -> Value {
    let mut graph = graph.clone();
    if draw_ids {
        rename_graph(&mut graph, ending);
    }
    mark_prompts(&mut graph, ending, draw_ids);
    fill_placeholders(&mut graph, ending);
    graph
}

fn rename(name: Option<&mut Value>, ending: &str) {
    if let Some(Value::String(name)) = name {
        name.push('-');
        name.push_str(ending);
    }
}

fn rename_graph(graph: &mut Value, ending: &str) {
    let Some(graph) = graph.as_object_mut() else { return };
    rename(graph.get_mut("graph_id"), ending);
    rename(graph.get_mut("root"), ending);
    for task in graph.get_mut("tasks").and_then(Value::as_array_mut).into_iter().flatten() {
        let Some(task) = task.as_object_mut() else { continue };
        rename(task.get_mut("id"), ending);
        for member in each(task, "dependencies") {
            rename(Some(member), ending);
        }
        for edge in each(task, "escalation") {
            rename(edge.get_mut("to"), ending);
        }
        for member in task.values_mut() {
            rename_references(member, ending);
        }
    }
}

fn each<'v>(object: &'v mut Map<String, Value>, key: &str) -> impl Iterator<Item = &'v mut Value> {
    object.get_mut(key).and_then(Value::as_array_mut).into_iter().flatten()
}

fn rename_references(value: &mut Value, ending: &str) {
    match value {
        Value::Array(members) => members.iter_mut().for_each(|member| rename_references(member, ending)),
        Value::Object(members) => {
            for (key, member) in members {
                if key == "$from" {
                    rename(Some(member), ending);
                } else {
                    rename_references(member, ending);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Appends to each model task's prompt, or to its last message, the marker by which its calls are known.
fn mark_prompts(graph: &mut Value, ending: &str, renamed: bool) {
    for task in graph.get_mut("tasks").and_then(Value::as_array_mut).into_iter().flatten() {
        let Some(id) = task["id"].as_str() else { continue };
        // The marker holds the author's id, so that the script is found by it.
        let author = if renamed { id.strip_suffix(&format!("-{ending}")).unwrap_or(id) } else { id };
        let line = format!("\n{}", marker(ending, author));
        let Some(run) = task.get_mut("run").and_then(Value::as_object_mut) else { continue };
        if let Some(Value::String(prompt)) = run.get_mut("prompt") {
            prompt.push_str(&line);
        }
        let last =
            run.get_mut("messages").and_then(Value::as_array_mut).and_then(|messages| messages.last_mut());
        if let Some(Value::String(content)) = last.and_then(|message| message.get_mut("content")) {
            content.push_str(&line);
        }
    }
}

fn fill_placeholders(value: &mut Value, ending: &str) {
    match value {
        Value::String(text) => {
            while let Some((before, rest)) = text.split_once(PLACEHOLDER)
                && let Some((task, after)) = rest.split_once('%')
            {
                *text = format!("{before}{}{after}", marker(ending, task));
            }
        }
        Value::Array(members) => members.iter_mut().for_each(|member| fill_placeholders(member, ending)),
        Value::Object(members) => members.values_mut().for_each(|member| fill_placeholders(member, ending)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The graph that was sent, checked; `None` if it is not a graph.
pub(crate) fn checked(graph: &Value) -> Option<CheckedGraph> {
    CheckedGraph::parse(&graph.to_string(), &Limits::default()).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_name_of_a_task_gets_the_same_ending() {
        let graph = json!({
            "graph_id": "g", "root": "b",
            "tasks": [
                {"id": "a", "dependencies": [], "run": {"model": "small", "prompt": "Hello."},
                 "escalation": [{"on": "failure", "to": "c"}]},
                {"id": "b", "dependencies": ["a"], "input": {"x": [{"$from": "a", "pointer": "/from"}]},
                 "skip_when": {"any_of": [{"$from": "a", "pointer": "/x", "equals": "a"}]},
                 "run": {"model": "small", "messages": [{"role": "user", "content": "one"}, {"role": "user", "content": "two"}]}}
            ]
        });
        let drawn = drawn(&graph, "zz", true);
        let text = drawn.to_string();
        assert_eq!(drawn["root"], "b-zz");
        assert_eq!(drawn["tasks"][0]["escalation"][0]["to"], "c-zz");
        assert_eq!(drawn["tasks"][1]["dependencies"][0], "a-zz");
        assert_eq!(drawn["tasks"][1]["input"]["x"][0]["$from"], "a-zz");
        assert_eq!(drawn["tasks"][1]["skip_when"]["any_of"][0]["$from"], "a-zz");
        assert_eq!(drawn["tasks"][1]["skip_when"]["any_of"][0]["equals"], "a");
        assert!(text.contains(&marker("zz", "a")), "{text}");
        assert!(drawn["tasks"][1]["run"]["messages"][1]["content"].to_string().contains(&marker("zz", "b")));
        assert_eq!(drawn["tasks"][1]["run"]["messages"][0]["content"], "one");
    }

    #[test]
    fn what_is_no_graph_is_sent_as_it_is() {
        for odd in [json!(null), json!([1]), json!({"tasks": [1, {"id": 4}], "root": 1})] {
            assert_eq!(drawn(&odd, "zz", true), odd);
        }
    }

    #[test]
    fn endings_differ_by_seed_case_and_run_only() {
        assert_eq!(ending(1, "c", 0), ending(1, "c", 0));
        assert_ne!(ending(1, "c", 0), ending(2, "c", 0));
        assert_ne!(ending(1, "c", 0), ending(1, "c", 1));
        assert_eq!(ending(1, "c", 0).len(), 6);
    }
}
