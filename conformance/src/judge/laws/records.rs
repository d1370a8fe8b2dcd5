//! The records of tasks (C8.1), and the stages in them (C6.1).

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::judge::law::{Faults, Law, Occasion, Sight};

pub(super) const LAWS: &[Law] = &[
    Law {
        id: "C8.1-every-task-has-one-record",
        title: "Every task of the graph has exactly one record, on every path",
        clauses: &["C8.1", "C2.5"],
        likely_cause: "records are written when a task runs, so tasks that were skipped or never reached have none",
        judge: every_task_has_one,
    },
    Law {
        id: "C1.4-no-record-of-an-undeclared-task",
        title: "No record names a task that the graph does not declare",
        clauses: &["C1.4"],
        likely_cause: "the backend splits a task or adds one of its own",
        judge: no_undeclared,
    },
    Law {
        id: "C8.1-records-are-complete",
        title: "A record has all eight fields of the contract, each of its type",
        clauses: &["C8.1"],
        likely_cause: "a field is left out where it is zero, or on the path of a failure",
        judge: are_complete,
    },
    Law {
        id: "C8.1-task-types-are-as-declared",
        title: "A record's `task_type` is the one that the graph declares",
        clauses: &["C8.1", "C5.5"],
        likely_cause: "aggregation is run as deterministic work and reported as that",
        judge: types_are_as_declared,
    },
    Law {
        id: "C6.1-records-follow-dependencies",
        title: "A record comes after the records of the tasks that its task depends on",
        clauses: &["C6.1"],
        likely_cause: "records are written in the order in which tasks finish or are declared",
        judge: follow_dependencies,
    },
    Law {
        id: "C6.1-stages-are-legal",
        title: "The stages of a record are a way that a task of its type and status can go",
        clauses: &["C6.1", "C4.5"],
        likely_cause: "a stage is left out, doubled, or reported in the order of events on the wire",
        judge: stages_are_legal,
    },
    Law {
        id: "C8.1-validation-status-agrees",
        title: "A task that succeeded has passed its schema, and one that never had an output was not validated",
        clauses: &["C8.1", "C4.4"],
        likely_cause: "`validation_status` is set from the task's status and not from the validator",
        judge: validation_agrees,
    },
];

fn every_task_has_one(sight: &Sight<'_>, faults: &mut Faults) -> Occasion {
    let (Some(_), Some(graph)) = (sight.result(), sight.graph) else { return Occasion::None };
    let mut counts: BTreeMap<&str, u64> = graph.tasks().iter().map(|task| (task.id.as_str(), 0)).collect();
    for (_, record, _) in sight.records() {
        if let Some(count) = record["task_id"].as_str().and_then(|id| counts.get_mut(id)) {
            *count += 1;
        }
    }
    for (id, count) in counts {
        if count != 1 {
            faults.add(format!("/tasks/{id}"), "one record", format!("{count} records"));
        }
    }
    Occasion::Given
}

fn no_undeclared(sight: &Sight<'_>, faults: &mut Faults) -> Occasion {
    if sight.graph.is_none() {
        return Occasion::None;
    }
    for (at, record, task) in sight.records() {
        if task.is_none() {
            faults.add(format!("{at}/task_id"), "a task of the graph", record["task_id"].clone());
        }
    }
    Occasion::given_if(sight.result().is_some())
}

fn are_complete(sight: &Sight<'_>, faults: &mut Faults) -> Occasion {
    let count = json!({"$type": "integer", "$at_least": 0});
    let pattern = json!({
        "task_id": {"$type": "string"},
        "task_type": {"$one_of": ["deterministic", "model", "aggregation"]},
        "status": {"$one_of": ["success", "failed", "skipped"]},
        "duration_ms": {"$type": "number", "$at_least": 0},
        "tokens_in": count,
        "tokens_out": count,
        "retry_count": count,
        "validation_status": {"$one_of": ["pass", "fail", "skipped"]},
        "stages": {"$type": "array"},
    });
    let mut any = false;
    for (at, record, _) in sight.records() {
        any = true;
        faults.unless_matches(&at, &pattern, record);
    }
    Occasion::given_if(any)
}

fn types_are_as_declared(sight: &Sight<'_>, faults: &mut Faults) -> Occasion {
    let mut any = false;
    for (at, record, task) in sight.records() {
        let Some(task) = task else { continue };
        any = true;
        if record["task_type"] != task.task_type.as_str() {
            faults.add(format!("{at}/task_type"), task.task_type.as_str(), record["task_type"].clone());
        }
    }
    Occasion::given_if(any)
}

fn follow_dependencies(sight: &Sight<'_>, faults: &mut Faults) -> Occasion {
    let Some(graph) = sight.graph else { return Occasion::None };
    let mut place: BTreeMap<&str, usize> = BTreeMap::new();
    for (_, record, _) in sight.records() {
        if let Some(id) = record["task_id"].as_str() {
            let next = place.len();
            place.entry(id).or_insert(next);
        }
    }
    let mut any = false;
    for task in graph.tasks() {
        let Some(&own) = place.get(task.id.as_str()) else { continue };
        for &before in &task.dependencies {
            let before = graph.task(before).id.as_str();
            any = true;
            if place.get(before).is_some_and(|&before| before > own) {
                faults.add("/order", format!("`{before}` before `{}`", task.id), sight.view["order"].clone());
            }
        }
    }
    Occasion::given_if(any)
}

