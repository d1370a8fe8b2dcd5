//! A world: a small graph with what its models say, as it is drawn and shrunk.

use std::collections::{BTreeMap, BTreeSet};

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::model::{Act, ModelFault, Step};

/// A graph that can be written down, and a script for its models.
#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) tasks: Vec<TaskSpec>,
    pub(crate) fail_fast: bool,
    pub(crate) max_llm_calls: Option<u64>,
    pub(crate) max_tokens: Option<u64>,
}

/// One task. Task number `n` may depend on those before it.
#[derive(Clone, Debug)]
pub(crate) struct TaskSpec {
    pub(crate) work: WorkSpec,
    /// For each of the tasks before it, the nearest first, whether it depends on it.
    pub(crate) depends: Vec<bool>,
}

/// What a task does.
#[derive(Clone, Debug)]
pub(crate) enum WorkSpec {
    /// An operation that gives a value.
    Constant,
    /// An operation that hands on its input.
    Echo,
    /// An aggregation of all dependencies.
    Aggregate,
    /// A model.
    Model(ModelSpec),
}

/// A model task.
#[derive(Clone, Debug)]
pub(crate) struct ModelSpec {
    pub(crate) large: bool,
    pub(crate) max_retries: u32,
    pub(crate) max_tokens: u64,
    /// Says what each attempt brings; the last is repeated.
    pub(crate) says: Vec<Said>,
    /// A rule on its first dependency: that it makes the model unnecessary, or does not.
    pub(crate) rule: Option<bool>,
    /// A task that stands in for it when it fails.
    pub(crate) stand_in: Option<Said>,
}

/// What an attempt brings, and for how many tokens.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Said {
    Good(u64),
    NotJson(u64),
    ExtraMember(u64),
    Transient,
    Final,
}

/// Worlds of up to `max_tasks` tasks.
pub(crate) fn worlds(max_tasks: usize) -> impl Strategy<Value = World> {
    let tasks = vec(task(), 1..=max_tasks);
    let cap = |range: std::ops::RangeInclusive<u64>| prop_oneof![3 => Just(None), 1 => range.prop_map(Some)];
    (tasks, prop::bool::weighted(0.2), cap(0..=4), cap(5..=60)).prop_map(
        |(tasks, fail_fast, max_llm_calls, max_tokens)| World { tasks, fail_fast, max_llm_calls, max_tokens },
    )
}

fn task() -> impl Strategy<Value = TaskSpec> {
    let work = prop_oneof![
        2 => Just(WorkSpec::Constant),
        1 => Just(WorkSpec::Echo),
        1 => Just(WorkSpec::Aggregate),
        4 => model().prop_map(WorkSpec::Model),
    ];
    (work, vec(prop::bool::weighted(0.4), 0..=4)).prop_map(|(work, depends)| TaskSpec { work, depends })
}

fn model() -> impl Strategy<Value = ModelSpec> {
    let rule = prop_oneof![4 => Just(None), 1 => any::<bool>().prop_map(Some)];
    let stand_in = prop_oneof![3 => Just(None), 1 => said().prop_map(Some)];
    (any::<bool>(), 0_u32..=2, 4_u64..=40, vec(said(), 1..=3), rule, stand_in).prop_map(
        |(large, max_retries, max_tokens, says, rule, stand_in)| ModelSpec {
            large,
            max_retries,
            max_tokens,
            says,
            rule,
            stand_in,
        },
    )
}

fn said() -> impl Strategy<Value = Said> {
    prop_oneof![
        5 => (1_u64..=30).prop_map(Said::Good),
        2 => (1_u64..=30).prop_map(Said::NotJson),
        1 => (1_u64..=30).prop_map(Said::ExtraMember),
        1 => Just(Said::Transient),
        1 => Just(Said::Final),
    ]
}

impl World {
    /// The graph's document.
    pub(crate) fn graph(&self) -> Value {
        let mut tasks: Vec<Value> = Vec::new();
        for (place, task) in self.tasks.iter().enumerate() {
            tasks.push(self.task(place, task));
            if let WorkSpec::Model(ModelSpec { stand_in: Some(_), max_tokens, .. }) = &task.work
                && place + 1 < self.tasks.len()
            {
                tasks.push(model_task(&stand_in_id(place), &[], "large", *max_tokens, 0));
            }
        }
        let mut graph = json!({
            "kora_version": "1.0.0",
            "graph_id": "generated",
            "root": id(self.tasks.len().saturating_sub(1)),
            "tasks": tasks,
        });
        if self.fail_fast {
            graph["failure_policy"] = json!("fail_fast");
        }
        let mut budgets = Map::new();
        if let Some(calls) = self.max_llm_calls {
            budgets.insert("max_llm_calls".into(), json!(calls));
        }
        if let Some(tokens) = self.max_tokens {
            budgets.insert("max_tokens".into(), json!(tokens));
        }
        if !budgets.is_empty() {
            graph["budgets"] = Value::Object(budgets);
        }
        graph
    }

    /// What its models say.
    pub(crate) fn steps(&self) -> BTreeMap<String, Vec<Step>> {
        let mut steps = BTreeMap::new();
        for (place, task) in self.tasks.iter().enumerate() {
            let WorkSpec::Model(model) = &task.work else { continue };
            steps.insert(id(place), model.says.iter().map(|said| step(*said, place)).collect());
            if let Some(said) = model.stand_in {
                steps.insert(stand_in_id(place), vec![step(said, place)]);
            }
        }
        steps
    }

