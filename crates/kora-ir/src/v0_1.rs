//! The compatibility mapping from KORA's Python runtime, Task IR 0.1, to 1.0 (C10.2, decision 0002).
//!
//! Lossless or refused: what 1.0 cannot say in the same sense is a [`NotPortable`](ViolationCode::NotPortable)
//! violation, never a guess. The result is a 1.0 document that goes through the same reader and the same checks as
//! any other; what they find is reported where it stands in the 0.1 document.

mod condition;
mod fields;
mod run;
mod trail;
mod verify;

use serde_json::{Map, Value, json};

use self::fields::{Fields, Mapper};
use self::trail::Trail;
use crate::report::Report;
use crate::{Limits, ViolationCode};

/// What KORA's runtime takes for caps that are not declared.
const DEFAULT_CAPS: [(&str, u64); 3] = [("max_time_ms", 1500), ("max_tokens", 300), ("max_retries", 1)];

/// A 1.0 document and where its parts come from.
#[derive(Debug)]
pub(crate) struct Mapped {
    pub(crate) document: Value,
    pub(crate) trail: Trail,
}

/// Maps a 0.1 document. `None` if the report now holds why not.
pub(crate) fn map(document: &Value, limits: &Limits, report: &mut Report) -> Option<Mapped> {
    let mut mapper = Mapper { report, limits, trail: Trail::default() };
    let document = mapper.graph(document);
    let trail = mapper.trail;
    report.is_clean().then_some(Mapped { document: document?, trail })
}

