//! Failures (C9.1): five categories, each with its reason.

use serde_json::{Value, json};

use crate::judge::law::{Faults, Law, Occasion, Sight};

pub(super) const LAWS: &[Law] = &[
    Law {
        id: "C9.1-categories-are-the-five",
        title: "Every failure has one of the five categories",
        clauses: &["C9.1", "C9.2"],
        likely_cause: "an exception's own name is passed on",
        judge: categories_are_the_five,
    },
    Law {
        id: "C9.1-a-failed-task-says-why",
        title: "A failed task's record has its failure, and no other record has one",
        clauses: &["C9.1", "C8.1"],
        likely_cause: "only the run's failure is reported",
        judge: a_failed_task_says_why,
    },
    Law {
        id: "C9.1-the-run-fails-for-a-root-cause",
        title: "The run's failure is the failure of a task that failed on its own account",
        clauses: &["C9.1"],
        likely_cause: "the root's `DEPENDENCY_FAILURE` is passed on instead of what caused it",
        judge: for_a_root_cause,
    },
    Law {
        id: "C9.1-dependents-of-a-failure-do-not-run",
        title: "A task with `DEPENDENCY_FAILURE` has a dependency without an output, and was not run",
        clauses: &["C9.1"],
        likely_cause: "a task starts when its dependencies are finished, whatever became of them",
        judge: dependents_do_not_run,
    },
];

const CATEGORIES: [&str; 5] =
    ["VALIDATION_ERROR", "TIMEOUT", "BUDGET_BREACH", "DEPENDENCY_FAILURE", "EXECUTION_FAILURE"];

fn categories_are_the_five(sight: &Sight<'_>, faults: &mut Faults) -> Occasion {
    let of_run = sight.result().map(|result| (String::from("/failure"), &result["failure"]));
    let of_records = sight.records().map(|(at, record, _)| (format!("{at}/failure"), &record["failure"]));
    let mut any = false;
    for (at, failure) in of_run.into_iter().chain(of_records).filter(|(_, failure)| !failure.is_null()) {
        any = true;
        if !failure["error_type"].as_str().is_some_and(|category| CATEGORIES.contains(&category)) {
            faults.add(
                format!("{at}/error_type"),
                json!({ "$one_of": CATEGORIES }),
                failure["error_type"].clone(),
            );
        }
    }
    Occasion::given_if(any)
}

fn a_failed_task_says_why(sight: &Sight<'_>, faults: &mut Faults) -> Occasion {
    let mut any = false;
    for (at, record, _) in sight.records() {
        let failed = record["status"] == "failed";
        any |= failed;
        let expected = if failed {
            json!({"error_type": {"$type": "string"}, "message": {"$type": "string", "$length": {"$at_least": 1}}})
        } else {
            Value::Null
        };
        faults.unless_matches(&format!("{at}/failure"), &expected, &record["failure"]);
    }
    Occasion::given_if(any)
}

fn for_a_root_cause(sight: &Sight<'_>, faults: &mut Faults) -> Occasion {
    let failure = sight.result().map_or(&Value::Null, |result| &result["failure"]);
    if failure.is_null() {
        return Occasion::None;
    }
    if failure["error_type"] == "DEPENDENCY_FAILURE" {
        faults.add("/failure/error_type", json!({"$not": "DEPENDENCY_FAILURE"}), "DEPENDENCY_FAILURE");
    }
    let record = sight.records().find(|(_, record, _)| record["task_id"] == failure["task_id"]);
    match record {
        Some((at, record, _)) => {
            if record["failure"]["error_type"] != failure["error_type"] {
                faults.add(
                    format!("{at}/failure/error_type"),
                    failure["error_type"].clone(),
                    record["failure"]["error_type"].clone(),
                );
            }
        }
        None => faults.add("/failure/task_id", "a task that has a record", failure["task_id"].clone()),
    }
    Occasion::Given
}

fn dependents_do_not_run(sight: &Sight<'_>, faults: &mut Faults) -> Occasion {
    let Some(graph) = sight.graph else { return Occasion::None };
    let mut any = false;
    for (at, record, task) in sight.records() {
        let Some(task) = task.filter(|_| record["failure"]["error_type"] == "DEPENDENCY_FAILURE") else {
            continue;
        };
        any = true;
        let without_output = |id: &str| {
            sight.view["tasks"][id]["status"] == "failed"
                || sight.view["tasks"][id]["escalated_to"].is_string()
                || sight.view["tasks"][id]["status"] == "skipped"
        };
        if !task.dependencies.iter().any(|&before| without_output(graph.task(before).id.as_str())) {
            faults.add(at.clone(), "a dependency without an output", "all dependencies succeeded");
        }
        if sight.calls_of(task.id.as_str()).next().is_some() {
            faults.add(format!("/seen/count/{}", task.id), 0, sight.calls_of(task.id.as_str()).count());
        }
        let stages = record["stages"].as_array().map_or(&[][..], Vec::as_slice);
        if stages.len() != 3 {
            let expected = json!(["TASK_CONSTRUCTED", "DAG_VALIDATED", "TASK_FAILED"]);
            faults.add(format!("{at}/stages"), expected, record["stages"].clone());
        }
    }
    Occasion::given_if(any)
}
