//! Lies: what some mutants make of a result after the run was as it should be.

mod bundle;
mod record;

use serde_json::{Value, json};

use super::Defect;

/// What a lie does to a document.
type Lie = fn(&mut Value);

/// The result as this defect tells it.
pub(super) fn tell(defect: Defect, result: &mut Value) {
    if let Some((_, lie)) = record::LIES.iter().find(|(with, _)| *with == defect) {
        records(result).iter_mut().for_each(lie);
    }
    if let Some((_, lie)) = RESULT.iter().chain(bundle::LIES).find(|(with, _)| *with == defect) {
        lie(result);
    }
}

fn records(result: &mut Value) -> &mut [Value] {
    let records = result.pointer_mut("/telemetry_bundle/tasks").and_then(Value::as_array_mut);
    records.map_or(&mut [], Vec::as_mut_slice)
}

fn is_failed(result: &Value) -> bool {
    result["status"] == "failed"
}

/// Takes a member out of an object.
fn leave_out(object: &mut Value, member: &str) {
    if let Some(object) = object.as_object_mut() {
        object.shift_remove(member);
    }
}

/// Makes a failed run one that succeeded.
fn succeed(result: &mut Value) {
    result["status"] = json!("success");
    leave_out(result, "failure");
}

/// About the result around the telemetry.
const RESULT: &[(Defect, Lie)] = &[
    (Defect::BreachIsSuccess, |result| {
        if result["failure"]["error_type"] == "BUDGET_BREACH" {
            succeed(result);
        }
    }),
    (Defect::RootDecides, |result| {
        if !result["final_output"].is_null() {
            succeed(result);
        }
    }),
    (Defect::NoOutputAfterFailure, |result| {
        if is_failed(result) {
            result["final_output"] = Value::Null;
        }
    }),
    (Defect::FailuresUntold, |result| leave_out(result, "failure")),
    (Defect::OwnRunIds, |result| result["execution_metadata"]["run_id"] = json!("run-1")),
    (Defect::LosesTraceIds, |result| leave_out(&mut result["execution_metadata"], "trace_id")),
    (Defect::NoRunId, |result| {
        if result["execution_metadata"]["run_id"] == "none" {
            leave_out(&mut result["execution_metadata"], "run_id");
        }
    }),
    (Defect::WrongMode, |result| result["execution_metadata"]["backend"] = json!("krako")),
    (Defect::NoInterfaceVersion, |result| {
        leave_out(&mut result["execution_metadata"], "interface_version");
    }),
    (Defect::WrongDigest, |result| {
        let digest = format!("sha256:{}", "0".repeat(64));
        result["execution_metadata"]["graph_digest"] = json!(digest);
    }),
    (Defect::RewritesGraphIds, |result| {
        let id = result["execution_metadata"]["graph_id"].as_str().unwrap_or_default().to_uppercase();
        result["execution_metadata"]["graph_id"] = json!(id);
    }),
    (Defect::NoFinalOutputMember, |result| {
        if result["final_output"].is_null() {
            leave_out(result, "final_output");
        }
    }),
    (Defect::NoMetadata, |result| leave_out(result, "execution_metadata")),
];
