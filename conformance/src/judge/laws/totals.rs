//! The totals of a run (C8.2): sums and counts of its records.

use serde_json::{Value, json};

use crate::judge::law::{Faults, Law, Occasion, Sight};

pub(super) const LAWS: &[Law] = &[
    Law {
        id: "C8.2-summary-is-complete",
        title: "The summary has all four totals of the contract",
        clauses: &["C8.2"],
        likely_cause: "a total is left out where it is zero, or when the run fails",
        judge: is_complete,
    },
    Law {
        id: "C8.2-total-tokens-is-a-sum",
        title: "`total_tokens` is the sum of `tokens_in` and `tokens_out` of all records",
        clauses: &["C8.2"],
        likely_cause: "the total is kept beside the records, and misses failed tasks or retries",
        judge: total_tokens_is_a_sum,
    },
    Law {
        id: "C8.2-counts-are-counts",
        title: "The counts of invocations and of deterministic tasks are those of the stages in the records",
        clauses: &["C8.2"],
        likely_cause: "tasks are counted that were declared and not run, or attempts that failed are left out",
        judge: counts_are_counts,
    },
    Law {
        id: "C8.2-latency-covers-every-task",
        title: "The run took at least as long as its longest model task",
        clauses: &["C8.2"],
        likely_cause: "`total_latency_ms` leaves out waits, or is in another unit",
        judge: latency_covers_every_task,
    },
];

fn is_complete(sight: &Sight<'_>, faults: &mut Faults) -> Occasion {
    let Some(result) = sight.result() else { return Occasion::None };
    let count = json!({"$type": "integer", "$at_least": 0});
    let pattern = json!({
        "total_tokens": count,
        "total_latency_ms": {"$type": "number", "$at_least": 0},
        "model_invocation_count": count,
        "deterministic_task_count": count,
    });
    faults.unless_matches("/summary", &pattern, &result["telemetry_bundle"]["summary"]);
    Occasion::Given
}

fn total_tokens_is_a_sum(sight: &Sight<'_>, faults: &mut Faults) -> Occasion {
    if sight.result().is_none() {
        return Occasion::None;
    }
    let tokens = |record: &Value, side: &str| record[side].as_u64().unwrap_or(0);
    let sum = sight
        .records()
        .map(|(_, record, _)| tokens(record, "tokens_in") + tokens(record, "tokens_out"))
        .sum();
    faults.unless_equal("/summary/total_tokens", sum, &sight.view["summary"]["total_tokens"]);
    Occasion::given_if(sum > 0)
}

fn counts_are_counts(sight: &Sight<'_>, faults: &mut Faults) -> Occasion {
    if sight.result().is_none() {
        return Occasion::None;
    }
    let (mut invocations, mut deterministic) = (0, 0);
    for (_, record, _) in sight.records() {
        let stages = record["stages"].as_array().map_or(&[][..], Vec::as_slice);
        invocations += stages.iter().filter(|stage| *stage == "MODEL_INVOCATION").count() as u64;
        let ran = stages.iter().any(|stage| stage == "DETERMINISTIC_EXECUTION" || stage == "AGGREGATION");
        deterministic += u64::from(ran);
    }
    let summary = &sight.view["summary"];
    // A run that fails fast may have called for tasks that no longer count.
    let cut = sight.records().any(|(_, record, _)| record["skip_reason"] == "fail_fast");
    if cut {
        let expected = json!({ "$at_least": invocations });
        faults.unless_matches(
            "/summary/model_invocation_count",
            &expected,
            &summary["model_invocation_count"],
        );
    } else {
        faults.unless_equal(
            "/summary/model_invocation_count",
            invocations,
            &summary["model_invocation_count"],
        );
    }
    faults.unless_equal(
        "/summary/deterministic_task_count",
        deterministic,
        &summary["deterministic_task_count"],
    );
    Occasion::Given
}

fn latency_covers_every_task(sight: &Sight<'_>, faults: &mut Faults) -> Occasion {
    if sight.result().is_none() {
        return Occasion::None;
    }
    // Model tasks only: in process time is virtual for them, and real for an operation on a thread of its own.
    let model = sight.records().filter(|(_, record, _)| record["task_type"] == "model");
    let longest = model.filter_map(|(_, record, _)| record["duration_ms"].as_f64()).fold(0.0, f64::max);
    let total = &sight.view["summary"]["total_latency_ms"];
    // Both are rounded to milliseconds, maybe not in the same direction.
    if total.as_f64().is_none_or(|total| total + 1.0 < longest) {
        faults.add("/summary/total_latency_ms", json!({ "$at_least": longest }), total.clone());
    }
    Occasion::given_if(longest > 0.0)
}
