//! Budgets (C7.*): never more than declared, and never silently.

use serde_json::{Value, json};

use crate::judge::law::{Faults, Law, Occasion, Sight};
use crate::model::CallEnd;

pub(super) const LAWS: &[Law] = &[
    Law {
        id: "C2.2-told-caps-never-rise",
        title: "Where a call tells the model a token cap, it is at most what the task has left",
        clauses: &["C2.2", "C7.2"],
        likely_cause: "every attempt is given the whole budget again, or a default of the backend's own",
        judge: told_caps_never_rise,
    },
    Law {
        id: "C7.1-success-is-within-budget",
        title: "A model task that succeeded used no more tokens, retries or time than declared",
        clauses: &["C7.1", "C7.6", "C4.3"],
        likely_cause: "the budget is compared per attempt, or only before the call and never after it",
        judge: success_is_within_budget,
    },
    Law {
        id: "C7.3-no-call-beyond-the-retries",
        title: "The model is called at most once and once more for each allowed retry",
        clauses: &["C7.3", "C2.3"],
        likely_cause: "retries are counted from 1, or the wire's own retries come on top",
        judge: no_call_beyond_the_retries,
    },
    Law {
        id: "C7.5-a-breach-is-explicit",
        title: "A `BUDGET_BREACH` says which cap it was, what was declared and what was used",
        clauses: &["C7.5", "C7.6"],
        likely_cause: "the failure has a message only",
        judge: a_breach_is_explicit,
    },
    Law {
        id: "C7.4-a-timeout-is-explicit",
        title: "A `TIMEOUT` says what was declared and what was used",
        clauses: &["C7.4", "C7.6"],
        likely_cause: "the failure has a message only",
        judge: a_timeout_is_explicit,
    },
];

fn told_caps_never_rise(sight: &Sight<'_>, faults: &mut Faults) -> Occasion {
    let mut any = false;
    for (place, call) in sight.calls.iter().enumerate() {
        let (Some(task), Some(told)) = (sight.task(&call.task), call.max_tokens) else { continue };
        any = true;
        let before = sight.calls_of(&call.task).filter(|before| before.attempt < call.attempt);
        let spent: u64 =
            before.filter(|before| before.end == CallEnd::Said).map(|before| before.tokens_out).sum();
        let left = task.budget.max_tokens().saturating_sub(spent);
        if told > left {
            faults.add(format!("/seen/order/{place}"), json!({"max_tokens": {"$at_most": left}}), told);
        }
    }
    Occasion::given_if(any)
}

fn success_is_within_budget(sight: &Sight<'_>, faults: &mut Faults) -> Occasion {
    let mut any = false;
    for (at, record, task) in sight.records() {
        let Some(task) = task.filter(|task| task.task_type.is_model()) else { continue };
        if record["status"] != "success" {
            continue;
        }
        any = true;
        let pattern = json!({
            "tokens_out": {"$at_most": task.budget.max_tokens()},
            "retry_count": {"$at_most": task.budget.max_retries()},
            "duration_ms": {"$at_most": task.budget.max_time_ms()},
        });
        faults.unless_matches(&at, &pattern, record);
        let seen: u64 = sight.calls_of(task.id.as_str()).map(|call| call.tokens_out).sum();
        if seen > task.budget.max_tokens() {
            let id = &task.id;
            faults.add(format!("/seen/calls/{id}"), json!({"$at_most": task.budget.max_tokens()}), seen);
        }
    }
    Occasion::given_if(any)
}

fn no_call_beyond_the_retries(sight: &Sight<'_>, faults: &mut Faults) -> Occasion {
    let Some(graph) = sight.graph else { return Occasion::None };
    for task in graph.tasks().iter().filter(|task| task.task_type.is_model()) {
        let seen = sight.calls_of(task.id.as_str()).count() as u64;
        let allowed = u64::from(task.budget.max_retries()) + 1;
        if seen > allowed {
            faults.add(format!("/seen/count/{}", task.id), json!({ "$at_most": allowed }), seen);
        }
    }
    Occasion::given_if(!sight.calls.is_empty())
}

/// Each failure of the category, the run's and the records', with its place.
fn failures<'a>(sight: &Sight<'a>, category: &str) -> Vec<(String, &'a Value)> {
    let of_run = sight.result().map(|result| (String::from("/failure"), &result["failure"]));
    let of_records = sight.records().map(|(at, record, _)| (format!("{at}/failure"), &record["failure"]));
    of_run.into_iter().chain(of_records).filter(|(_, failure)| failure["error_type"] == category).collect()
}

fn a_breach_is_explicit(sight: &Sight<'_>, faults: &mut Faults) -> Occasion {
    let caps = json!([
        "task.max_tokens",
        "graph.max_tokens",
        "graph.max_llm_calls",
        "graph.max_cpu_units",
        "graph.max_latency_ms"
    ]);
    let found = failures(sight, "BUDGET_BREACH");
    for (at, failure) in &found {
        let breach = &failure["breach"];
        let declared = breach["declared"].as_f64().unwrap_or(0.0);
        let pattern = json!({
            "cap": {"$one_of": caps},
            "declared": {"$type": "number", "$at_least": 0},
            "used": {"$type": "number", "$at_least": declared},
        });
        faults.unless_matches(&format!("{at}/breach"), &pattern, breach);
    }
    Occasion::given_if(!found.is_empty())
}

fn a_timeout_is_explicit(sight: &Sight<'_>, faults: &mut Faults) -> Occasion {
    let found = failures(sight, "TIMEOUT");
    for (at, failure) in &found {
        let breach = &failure["breach"];
        let declared = breach["declared"].as_f64().unwrap_or(0.0);
        let pattern = json!({
            "cap": "task.max_time_ms",
            "declared": {"$type": "number", "$at_least": 0},
            "used": {"$type": "number", "$at_least": declared},
        });
        faults.unless_matches(&format!("{at}/breach"), &pattern, breach);
    }
    Occasion::given_if(!found.is_empty())
}
