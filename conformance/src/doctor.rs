//! The first five minutes with a backend: can it be reached, does it answer, does it find the suite's model.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Serialize;
use serde_json::{Value, json};

use crate::case::{Allowed, Case, Requires, RunPlan};
use crate::judge;
use crate::model::{Act, Step};
use crate::observation::{Observation, RunEnd};
use crate::run::{RunOptions, Seen};
use crate::subject::Plug;
use crate::suite::CaseFolder;

/// One thing that the doctor looked at.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[expect(clippy::exhaustive_structs, reason = "what the command prints")]
pub struct Check {
    /// What holds if it is well.
    pub title: &'static str,
    /// What came of it.
    pub found: Health,
    /// What was seen.
    pub detail: String,
    /// What to do if it is not well.
    pub hint: Option<&'static str>,
}

/// What came of a [`Check`].
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "well, ill, or not looked at")]
pub enum Health {
    /// As it should be.
    Well,
    /// Not as it should be.
    Ill,
    /// Not looked at: the backend does not declare it, or an earlier check failed.
    NotLookedAt,
}

/// Looks at the backend behind `plug` in the order in which one implements it, and stops where nothing works. Blocks.
///
/// # Errors
///
/// A fault of the suite itself.
pub fn doctor(plug: &Arc<dyn Plug>, options: &RunOptions<'_>) -> Result<Vec<Check>, String> {
    let observer = options.observer();
    let first = observer.observe(&operation_graph(), plug.as_ref())?;
    let mut checks = vec![answers(&first)];
    if checks.iter().any(|check| check.found == Health::Ill) {
        return Ok(checks);
    }
    checks.push(introduces_itself(&first));
    checks.push(descriptor(&first));
    checks.push(health(&first));
    checks.push(runs(
        "a graph of one deterministic task runs",
        &first,
        "answer `execute_taskgraph` with `status`, `final_output`, `telemetry_bundle` and `execution_metadata` (C3.4); \
         `constant` returns `args.value`",
    ));
    let second = observer.observe(&model_graph(), plug.as_ref())?;
    checks.push(runs(
        "a graph of one model task runs",
        &second,
        "call the model at the address of `hello` (stdio) or `--model-listen` (HTTP) as an OpenAI-compatible server",
    ));
    checks.push(model_is_reached(&second));
    Ok(checks)
}

fn check(title: &'static str, fault: Option<String>, seen: impl Into<String>, hint: &'static str) -> Check {
    match fault {
        None => Check { title, found: Health::Well, detail: seen.into(), hint: None },
        Some(detail) => Check { title, found: Health::Ill, detail, hint: Some(hint) },
    }
}

fn answers(seen: &Seen) -> Check {
    let fault = seen.observation.capabilities.as_ref().err().map(|mishap| {
        let log = seen.observation.log_tail.as_deref().unwrap_or_default();
        if log.is_empty() { mishap.to_string() } else { format!("{mishap}\nit logged:\n{log}") }
    });
    let hint = "start it by hand and send it one line, or one request; standard output is for the protocol only, logs go to \
                standard error";
    check("the backend can be reached and answers", fault, "it answered", hint)
}

fn introduces_itself(seen: &Seen) -> Check {
    let who = &seen.introduction;
    let known = matches!(who.backend_mode.as_str(), "local" | "krako");
    let fault = (!known).then(|| format!("`backend_mode` is `{}`", who.backend_mode));
    let said = format!("{} {}, `{}`", who.name, who.version, who.backend_mode);
    check("it says which kind of backend it is", fault, said, "`backend_mode` is `local` or `krako` (C3.3)")
}

fn by_law(law: &str, seen: &Seen) -> Option<String> {
    let folder = operation_graph();
    let judged = judge::judge(&folder.id, &folder.case, &seen.observation, None);
    let findings = judged.laws.into_iter().find(|(id, _)| *id == law)?.1;
    let lines: Vec<String> = findings
        .iter()
        .map(|finding| format!("{}: expected {}, got {}", finding.at, finding.expected, finding.got))
        .collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}

fn descriptor(seen: &Seen) -> Check {
    let has = seen.observation.capabilities.as_ref().ok();
    let summary =
        has.map(|has| format!("tasks: {}, at once: {}", has["supported_task_types"], has["max_concurrency"]));
    let fault = by_law("C3.6-descriptor-has-every-part", seen);
    let hint = "`capability_descriptor` has `max_model_size`, `max_concurrency`, `supported_task_types`, \
                `supported_context_window` and `distributed`; null where it is not known (C3.6)";
    check("its descriptor has every part", fault, summary.unwrap_or_default(), hint)
}