impl Mapper<'_> {
    fn graph(&mut self, document: &Value) -> Option<Value> {
        let Value::Object(graph) = document else {
            self.wrong_type("", "a graph, an object");
            return None;
        };
        self.trail.add("/kora_version", "/version");
        let graph_id = self.string(graph, "", "graph_id");
        let root = self.string(graph, "", "root");
        let caps = match self.object(graph, "", "defaults") {
            None => None,
            Some(defaults) => match defaults.get("budget") {
                None => self.caps(&Map::new(), "/defaults/budget"),
                Some(_) => {
                    let budget = self.object(defaults, "/defaults", "budget")?;
                    self.caps(budget, "/defaults/budget")
                }
            },
        };
        let tasks = self.array(graph, "", "tasks")?;
        if tasks.len() > self.limits.max_tasks {
            self.add(
                ViolationCode::TooManyTasks,
                "/tasks",
                format!("more than {} tasks", self.limits.max_tasks),
                "split the graph",
            );
            return None;
        }
        let caps = caps.unwrap_or([0; 3]);
        let tasks: Vec<Option<Value>> =
            tasks.iter().enumerate().map(|(place, task)| self.task(place, task, caps)).collect();
        let tasks: Option<Vec<Value>> = tasks.into_iter().collect();
        Some(json!({
            "kora_version": "1.0.0",
            "graph_id": graph_id?,
            "root": root?,
            // KORA's runtime stops at the first task that fails.
            "failure_policy": "fail_fast",
            "tasks": tasks?,
        }))
    }

    /// `max_time_ms`, `max_tokens`, `max_retries`: declared, or what the runtime takes for them.
    fn caps(&mut self, budget: &Fields, pointer: &str) -> Option<[u64; 3]> {
        let caps = DEFAULT_CAPS.map(|(name, default)| match budget.get(name) {
            None => Some(default),
            Some(value) => {
                let number = value.as_u64();
                if number.is_none() {
                    self.add(
                        ViolationCode::InvalidBudget,
                        &format!("{pointer}/{name}"),
                        format!("`{name}` is not a whole number from 0 on"),
                        "write a whole number",
                    );
                }
                number
            }
        });
        let [Some(time), Some(tokens), Some(retries)] = caps else { return None };
        Some([time, tokens, retries])
    }

    fn task(&mut self, place: usize, task: &Value, default_caps: [u64; 3]) -> Option<Value> {
        let at = format!("/tasks/{place}");
        let Value::Object(task) = task else {
            self.wrong_type(&at, "a task, an object");
            return None;
        };
        let id = self.string(task, &at, "id");
        // Free text: which adapter or handler runs is said by `run`.
        let _ = self.string(task, &at, "type");
        let dependencies = self.dependencies(task, &at);
        let budget = self.policy(task, &at, default_caps);
        let run = self.object(task, &at, "run")?;
        let kind = self.string(run, &format!("{at}/run"), "kind")?;
        let spec = self.object(run, &format!("{at}/run"), "spec");
        let (id, dependencies, budget, spec) = (id?, dependencies?, budget?, spec?);
        let mapped = match kind {
            "det" => self.deterministic(task, spec, id, &at),
            "llm" => self.model(task, spec, id, &dependencies, &at),
            other => {
                self.unknown_kind(other, "`det` or `llm`", &format!("{at}/run/kind"));
                None
            }
        }?;
        let mut fields = mapped;
        fields.insert(String::from("version"), json!("1.0"));
        fields.insert(String::from("id"), json!(id));
        fields.insert(String::from("dependencies"), json!(dependencies));
        let [time, tokens, retries] = budget;
        let caps = match kind {
            "llm" => json!({"max_time_ms": time, "max_tokens": tokens, "max_retries": retries}),
            _ => json!({"max_time_ms": time, "max_retries": retries}),
        };
        fields.insert(String::from("budget"), caps);
        Some(Value::Object(fields))
    }

    /// Each dependency once: to KORA's runtime a repeated one says nothing more.
    fn dependencies<'v>(&mut self, task: &'v Fields, at: &str) -> Option<Vec<&'v str>> {
        let mut seen = std::collections::HashSet::new();
        let mut dependencies = Vec::new();
        self.trail.add(format!("{at}/dependencies"), format!("{at}/deps"));
        if !task.contains_key("deps") {
            return Some(dependencies);
        }
        for (nth, id) in self.array(task, at, "deps")?.iter().enumerate() {
            let Value::String(id) = id else {
                self.wrong_type(&format!("{at}/deps/{nth}"), "a task id, a string");
                return None;
            };
            if seen.insert(id.as_str()) {
                let mapped = dependencies.len();
                if mapped != nth {
                    self.trail.add(format!("{at}/dependencies/{mapped}"), format!("{at}/deps/{nth}"));
                }
                dependencies.push(id.as_str());
            }
        }
        Some(dependencies)
    }

    /// The caps that hold for the task: its own or the graph's, never a mixture of both.
    fn policy(&mut self, task: &Fields, at: &str, default_caps: [u64; 3]) -> Option<[u64; 3]> {
        let at = format!("{at}/policy");
        let empty = Map::new();
        let policy = match task.get("policy") {
            None => &empty,
            Some(Value::Object(policy)) => policy,
            Some(_) => {
                self.wrong_type(&at, "a policy, an object");
                return None;
            }
        };
        let budget = format!("{at}/budget");
        let declared = match policy.get("budget") {
            None | Some(Value::Null) => {
                self.trail.add(at.replace("/policy", "/budget"), "/defaults/budget");
                Some(default_caps)
            }
            Some(Value::Object(caps)) => {
                self.trail.add(at.replace("/policy", "/budget"), budget.clone());
                self.caps(caps, &budget)
            }
            Some(_) => {
                self.wrong_type(&budget, "a budget, an object");
                None
            }
        };
        if policy.get("adaptive").is_some_and(|adaptive| !adaptive.is_null()) {
            self.not_portable(
                &format!("{at}/adaptive"),
                "adaptive routing is decided by KORA's runtime while it runs",
                "declare `escalation` edges in Task IR 1.0",
            );
        }
        let [time, tokens, retries] = declared?;
        match policy.get("on_fail").map_or(Some("fail"), Value::as_str) {
            Some("retry") => Some([time, tokens, retries]),
            // Without an edge to escalate along, the runtime fails with another word.
            Some("fail" | "escalate") => Some([time, tokens, 0]),
            _ => {
                self.add(
                    ViolationCode::UnknownWord,
                    &format!("{at}/on_fail"),
                    String::from("`on_fail` is not one of `retry`, `fail` or `escalate`"),
                    "use one of them",
                );
                None
            }
        }
    }
}
