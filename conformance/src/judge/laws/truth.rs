//! Claims against sights: what a backend reports of its model calls, beside what the suite's own model saw.

use serde_json::{Value, json};

use crate::judge::law::{Faults, Law, Occasion, Sight};
use crate::model::{CallEnd, SeenCall};

pub(super) const LAWS: &[Law] = &[
    Law {
        id: "C8.2-invocations-are-the-calls-seen",
        title: "`model_invocation_count` is the number of calls that reached the model",
        clauses: &["C8.2", "C2.5"],
        likely_cause: "retries or failed calls are not counted, or a call is made that no record tells of",
        judge: invocations_are_the_calls,
    },
    Law {
        id: "C8.1-attempts-are-the-calls-seen",
        title: "A record tells of as many attempts as the model was called for its task",
        clauses: &["C8.1", "C7.3"],
        likely_cause: "`retry_count` counts attempts instead of retries, or leaves out those that failed on the wire",
        judge: attempts_are_the_calls,
    },
    Law {
        id: "C8.1-tokens-out-are-those-generated",
        title: "A record's `tokens_out` are the tokens that the model generated for its task, all attempts together",
        clauses: &["C8.1", "C7.6"],
        likely_cause: "only the last attempt is counted, or a reply that was refused is taken for free",
        judge: tokens_out,
    },
    Law {
        id: "C8.1-tokens-in-are-those-told",
        title: "A record's `tokens_in` are the prompt tokens that the model told, all attempts together",
        clauses: &["C8.1"],
        likely_cause: "only the last attempt is counted, or the prompt is estimated although the model told its cost",
        judge: tokens_in,
    },
    Law {
        id: "C11.2-only-model-tasks-call",
        title: "The model is called for model tasks of the graph only",
        clauses: &["C11.2", "C1.4"],
        likely_cause: "a deterministic task reaches a model, or a prompt is sent that the graph does not have",
        judge: only_model_tasks_call,
    },
    Law {
        id: "C11.3-the-model-is-the-declared-one",
        title: "Every call asks for the model that its task declares, by id or by tier, and for no heavier one",
        clauses: &["C11.3"],
        likely_cause: "a default or a fallback model is used where the declared one is slow, small or failing",
        judge: the_declared_model,
    },
];

fn invocations_are_the_calls(sight: &Sight<'_>, faults: &mut Faults) -> Occasion {
    if sight.result().is_none() {
        return Occasion::None;
    }
    let at = "/summary/model_invocation_count";
    let claimed = &sight.view["summary"]["model_invocation_count"];
    let lost = sight.records().filter(|(_, record, _)| may_have_lost_a_call(record)).count();
    let seen = sight.calls.len();
    faults.unless_matches(at, &json!({"$at_least": seen, "$at_most": seen + lost}), claimed);
    Occasion::Given
}

/// Whether a call for this task may have been begun and never have reached the model: its time was over, or its run.
fn may_have_lost_a_call(record: &Value) -> bool {
    let cap = record["failure"]["breach"]["cap"].as_str();
    matches!(cap, Some("task.max_time_ms" | "graph.max_latency_ms")) || record["skip_reason"] == "fail_fast"
}

fn attempts_are_the_calls(sight: &Sight<'_>, faults: &mut Faults) -> Occasion {
    let mut any = false;
    for (at, record, task) in sight.records() {
        let Some(task) = task.filter(|task| task.task_type.is_model()) else { continue };
        let seen = sight.calls_of(task.id.as_str()).count() as u64;
        any |= seen > 0;
        let retries = seen.saturating_sub(1);
        let most = if may_have_lost_a_call(record) { seen } else { retries };
        let expected = json!({"$at_least": retries, "$at_most": most});
        faults.unless_matches(&format!("{at}/retry_count"), &expected, &record["retry_count"]);
    }
    Occasion::given_if(any)
}

