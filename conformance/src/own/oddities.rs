//! What odd backends make of documents that are right: they stay right.

use serde_json::{Map, Value, json};

use super::Quirk;

/// The result as this oddity writes it.
pub(super) fn result(quirk: Quirk, result: &mut Value) {
    each_record(quirk, result);
    #[expect(clippy::wildcard_enum_match_arm, reason = "most oddities are of another kind")]
    match quirk {
        Quirk::MoreMembers => {
            for pointer in
                ["", "/telemetry_bundle", "/telemetry_bundle/summary", "/execution_metadata", "/failure"]
            {
                result.pointer_mut(pointer).map(more);
            }
        }
        Quirk::RecordsByName => by_name(result),
        Quirk::OnlyWhatMust => {
            keep(result, "/execution_metadata", &["run_id", "trace_id", "backend", "interface_version"]);
            keep(
                result,
                "",
                &["status", "final_output", "failure", "telemetry_bundle", "execution_metadata"],
            );
        }
        Quirk::NoDigest => keep(
            result,
            "/execution_metadata",
            &["run_id", "trace_id", "backend", "backend_version", "interface_version", "duration_ms"],
        ),
        Quirk::LongMessages => {
            result.get_mut("failure").map(long);
        }
        Quirk::OwnVersion => result["execution_metadata"]["backend_version"] = json!(OWN_VERSION),
        Quirk::WholeSeconds => {
            whole_seconds(&mut result["telemetry_bundle"]["summary"]["total_latency_ms"]);
            whole_seconds(&mut result["execution_metadata"]["duration_ms"]);
        }
        Quirk::NullForAbsent if result.get("failure").is_none() => result["failure"] = Value::Null,
        _ => {}
    }
}

/// A version that is nobody's idea of one.
pub(super) const OWN_VERSION: &str = "2026.11-rc.1+build.7";

fn each_record(quirk: Quirk, result: &mut Value) {
    let records = result.pointer_mut("/telemetry_bundle/tasks").and_then(Value::as_array_mut);
    for record in records.into_iter().flatten() {
        #[expect(clippy::wildcard_enum_match_arm, reason = "most oddities are of another kind")]
        match quirk {
            Quirk::MoreMembers => more(record),
            Quirk::LongMessages => {
                record.get_mut("failure").map(long);
            }
            Quirk::WholeSeconds => whole_seconds(&mut record["duration_ms"]),
            Quirk::NullForAbsent => {
                for member in ["failure", "skip_reason", "escalated_to", "tokens_estimated"] {
                    if record.get(member).is_none() {
                        record[member] = Value::Null;
                    }
                }
            }
            _ => {}
        }
    }
}

/// The descriptor as this oddity writes it.
pub(super) fn descriptor(quirk: Quirk, descriptor: &mut Value) {
    #[expect(clippy::wildcard_enum_match_arm, reason = "most oddities are of another kind")]
    match quirk {
        Quirk::MoreMembers => more(descriptor),
        Quirk::OnlyWhatMust => {
            // Operations and models are named, or nobody could use them.
            leave_out(descriptor, &["extensions"]);
        }
        Quirk::OwnVersion => {
            let members = (0..256).map(|number| (format!("x-{number}"), json!({"known": true})));
            if let Some(descriptor) = descriptor.as_object_mut() {
                descriptor.extend(members);
            }
        }
        _ => {}
    }
}

/// The health status as this oddity writes it.
pub(super) fn health(quirk: Quirk, health: &mut Value) {
    #[expect(clippy::wildcard_enum_match_arm, reason = "most oddities are of another kind")]
    match quirk {
        Quirk::MoreMembers => more(health),
        Quirk::OnlyWhatMust => health["capacity_summary"] = json!({}),
        Quirk::OwnVersion => health["backend_version"] = json!(OWN_VERSION),
        Quirk::Degraded => health["status"] = json!("degraded"),
        _ => {}
    }
}

fn whole_seconds(ms: &mut Value) {
    *ms = json!(ms.as_u64().unwrap_or(0) / 1000 * 1000);
}

fn more(document: &mut Value) {
    if let Some(members) = document.as_object_mut() {
        members.insert("x-vendor".into(), json!({"note": "as you like it", "list": [1, null, {"deep": {}}]}));
        members.insert("annotations".into(), Value::Null);
    }
}

fn keep(result: &mut Value, pointer: &str, wanted: &[&str]) {
    if let Some(members) = result.pointer_mut(pointer).and_then(Value::as_object_mut) {
        members.retain(|name, _| wanted.contains(&name.as_str()));
    }
}

fn leave_out(document: &mut Value, names: &[&str]) {
    if let Some(members) = document.as_object_mut() {
        members.retain(|name, _| !names.contains(&name.as_str()));
    }
}

fn long(failure: &mut Value) {
    let said = failure["message"].as_str().unwrap_or_default().to_owned();
    let padding = "Das tut uns leid. We are sorry about that. ".repeat(64);
    failure["message"] = json!(format!("{said}. {padding}"));
}

/// Records by level, within a level by id in reverse: a topological order that is nobody else's.
fn by_name(result: &mut Value) {
    let Some(records) = result.pointer_mut("/telemetry_bundle/tasks").and_then(Value::as_array_mut) else {
        return;
    };
    records.sort_by_key(|record| {
        let level = record["x-level"].as_u64().unwrap_or(0);
        (level, std::cmp::Reverse(record["task_id"].to_string()))
    });
    let members = records.iter_mut().filter_map(Value::as_object_mut);
    members.for_each(|members: &mut Map<String, Value>| drop(members.shift_remove("x-level")));
}
