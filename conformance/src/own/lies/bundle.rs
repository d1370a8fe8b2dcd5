//! Lies about the telemetry of a whole run.

use serde_json::{Value, json};

use super::{Lie, is_failed, records};
use crate::own::Defect;

pub(super) const LIES: &[(Defect, Lie)] = &[
    (Defect::RecordsReversed, |result| records(result).reverse()),
    (Defect::NoRecordsOfTheSkipped, |result| {
        keep(result, |record| record["status"] != "skipped");
    }),
    (Defect::NoRecordsOfTheFailed, |result| {
        keep(result, |record| record["status"] != "failed");
    }),
    (Defect::NoTelemetryOfFailures, |result| {
        if is_failed(result) {
            result["telemetry_bundle"] = json!({"tasks": [], "summary": {}});
        }
    }),
    (Defect::RecordForEachAttempt, |result| {
        let attempts = records(result).iter().flat_map(|record| {
            let retries = usize::try_from(record["retry_count"].as_u64().unwrap_or(0)).unwrap_or(0);
            std::iter::repeat_n(record.clone(), retries + 1)
        });
        let attempts: Vec<Value> = attempts.collect();
        result["telemetry_bundle"]["tasks"] = Value::Array(attempts);
    }),
    (Defect::RecordOfItsOwn, |result| {
        let own = json!({
            "task_id": "setup", "task_type": "deterministic", "status": "success", "duration_ms": 0,
            "tokens_in": 0, "tokens_out": 0, "retry_count": 0, "validation_status": "skipped",
            "stages": ["TASK_CONSTRUCTED", "DAG_VALIDATED", "TASK_COMPLETED"],
        });
        if let Some(records) = result["telemetry_bundle"]["tasks"].as_array_mut() {
            records.insert(0, own);
        }
    }),
    (Defect::InvocationsByTask, |result| {
        let called = |record: &&Value| record["stages"].to_string().contains("MODEL_INVOCATION");
        let called = records(result).iter().filter(called).count();
        result["telemetry_bundle"]["summary"]["model_invocation_count"] = json!(called);
    }),
    (Defect::DeterministicAsDeclared, |result| {
        let declared = records(result).iter().filter(|record| record["task_type"] != "model").count();
        result["telemetry_bundle"]["summary"]["deterministic_task_count"] = json!(declared);
    }),
    (Defect::DeterministicWithoutAggregation, |result| {
        let ran = |record: &&Value| record["stages"].to_string().contains("DETERMINISTIC_EXECUTION");
        let ran = records(result).iter().filter(ran).count();
        result["telemetry_bundle"]["summary"]["deterministic_task_count"] = json!(ran);
    }),
    (Defect::TotalsOfTheSuccessful, |result| {
        let tokens = |record: &Value, side: &str| record[side].as_u64().unwrap_or(0);
        let successful = records(result).iter().filter(|record| record["status"] == "success");
        let total: u64 =
            successful.map(|record| tokens(record, "tokens_in") + tokens(record, "tokens_out")).sum();
        result["telemetry_bundle"]["summary"]["total_tokens"] = json!(total);
    }),
    (Defect::NoZeros, |result| {
        if let Some(summary) = result["telemetry_bundle"]["summary"].as_object_mut() {
            summary.retain(|_, total| *total != 0);
        }
    }),
    (Defect::NoLatency, |result| result["telemetry_bundle"]["summary"]["total_latency_ms"] = json!(0)),
    (Defect::NumbersInTexts, |result| {
        let tokens = result["telemetry_bundle"]["summary"]["total_tokens"].to_string();
        result["telemetry_bundle"]["summary"]["total_tokens"] = json!(tokens);
    }),
];

fn keep(result: &mut Value, wanted: fn(&Value) -> bool) {
    if let Some(records) = result["telemetry_bundle"]["tasks"].as_array_mut() {
        records.retain(wanted);
    }
}