fn stages_are_legal(sight: &Sight<'_>, faults: &mut Faults) -> Occasion {
    let mut any = false;
    for (at, record, task) in sight.records() {
        let Some(task) = task else { continue };
        any = true;
        let stages: Vec<&str> =
            record["stages"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let work = match task.task_type {
            kora_ir::TaskType::Deterministic => "DETERMINISTIC_EXECUTION",
            kora_ir::TaskType::Model => "MODEL_INVOCATION",
            kora_ir::TaskType::Aggregation => "AGGREGATION",
        };
        if let Err(expected) = legal(&stages, work, record) {
            faults.add(format!("{at}/stages"), expected, record["stages"].clone());
        }
    }
    Occasion::given_if(any)
}

/// Whether a task whose attempts show as `work` can go this way.
fn legal(stages: &[&str], work: &str, record: &Value) -> Result<(), String> {
    let Some(rest) = stages.strip_prefix(&["TASK_CONSTRUCTED", "DAG_VALIDATED"]) else {
        return Err(String::from("TASK_CONSTRUCTED, DAG_VALIDATED first"));
    };
    let (attempts, last) = match rest.split_last() {
        Some((&last, attempts)) if last == "TASK_COMPLETED" || last == "TASK_FAILED" => {
            (attempts, Some(last))
        }
        Some(_) | None => (rest, None),
    };
    let mut tries = 0_u64;
    let mut before = "";
    for &stage in attempts {
        if stage == work {
            tries += 1;
        } else if stage != "SCHEMA_VALIDATION" {
            return Err(format!("{work} and SCHEMA_VALIDATION between the first two and the last"));
        } else if before == "SCHEMA_VALIDATION" {
            return Err(String::from("one SCHEMA_VALIDATION after an attempt"));
        }
        before = stage;
    }
    let validated = before == "SCHEMA_VALIDATION";
    let status = record["status"].as_str().unwrap_or_default();
    let ends = match (status, last) {
        ("success", Some("TASK_COMPLETED")) => validated && tries > 0,
        ("failed", Some("TASK_FAILED")) => true,
        // A condition settled it, with an output that its schema admitted.
        ("skipped", Some("TASK_COMPLETED")) => validated && tries == 0,
        // Dormant, or cut off: what was under way may have begun.
        ("skipped", None) => true,
        _ => false,
    };
    if !ends {
        return Err(format!("an end that a task with status `{status}` can have"));
    }
    if status != "skipped" && tries > 0 && record["retry_count"].as_u64() != Some(tries - 1) {
        return Err(format!("{work} once and once for each of `retry_count` {}", record["retry_count"]));
    }
    Ok(())
}

fn validation_agrees(sight: &Sight<'_>, faults: &mut Faults) -> Occasion {
    let mut any = false;
    for (at, record, _) in sight.records() {
        let stages = record["stages"].as_array();
        let was_asked = stages.is_some_and(|stages| stages.iter().any(|stage| stage == "SCHEMA_VALIDATION"));
        let expected = match (record["status"].as_str(), was_asked) {
            (Some("success"), _) => json!("pass"),
            (_, false) => json!("skipped"),
            (Some("failed"), true) => json!({"$one_of": ["fail", "skipped"]}),
            (_, true) => continue,
        };
        any = true;
        faults.unless_matches(&format!("{at}/validation_status"), &expected, &record["validation_status"]);
    }
    Occasion::given_if(any)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(stages: &str, status: &str, retry_count: u64, expected: bool) {
        let stages: Vec<&str> = stages
            .split_whitespace()
            .map(|word| match word {
                "C" => "TASK_CONSTRUCTED",
                "D" => "DAG_VALIDATED",
                "M" => "MODEL_INVOCATION",
                "S" => "SCHEMA_VALIDATION",
                "ok" => "TASK_COMPLETED",
                "no" => "TASK_FAILED",
                other => other,
            })
            .collect();
        let record = json!({"status": status, "retry_count": retry_count});
        assert_eq!(legal(&stages, "MODEL_INVOCATION", &record).is_ok(), expected, "{stages:?} {status}");
    }

    #[test]
    fn the_ways_that_a_task_can_go() {
        check("C D M S ok", "success", 0, true);
        check("C D M S M M S ok", "success", 2, true);
        check("C D S ok", "skipped", 0, true);
        check("C D", "skipped", 0, true);
        check("C D no", "failed", 0, true);
        check("C D M S M S no", "failed", 1, true);
    }

    #[test]
    fn the_ways_that_it_cannot() {
        check("C M S ok", "success", 0, false);
        check("C D M ok", "success", 0, false);
        check("C D M S S ok", "success", 0, false);
        check("C D S ok", "success", 0, false);
        check("C D M S no", "success", 0, false);
        check("C D M S ok", "failed", 0, false);
        check("C D M S M S ok", "success", 0, false);
        check("C D AGGREGATION S ok", "success", 0, false);
    }
}
