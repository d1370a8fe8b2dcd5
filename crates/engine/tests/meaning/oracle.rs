//! The oracle: runs the tasks one after the other in canonical order. As short as can be, so that it is plainly right.

use std::collections::BTreeMap;

use kora_ir::{CheckedGraph, EscalationCondition, FailurePolicy, Task, TaskType, Work};
use serde_json::Value;

use crate::script::{End, Script, output};

/// What a run means, as far as the semantic digest tells (S11).
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Meaning {
    pub(crate) tasks: Vec<TaskMeaning>,
    pub(crate) final_output: Option<Value>,
    /// Task and category of the first root cause.
    pub(crate) failure: Option<(String, &'static str)>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct TaskMeaning {
    pub(crate) id: String,
    pub(crate) status: &'static str,
    pub(crate) stages: Vec<&'static str>,
    /// Category, and the cap that ran out.
    pub(crate) failure: Option<(&'static str, Option<&'static str>)>,
    pub(crate) validation: &'static str,
    pub(crate) output: Option<Value>,
    pub(crate) escalated_to: Option<String>,
}

pub(crate) fn interpret(graph: &CheckedGraph, script: &Script) -> Meaning {
    let budgets = graph.budgets();
    let (mut tokens, mut calls, mut units) = (0, 0, 0);
    // What became of each task for those that depend on it: an output, or none.
    let mut resolved: BTreeMap<String, Option<Value>> = BTreeMap::new();
    let mut woken: BTreeMap<String, bool> = BTreeMap::new();
    let mut done: Vec<TaskMeaning> = Vec::new();
    let mut own: BTreeMap<String, Value> = BTreeMap::new();
    let mut cut = false;

    for task in graph.tasks() {
        let id = task.id.to_string();
        let mut meaning = TaskMeaning { id: id.clone(), ..skipped() };
        let source = task.resolves.map(|source| graph.task(source).id.to_string());
        if cut || (source.is_some() && !woken.contains_key(&id)) {
            done.push(meaning);
            continue;
        }
        let value_of = |from: &str| {
            if source.as_deref() == Some(from) {
                own.get(from).cloned()
            } else {
                resolved.get(from).cloned().flatten()
            }
        };
        let upstream_failed = task.dependencies.iter().any(|&from| {
            let from = graph.task(from).id.as_str();
            source.as_deref() != Some(from) && value_of(from).is_none()
        });
        let skip = task.skip_when.as_ref().filter(|skip| {
            skip.any_of.iter().any(|condition| {
                let from = value_of(graph.task(condition.from).id.as_str()).unwrap_or_default();
                from.pointer(&condition.pointer) == Some(&condition.equals)
            })
        });
        let mut ran = false;
        if upstream_failed {
            fail(&mut meaning, "DEPENDENCY_FAILURE", None);
        } else if let Some(skip) = skip {
            let declared = skip.output.as_fixed().expect("the world's skip outputs refer to nothing");
            meaning.output = Some(Value::clone(declared));
            meaning.validation = "pass";
            meaning.stages.extend(["SCHEMA_VALIDATION", "TASK_COMPLETED"]);
        } else {
            ran = true;
            let mut purse = Purse {
                tokens_left: left(budgets.max_tokens(), tokens),
                calls_left: left(budgets.max_llm_calls(), calls),
                units_left: left(budgets.max_cpu_units(), units),
            };
            let before = purse;
            run_task(task, script, &mut meaning, &mut purse);
            tokens += before.tokens_left - purse.tokens_left;
            calls += before.calls_left - purse.calls_left;
            units += before.units_left - purse.units_left;
        }

        if let Some(value) = &meaning.output {
            own.insert(id.clone(), value.clone());
        }
        let edge = if ran || upstream_failed {
            task.escalation.iter().find(|edge| match &edge.on {
                EscalationCondition::Failure => meaning.failure.is_some(),
                EscalationCondition::SchemaMismatch => {
                    meaning.failure == Some(("VALIDATION_ERROR", None)) && meaning.validation == "fail"
                }
                EscalationCondition::ConfidenceBelowThreshold { pointer, threshold } => {
                    let output = meaning.output.as_ref().and_then(|output| output.pointer(pointer)?.as_f64());
                    output.is_some_and(|confidence| confidence < *threshold)
                }
                EscalationCondition::BudgetRemaining { min_tokens } => {
                    left(budgets.max_tokens(), tokens) >= *min_tokens
                }
            })
        } else {
            None
        };
        if let Some(edge) = edge {
            let to = graph.task(edge.to).id.to_string();
            woken.insert(to.clone(), true);
            meaning.escalated_to = Some(to);
        } else {
            // Whoever this task stands in for is resolved with it.
            let mut stands_in_for = Some(task);
            while let Some(resolves) = stands_in_for {
                resolved.insert(resolves.id.to_string(), meaning.output.clone());
                stands_in_for = resolves.resolves.map(|source| graph.task(source));
            }
            cut = meaning.output.is_none() && graph.failure_policy() == FailurePolicy::FailFast;
        }
        done.push(meaning);
    }

    let failure = done.iter().find_map(|meaning| match meaning.failure {
        Some((category, _)) if category != "DEPENDENCY_FAILURE" => {
            let stood_in_for = resolved.get(&meaning.id).is_some_and(Option::is_some);
            (!stood_in_for).then(|| (meaning.id.clone(), category))
        }
        _ => None,
    });
    let final_output = resolved.get(graph.task(graph.root()).id.as_str()).cloned().flatten();
    Meaning { tasks: done, final_output, failure }
}

#[derive(Clone, Copy)]
struct Purse {
    tokens_left: u64,
    calls_left: u64,
    units_left: u64,
}

fn run_task(task: &Task, script: &Script, meaning: &mut TaskMeaning, purse: &mut Purse) {
    let model = matches!(task.work, Work::Model(_));
    let budget = task.budget;
    let stage = match task.task_type {
        TaskType::Deterministic => "DETERMINISTIC_EXECUTION",
        TaskType::Model => "MODEL_INVOCATION",
        TaskType::Aggregation => "AGGREGATION",
    };
    let (mut task_tokens, mut task_us) = (budget.max_tokens(), budget.max_time_ms() * 1000);
    for attempt in 0.. {
        // What has nothing left cannot start.
        if model && purse.calls_left == 0 {
            return fail(meaning, "BUDGET_BREACH", Some("graph.max_llm_calls"));
        }
        if !model && purse.units_left == 0 {
            return fail(meaning, "BUDGET_BREACH", Some("graph.max_cpu_units"));
        }
        let tokens_left = task_tokens.min(purse.tokens_left);
        let token_cap = if purse.tokens_left < task_tokens { "graph.max_tokens" } else { "task.max_tokens" };
        if model && tokens_left == 0 {
            return fail(meaning, "BUDGET_BREACH", Some(token_cap));
        }
        if task_us == 0 && attempt > 0 {
            return fail(meaning, "TIMEOUT", Some("task.max_time_ms"));
        }
        meaning.stages.push(stage);
        let act = script.act(task, attempt);
        let used = if model { act.tokens.min(tokens_left) } else { 0 };
        task_tokens -= used;
        purse.tokens_left -= used;
        purse.calls_left -= u64::from(model);
        purse.units_left -= u64::from(!model);
        if model && act.tokens > tokens_left {
            return fail(meaning, "BUDGET_BREACH", Some(token_cap));
        }
        if act.ms * 1000 > task_us {
            return fail(meaning, "TIMEOUT", Some("task.max_time_ms"));
        }
        task_us -= act.ms * 1000;
        let category = match act.end {
            End::Output { confidence } => {
                meaning.stages.extend(["SCHEMA_VALIDATION", "TASK_COMPLETED"]);
                meaning.validation = "pass";
                meaning.status = "success";
                meaning.output = Some(output(task, confidence));
                return;
            }
            End::Mismatch => {
                meaning.stages.push("SCHEMA_VALIDATION");
                meaning.validation = "fail";
                "VALIDATION_ERROR"
            }
            End::Fails { .. } => "EXECUTION_FAILURE",
        };
        let retryable = act.end != End::Fails { transient: false };
        if !retryable || attempt >= budget.max_retries() {
            return fail(meaning, category, None);
        }
    }
}

fn skipped() -> TaskMeaning {
    let stages = vec!["TASK_CONSTRUCTED", "DAG_VALIDATED"];
    TaskMeaning { status: "skipped", validation: "skipped", stages, ..TaskMeaning::default() }
}

fn fail(meaning: &mut TaskMeaning, category: &'static str, cap: Option<&'static str>) {
    meaning.status = "failed";
    meaning.failure = Some((category, cap));
    meaning.stages.push("TASK_FAILED");
}

fn left(cap: Option<u64>, used: u64) -> u64 {
    cap.unwrap_or(u64::MAX / 2).saturating_sub(used)
}