fn health(seen: &Seen) -> Check {
    let said = seen.observation.health.as_ref().map(|health| health["status"].to_string());
    let fault = match &seen.observation.health {
        Ok(_) => by_law("C3.5-health-has-every-part", seen),
        Err(mishap) => Some(mishap.to_string()),
    };
    let hint = "`health_check` has `status` (healthy, degraded or unavailable), `capacity_summary` and `backend_version` (C3.5)";
    check("its health has every part", fault, said.unwrap_or_default(), hint)
}

fn runs(title: &'static str, seen: &Seen, hint: &'static str) -> Check {
    if let Some(what) = &seen.undeclared {
        let detail = format!("not declared: {what}");
        return Check { title, found: Health::NotLookedAt, detail, hint: None };
    }
    let fault = match seen.observation.runs.first().map(|run| &run.end) {
        Some(RunEnd::Mishap(mishap)) => Some(mishap.to_string()),
        Some(RunEnd::Answered(backend_server::Answer::Refused(refusal))) => {
            Some(format!("refused: {}: {}", refusal.error_type, refusal.message))
        }
        Some(RunEnd::Answered(backend_server::Answer::Result(result))) => {
            let wrong = result["status"] != "success" || result["final_output"] != json!({"value": 7});
            wrong.then(|| {
                format!(
                    "status {}, final_output {}, failure {}",
                    result["status"], result["final_output"], result["failure"]
                )
            })
        }
        Some(RunEnd::Cancelled) | None => Some(String::from("it was not run")),
    };
    check(title, fault, "it ran, and the output is right", hint)
}

fn model_is_reached(seen: &Seen) -> Check {
    let title = "its model calls reach the suite's model";
    if let Some(what) = &seen.undeclared {
        let detail = format!("not declared: {what}");
        return Check { title, found: Health::NotLookedAt, detail, hint: None };
    }
    let calls = calls(&seen.observation);
    let fault = (calls != 1).then(|| format!("{calls} calls for a task that needs one"));
    let hint = "the prompt has to arrive whole: the suite knows a call by the marker `[ref:…]` at its end";
    check(title, fault, "one call, with its marker", hint)
}

fn calls(observation: &Observation) -> usize {
    observation.runs.iter().map(|run| run.calls.len()).sum()
}

fn operation_graph() -> CaseFolder {
    let task = json!({
        "version": "1.0",
        "id": "answer",
        "type": "deterministic",
        "dependencies": [],
        "input": {},
        "run": {"operation": "constant", "args": {"value": {"value": 7}}},
        "schema": schema(),
    });
    let requires = Requires {
        task_types: BTreeSet::from([String::from("deterministic")]),
        operations: BTreeSet::from([String::from("constant")]),
        ..Requires::default()
    };
    folder(task, requires, BTreeMap::new())
}

fn model_graph() -> CaseFolder {
    let task = json!({
        "version": "1.0",
        "id": "answer",
        "type": "model",
        "dependencies": [],
        "input": {},
        "run": {"model": "small", "prompt": "Give a value."},
        "schema": schema(),
        "budget": {"max_tokens": 100, "max_time_ms": 10_000, "max_retries": 0},
    });
    let requires = Requires { task_types: BTreeSet::from([String::from("model")]), ..Requires::default() };
    let says = vec![Step::new(Act::Reply(json!({"value": 7})))];
    folder(task, requires, BTreeMap::from([(String::from("answer"), says)]))
}

fn schema() -> Value {
    json!({"type": "object", "required": ["value"], "properties": {"value": {"type": "integer"}}})
}

fn folder(task: Value, requires: Requires, model: BTreeMap<String, Vec<Step>>) -> CaseFolder {
    let graph = json!({"kora_version": "1.0.0", "graph_id": "doctor", "root": "answer", "tasks": [task]});
    let case = Case {
        title: String::from("the smallest graph of its kind"),
        clauses: vec![String::from("C3.1")],
        likely_cause: String::new(),
        requires,
        draw_ids: true,
        runs: vec![RunPlan {
            graph: String::from("graph.json"),
            context: BTreeMap::new(),
            cancel_after_calls: None,
            model: BTreeMap::new(),
        }],
        together: false,
        model,
        same_meaning: false,
        allowed: vec![Allowed {
            because: String::from("it is a graph"),
            each: None,
            runs: Vec::new(),
            capabilities: None,
            health: None,
        }],
    };
    CaseFolder::generated("doctor", case, BTreeMap::from([(String::from("graph.json"), graph)]))
}
