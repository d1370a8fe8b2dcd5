//! What a backend says of itself (C3.5, C3.6).

use kora_ir::{CheckedGraph, Work};
use serde_json::json;

use crate::judge::law::{Faults, Law, Occasion, Sight};
use crate::judge::view;

pub(super) const LAWS: &[Law] = &[
    Law {
        id: "C3.6-descriptor-has-every-part",
        title: "The capability descriptor has all five parts, each of its type",
        clauses: &["C3.6", "C3.7"],
        likely_cause: "a member of the descriptor is left out instead of null, or has another type",
        judge: has_every_part,
    },
    Law {
        id: "C3.6-descriptor-stays-the-same",
        title: "The descriptor after a run is the one from before it",
        clauses: &["C3.6", "C6.1"],
        likely_cause: "the descriptor holds something that changes with load, such as free slots",
        judge: stays_the_same,
    },
    Law {
        id: "C3.6-no-more-at-once-than-declared",
        title: "No more model calls are under way at one time than `max_concurrency` says",
        clauses: &["C3.6"],
        likely_cause: "the limit is kept per kind of task or per run's phase, and not over all running tasks",
        judge: no_more_at_once,
    },
    Law {
        id: "C3.5-health-has-every-part",
        title: "The health status has all three parts, each of its type",
        clauses: &["C3.5"],
        likely_cause: "a member of the status is missing, or its word is none of the contract's three",
        judge: health_has_every_part,
    },
    Law {
        id: "C3.5-who-works-is-available",
        title: "A backend that has just run a graph does not call itself unavailable",
        clauses: &["C3.5"],
        likely_cause: "the health check does not look at what runs are served by",
        judge: who_works_is_available,
    },
    Law {
        id: "C3.7-what-is-not-declared-is-refused",
        title: "A graph that needs what the descriptor does not offer is refused, and nothing of it runs",
        clauses: &["C3.7"],
        likely_cause: "capabilities are looked at task by task while the graph runs, or the descriptor says too little",
        judge: what_is_not_declared_is_refused,
    },
];

fn has_every_part(sight: &Sight<'_>, faults: &mut Faults) -> Occasion {
    let descriptor = sight.capabilities;
    let size = json!({"$one_of": [{"$type": "null"}, {"$type": "integer", "$at_least": 0}]});
    for part in ["max_model_size", "supported_context_window"] {
        match descriptor.get(part) {
            None => {
                faults.add(format!("/capabilities/{part}"), "an integer, or null for not known", json!(null))
            }
            Some(value) if value.is_null() => {}
            Some(value) => faults.unless_matches(&format!("/capabilities/{part}"), &size, value),
        }
    }
    let pattern = json!({
        "max_concurrency": {"$type": "integer", "$at_least": 1},
        "supported_task_types": {
            "$type": "array",
            "$length": {"$at_least": 1},
            "$each": {"$one_of": ["deterministic", "model", "aggregation"]},
        },
        "distributed": {"$type": "boolean"},
    });
    faults.unless_matches("/capabilities", &pattern, descriptor);
    Occasion::Given
}

fn stays_the_same(sight: &Sight<'_>, faults: &mut Faults) -> Occasion {
    if sight.capabilities != sight.capabilities_after {
        faults.add("/capabilities", sight.capabilities.clone(), sight.capabilities_after.clone());
    }
    Occasion::Given
}

fn no_more_at_once(sight: &Sight<'_>, faults: &mut Faults) -> Occasion {
    let peak = view::peak(sight.calls);
    if let Some(declared) = sight.capabilities["max_concurrency"].as_u64()
        && peak > declared
    {
        faults.add("/seen/peak", json!({ "$at_most": declared }), peak);
    }
    Occasion::given_if(!sight.calls.is_empty())
}

fn health_has_every_part(sight: &Sight<'_>, faults: &mut Faults) -> Occasion {
    let pattern = json!({
        "status": {"$one_of": ["healthy", "degraded", "unavailable"]},
        "capacity_summary": {"$type": "object"},
        "backend_version": {"$type": "string", "$length": {"$at_least": 1}},
    });
    faults.unless_matches("/health", &pattern, sight.health);
    Occasion::Given
}

fn who_works_is_available(sight: &Sight<'_>, faults: &mut Faults) -> Occasion {
    let works = sight.view["status"] == "success";
    if works && sight.health["status"] == "unavailable" {
        faults.add("/health/status", json!({"$one_of": ["healthy", "degraded"]}), "unavailable");
    }
    Occasion::given_if(works)
}

fn what_is_not_declared_is_refused(sight: &Sight<'_>, faults: &mut Faults) -> Occasion {
    let Some(needed) = sight.undeclared.filter(|needed| sight.graph.is_none_or(|graph| needs(graph, needed)))
    else {
        return Occasion::None;
    };
    if sight.view.get("refused").is_none() {
        let expected = format!("a refusal: the graph needs {needed}, which is not declared");
        faults.add("/refused", expected, sight.view["status"].clone());
    }
    Occasion::Given
}

/// Whether this graph, of all the graphs of its case, needs what is not declared. `needed` names it in backticks.
fn needs(graph: &CheckedGraph, needed: &str) -> bool {
    let name = needed.split('`').nth(1).unwrap_or_default();
    graph.tasks().iter().any(|task| {
        let operation = match &task.work {
            Work::Operation(operation) => &*operation.operation,
            Work::Model(_) => "",
        };
        task.task_type.as_str() == name || operation == name
    })
}