/// The calls for the task of `record`, each with whether both sides know its cost for certain.
///
/// They do if it was answered to the end and the backend had no reason to hang up before. Over a wire the model may
/// have said everything before it sees that nobody listens any more.
fn settled<'a>(sight: &Sight<'a>, record: &Value, task: &str) -> Vec<(&'a SeenCall, bool)> {
    let calls: Vec<&SeenCall> = sight.calls_of(task).collect();
    let cut_off = !record["failure"]["breach"].is_null();
    let counts = record["status"] != "skipped";
    let last = calls.len().saturating_sub(1);
    let is_settled =
        |place: usize, call: &SeenCall| counts && call.end == CallEnd::Said && !(cut_off && place == last);
    calls.iter().enumerate().map(|(place, &call)| (call, is_settled(place, call))).collect()
}

fn tokens_out(sight: &Sight<'_>, faults: &mut Faults) -> Occasion {
    let mut any = false;
    for (at, record, task) in sight.records() {
        let Some(task) = task.filter(|task| task.task_type.is_model()) else { continue };
        let calls = settled(sight, record, task.id.as_str());
        let generated: u64 = calls.iter().map(|(call, _)| call.tokens_out).sum();
        let certain: u64 =
            calls.iter().filter(|(_, settled)| *settled).map(|(call, _)| call.tokens_out).sum();
        let unsettled = may_have_lost_a_call(record) || calls.iter().any(|(_, settled)| !settled);
        any |= certain > 0;
        // What was generated while the backend hung up may or may not have reached it. Where nobody can know, a backend
        // may say that it charges up to the whole cap (I3).
        let most = match record["tokens_estimated"] == true && unsettled {
            true => generated.max(task.budget.max_tokens()),
            false => generated,
        };
        let expected = json!({ "$at_least": certain, "$at_most": most });
        faults.unless_matches(&format!("{at}/tokens_out"), &expected, &record["tokens_out"]);
    }
    Occasion::given_if(any)
}

fn tokens_in(sight: &Sight<'_>, faults: &mut Faults) -> Occasion {
    let mut any = false;
    for (at, record, task) in sight.records() {
        let Some(task) = task.filter(|task| task.task_type.is_model()) else { continue };
        let calls = settled(sight, record, task.id.as_str());
        // A call that did not end well told nothing, and an estimate is as good as any.
        if calls.is_empty() || calls.iter().any(|(_, settled)| !settled) {
            continue;
        }
        any = true;
        let told = calls.iter().filter_map(|(call, _)| sight.step(call)).map(|step| step.tokens_in).sum();
        faults.unless_equal(format!("{at}/tokens_in"), told, &record["tokens_in"]);
    }
    Occasion::given_if(any)
}

fn only_model_tasks_call(sight: &Sight<'_>, faults: &mut Faults) -> Occasion {
    let Some(graph) = sight.graph else { return Occasion::None };
    if sight.view["seen"]["stray"] != 0 {
        faults.add("/seen/stray", 0, sight.view["seen"]["stray"].clone());
    }
    for call in sight.calls {
        if !sight.task(&call.task).is_some_and(|task| task.task_type.is_model()) {
            faults.add(format!("/seen/calls/{}", call.task), "no call", "a call");
        }
    }
    Occasion::given_if(!graph.tasks().is_empty())
}

fn the_declared_model(sight: &Sight<'_>, faults: &mut Faults) -> Occasion {
    for (place, call) in sight.calls.iter().enumerate() {
        let Some(task) = sight.task(&call.task) else { continue };
        let kora_ir::Work::Model(declared) = &task.work else { continue };
        let declared = &*declared.model;
        let fits = |model: &crate::model::SuiteModel| model.id == declared || model.tier == declared;
        let expected =
            crate::model::MODELS.iter().find(|model| fits(model)).map_or(declared, |model| model.id);
        if call.model != expected {
            faults.add(format!("/seen/order/{place}"), format!("a call to `{expected}`"), call.model.clone());
        }
    }
    Occasion::given_if(!sight.calls.is_empty())
}
