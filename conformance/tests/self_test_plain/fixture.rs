//! A graph and what the model answers: read from the fixtures, with the suite's marker put into every prompt.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use conformance::model::{Act, ModelFault, Step, marker};
use serde_json::Value;

/// By which the calls of a scene are known.
pub(crate) const ENDING: &str = "aaaaa";

/// One run of one graph.
#[derive(Clone, Debug)]
pub(crate) struct Scene {
    pub(crate) name: String,
    /// The text that is sent.
    pub(crate) graph: String,
    pub(crate) steps: BTreeMap<String, Vec<Step>>,
}

/// All graphs in a folder of the fixtures, in the order of their names.
pub(crate) fn all_in(folder: &str) -> Vec<Scene> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures").join(folder);
    let files = std::fs::read_dir(folder).unwrap();
    let mut paths: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
    paths.retain(|path| {
        let name = path.file_name().unwrap().to_string_lossy();
        name.ends_with(".json") && !name.ends_with(".expected.json") && !name.ends_with(".script.json")
    });
    paths.sort();
    paths.iter().filter_map(|path| read(path)).collect()
}

/// `None` for what is no text or no JSON, which no request can carry, and for a model that claims to be remote, which the
/// suite's is not.
fn read(path: &Path) -> Option<Scene> {
    let text = std::fs::read_to_string(path).ok()?;
    let script = std::fs::read_to_string(path.with_extension("script.json")).ok();
    let script: Option<models::Script> = script.map(|script| serde_json::from_str(&script).unwrap());
    if script.as_ref().is_some_and(|script| script.locality == models::Locality::Remote) {
        return None;
    }
    let mut document: Value = serde_json::from_str(&text).ok()?;
    let steps = script.map(|script| steps(&script, &document)).unwrap_or_default();
    let graph = if steps.is_empty() {
        text
    } else {
        for task in document["tasks"].as_array_mut().unwrap() {
            mark(task);
        }
        document.to_string()
    };
    Some(Scene { name: path.file_stem().unwrap().to_string_lossy().into_owned(), graph, steps })
}

/// Puts the marker of a task to the end of what its model is asked.
pub(crate) fn mark(task: &mut Value) {
    let marker = marker(ENDING, task["id"].as_str().unwrap());
    let append = |text: &mut Value| *text = Value::from(format!("{} {marker}", text.as_str().unwrap()));
    if let Some(prompt) = task["run"].get_mut("prompt") {
        append(prompt);
    } else if let Some(messages) = task["run"].get_mut("messages").and_then(Value::as_array_mut) {
        append(&mut messages.last_mut().unwrap()["content"]);
    } else if task["run"]["kind"] == "llm" {
        task["run"]["spec"]["adapter"] = Value::from("suite-small");
        append(&mut task["run"]["spec"]["input"]["question"]);
    }
}

fn steps(script: &models::Script, document: &Value) -> BTreeMap<String, Vec<Step>> {
    let ids = document["tasks"].as_array().unwrap().iter().filter_map(|task| task["id"].as_str());
    #[expect(clippy::wildcard_enum_match_arm, reason = "the stand-in can do more than the suite's model")]
    let step = |step: &models::Step| Step {
        act: match &step.act {
            models::Act::Reply(value) => Act::Reply(value.clone()),
            models::Act::Text(text) => Act::Text(text.clone()),
            models::Act::Overrun => Act::Overrun,
            models::Act::Hang => Act::Hang,
            models::Act::Error(error) if error.kind.is_transient_by_nature() => {
                Act::Fail(ModelFault::Transient)
            }
            models::Act::Error(_) => Act::Fail(ModelFault::Final),
            // No fixture has any other; one that comes to have it fails here, as a graph without that answer.
            _ => Act::Fail(ModelFault::Final),
        },
        delay_ms: step.delay_ms,
        ms_per_token: step.ms_per_token,
        tokens_in: step.tokens_in.unwrap_or(8),
        tokens_out: step.tokens_out,
    };
    ids.filter_map(|id| {
        let listed = script.tasks.get(id).cloned().or(script.otherwise.clone().map(|step| vec![step]))?;
        Some((id.to_owned(), listed.iter().map(step).collect()))
    })
    .collect()
}