    /// What a backend must declare to run it.
    pub(crate) fn needs(&self) -> (BTreeSet<String>, BTreeSet<String>) {
        let mut types = BTreeSet::new();
        let mut operations = BTreeSet::new();
        for task in &self.tasks {
            let (task_type, operation) = match &task.work {
                WorkSpec::Constant => ("deterministic", Some("constant")),
                WorkSpec::Echo => ("deterministic", Some("echo")),
                WorkSpec::Aggregate => ("aggregation", Some("constant")),
                WorkSpec::Model(_) => ("model", None),
            };
            types.insert(task_type.to_owned());
            operations.extend(operation.map(str::to_owned));
        }
        (types, operations)
    }

    fn dependencies(&self, place: usize) -> Vec<usize> {
        let depends = self.tasks.get(place).map_or(&[][..], |task| &task.depends);
        let mut before: Vec<usize> = depends
            .iter()
            .enumerate()
            .filter(|(_, depends)| **depends)
            .filter_map(|(distance, _)| place.checked_sub(distance + 1))
            .collect();
        before.reverse();
        before
    }

    fn task(&self, place: usize, task: &TaskSpec) -> Value {
        let before = self.dependencies(place);
        let value_of = |place: &usize| json!({"$from": id(*place), "pointer": "/value"});
        let ids: Vec<String> = before.iter().map(|place| id(*place)).collect();
        let mut document = match &task.work {
            WorkSpec::Constant => operation(
                &id(place),
                "deterministic",
                &ids,
                json!({}),
                "constant",
                json!({"value": {"value": place}}),
            ),
            WorkSpec::Echo => {
                let input = before
                    .first()
                    .map_or_else(|| json!({"value": place}), |from| json!({"value": value_of(from)}));
                operation(&id(place), "deterministic", &ids, input, "echo", json!({}))
            }
            WorkSpec::Aggregate => {
                let all: Vec<Value> = before.iter().map(value_of).collect();
                let args = json!({"value": {"value": place, "all": all}});
                // What combines nothing is no aggregation.
                let task_type = if before.is_empty() { "deterministic" } else { "aggregation" };
                let mut task = operation(&id(place), task_type, &ids, json!({}), "constant", args);
                task["schema"]["properties"]["all"] = json!({"type": "array", "items": {"type": "integer"}});
                task
            }
            WorkSpec::Model(model) => {
                let tier = if model.large { "large" } else { "small" };
                let mut task = model_task(&id(place), &ids, tier, model.max_tokens, model.max_retries);
                if let (Some(first), Some(holds)) = (before.first(), model.rule) {
                    let equals = if holds { json!(first) } else { json!(-1) };
                    task["skip_when"] = json!({
                        "any_of": [{"$from": id(*first), "pointer": "/value", "equals": equals}],
                        "output": {"value": value_of(first)},
                    });
                }
                if model.stand_in.is_some() && place + 1 < self.tasks.len() {
                    task["escalation"] = json!([{"on": "failure", "to": stand_in_id(place)}]);
                }
                for from in &before {
                    task["input"][id(*from)] = value_of(from);
                }
                task
            }
        };
        document["version"] = json!("1.0");
        document
    }
}

fn id(place: usize) -> String {
    format!("task{place}")
}

fn stand_in_id(place: usize) -> String {
    format!("task{place}b")
}

fn schema() -> Value {
    json!({"type": "object", "required": ["value"], "properties": {"value": {"type": "integer"}}})
}

fn operation(
    id: &str,
    task_type: &str,
    before: &[String],
    input: Value,
    operation: &str,
    args: Value,
) -> Value {
    json!({
        "version": "1.0",
        "id": id,
        "type": task_type,
        "dependencies": before,
        "input": input,
        "run": {"operation": operation, "args": args},
        "schema": schema(),
    })
}

fn model_task(id: &str, before: &[String], tier: &str, max_tokens: u64, max_retries: u32) -> Value {
    json!({
        "version": "1.0",
        "id": id,
        "type": "model",
        "dependencies": before,
        "input": {},
        "run": {"model": tier, "prompt": "Give a value."},
        "schema": schema(),
        // Time enough for the slowest machine: what time does is for the fixed cases.
        "budget": {"max_tokens": max_tokens, "max_time_ms": 60_000, "max_retries": max_retries},
    })
}

fn step(said: Said, place: usize) -> Step {
    let (act, tokens_out) = match said {
        Said::Good(tokens) => (Act::Reply(json!({"value": place})), Some(tokens)),
        Said::NotJson(tokens) => (Act::Text(format!("nothing of value {place}")), Some(tokens)),
        Said::ExtraMember(tokens) => {
            (Act::Reply(json!({"value": place, "more": "than the schema says"})), Some(tokens))
        }
        Said::Transient => (Act::Fail(ModelFault::Transient), None),
        Said::Final => (Act::Fail(ModelFault::Final), None),
    };
    Step { tokens_out, ..Step::new(act) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draw;

    proptest! {
        #[test]
        fn every_world_is_a_graph(world in worlds(8)) {
            let graph = world.graph();
            let checked = kora_ir::CheckedGraph::parse(&graph.to_string(), &kora_ir::Limits::default());
            prop_assert!(checked.is_ok(), "{graph:#}\n{checked:?}");
            prop_assert!(draw::checked(&draw::drawn(&graph, "zz", true)).is_some());
        }
    }
}
