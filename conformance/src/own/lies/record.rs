//! Lies about one task.

use serde_json::{Value, json};

use super::{Lie, leave_out};
use crate::own::Defect;

/// Told of each record.
pub(super) const LIES: &[(Defect, Lie)] = &[
    (Defect::AlwaysPass, |record| {
        if record["validation_status"] == "fail" {
            record["validation_status"] = json!("pass");
        }
    }),
    (Defect::DependencyFailureIsExecutionFailure, |record| {
        if record["failure"]["error_type"] == "DEPENDENCY_FAILURE" {
            record["failure"]["error_type"] = json!("EXECUTION_FAILURE");
        }
    }),
    (Defect::DependentsAreSkipped, |record| {
        if record["failure"]["error_type"] == "DEPENDENCY_FAILURE" {
            record["status"] = json!("skipped");
            leave_out(record, "failure");
            stages(record, |stages| stages.retain(|stage| stage != "TASK_FAILED"));
        }
    }),
    (Defect::NoStages, |record| leave_out(record, "stages")),
    (Defect::NoValidationStage, |record| {
        stages(record, |stages| stages.retain(|stage| stage != "SCHEMA_VALIDATION"));
    }),
    (Defect::AttemptsCollapsed, |record| stages(record, first_of_each)),
    (Defect::AggregationIsDeterministic, |record| {
        if record["task_type"] == "aggregation" {
            record["task_type"] = json!("deterministic");
            stages(record, |stages| {
                for stage in stages.iter_mut().filter(|stage| *stage == "AGGREGATION") {
                    *stage = json!("DETERMINISTIC_EXECUTION");
                }
            });
        }
    }),
    (Defect::TypesOfTheSubstrate, |record| {
        let model = record["task_type"] == "model";
        record["task_type"] = json!(if model { "llm_pod" } else { "cpu" });
    }),
    (Defect::StagesOfWhatNeverRan, |record| {
        if record["failure"]["error_type"] == "DEPENDENCY_FAILURE" {
            let executed = match record["task_type"].as_str() {
                Some("model") => "MODEL_INVOCATION",
                Some("aggregation") => "AGGREGATION",
                Some(_) | None => "DETERMINISTIC_EXECUTION",
            };
            stages(record, |stages| stages.insert(2, json!(executed)));
        }
    }),
    (Defect::StagesSorted, |record| {
        stages(record, |stages| stages.sort_by_key(ToString::to_string));
    }),
    (Defect::RewritesIds, |record| {
        let id = record["task_id"].as_str().unwrap_or_default().to_lowercase();
        record["task_id"] = json!(id.replace(['.', '_'], "-"));
    }),
    (Defect::FailedWithoutWhy, |record| leave_out(record, "failure")),
    (Defect::SkippedIsSuccess, |record| {
        if record["status"] == "skipped" {
            record["status"] = json!("success");
        }
    }),
    (Defect::FailedIsSkipped, |record| {
        if record["status"] == "failed" {
            record["status"] = json!("skipped");
        }
    }),
    (Defect::TokensOutHalved, |record| change(record, "tokens_out", |tokens| tokens / 2)),
    (Defect::TokensOutPadded, |record| {
        if record["tokens_out"] != 0 {
            change(record, "tokens_out", |tokens| tokens + 1);
        }
    }),
    (Defect::NoTokensIn, |record| change(record, "tokens_in", |_| 0)),
    (Defect::RetryCountFromOne, |record| {
        if record["stages"].as_array().is_some_and(|stages| stages.len() > 3) {
            change(record, "retry_count", |retries| retries + 1);
        }
    }),
    (Defect::RetryCountHidden, |record| change(record, "retry_count", |_| 0)),
    (Defect::NoDuration, |record| leave_out(record, "duration_ms")),
    (Defect::NegativeDuration, |record| record["duration_ms"] = json!(-1)),
    (Defect::DurationInSeconds, |record| change(record, "duration_ms", |ms| ms / 1000)),
    (Defect::NumbersInTexts, |record| {
        for member in ["tokens_in", "tokens_out", "retry_count"] {
            record[member] = json!(record[member].to_string());
        }
    }),
];

fn change(record: &mut Value, member: &str, change: fn(u64) -> u64) {
    record[member] = json!(change(record[member].as_u64().unwrap_or_default()));
}

fn stages(record: &mut Value, change: impl FnOnce(&mut Vec<Value>)) {
    if let Some(stages) = record.get_mut("stages").and_then(Value::as_array_mut) {
        change(stages);
    }
}

/// Keeps the first of equal members.
fn first_of_each(stages: &mut Vec<Value>) {
    let mut seen = Vec::new();
    stages.retain(|stage| {
        let is_new = !seen.contains(stage);
        seen.push(stage.clone());
        is_new
    });
}
