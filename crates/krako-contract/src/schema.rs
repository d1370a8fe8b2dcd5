//! JSON Schemas of every document, made from the types.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

use crate::event::{
    AttemptEnd, Claimed, Completed, EventKind, Failed, Scheduled, Sequence, SessionEnded, SessionStarted,
    SessionStopping, Started, Stopped, Validated,
};
use crate::submission::{SubmissionContext, SubmissionOptions};
use crate::{
    CapabilitiesDocument, EventId, ExecutionSession, GraphId, HealthDocument, SessionId, SessionReport,
    Timestamp, UsageReport, WorkUnitId,
};

/// The names of all schemas: each is checked in as `schemas/<name>.json`.
pub const SCHEMAS: &[&str] =
    &["submission", "session", "execution-session", "event", "error", "usage", "health", "capabilities"];

/// The text of a schema's file. `None` if there is no such schema.
pub fn schema(name: &str) -> Option<String> {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    let schema = document(name, &mut generator)?;
    let mut file = Map::new();
    file.insert(String::from("$schema"), json!("https://json-schema.org/draft/2020-12/schema"));
    file.insert(String::from("title"), json!(format!("Krako contract 1.0: {name}")));
    if let Value::Object(fields) = schema {
        file.extend(fields);
    }
    let definitions = generator.take_definitions(true);
    if !definitions.is_empty() {
        file.insert(String::from("$defs"), Value::Object(definitions));
    }
    Some(pretty(&Value::Object(file)))
}

/// As files of the repository are written.
pub(crate) fn pretty(value: &Value) -> String {
    // A value of our own making: it can be written.
    serde_json::to_string_pretty(value).unwrap_or_default() + "\n"
}

/// The schema of a document, with its parts left to `generator`.
pub(crate) fn document(name: &str, generator: &mut SchemaGenerator) -> Option<Value> {
    Some(match name {
        "submission" => submission(generator),
        "session" => object::<SessionReport>(generator),
        "execution-session" => object::<ExecutionSession>(generator),
        "event" => event(generator),
        "error" => error(),
        "usage" => object::<UsageReport>(generator),
        "health" => object::<HealthDocument>(generator),
        "capabilities" => object::<CapabilitiesDocument>(generator),
        _ => return None,
    })
}

/// The schema itself, not a reference to it.
fn object<T: JsonSchema>(generator: &mut SchemaGenerator) -> Value {
    T::json_schema(generator).to_value()
}

fn part<T: JsonSchema>(generator: &mut SchemaGenerator) -> Value {
    generator.subschema_for::<T>().to_value()
}

/// A version of our MAJOR.
fn version() -> Value {
    json!({"type": "string", "pattern": "^1(\\.(0|[1-9][0-9]*)){0,2}$"})
}

fn submission(generator: &mut SchemaGenerator) -> Value {
    json!({
        "type": "object",
        "required": ["api_version", "contract_version", "taskgraph"],
        "properties": {
            "api_version": version(),
            "contract_version": version(),
            "taskgraph": {"type": "object", "description": "A TaskGraph of Task IR 1.x, in the very text that KORA wrote."},
            "execution_options": nullable(part::<SubmissionOptions>(generator)),
            "execution_context": nullable(part::<SubmissionContext>(generator)),
        },
    })
}

fn nullable(schema: Value) -> Value {
    json!({"anyOf": [schema, {"type": "null"}]})
}

/// What backend-api writes; that crate knows no schemas.
fn error() -> Value {
    json!({
        "type": "object",
        "required": ["error_type", "message"],
        "properties": {
            "error_type": {"type": "string", "description": "VERSION_MISMATCH, VALIDATION_ERROR and so on."},
            "message": {"type": "string", "description": "What is wrong and how to mend it, for people."},
            "details": {"description": "The same for programs."},
        },
    })
}

fn event(generator: &mut SchemaGenerator) -> Value {
    let kinds: Vec<Value> = EventKind::ALL
        .iter()
        .map(|&kind| {
            let unit = if kind.is_of_session() {
                json!({"work_unit_id": {"type": "null"}, "attempt_index": {"const": 0}})
            } else {
                json!({"work_unit_id": {"type": "string"}})
            };
            let mut then = json!({"properties": unit});
            if !kind.is_of_session() {
                then["required"] = json!(["work_unit_id"]);
            }
            then["properties"]["payload"] = payload(kind, generator);
            json!({"if": {"properties": {"type": {"const": kind.as_str()}}, "required": ["type"]}, "then": then})
        })
        .collect();
    json!({
        "type": "object",
        "description": "An event of a session. Names beyond those listed here belong to newer versions, and are passed over.",
        "required": ["event_id", "type", "contract_version", "timestamp", "execution_session_id", "graph_id", "sequence", "payload"],
        "properties": {
            "event_id": part::<EventId>(generator),
            "type": {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$"},
            "contract_version": version(),
            "timestamp": part::<Timestamp>(generator),
            "execution_session_id": part::<SessionId>(generator),
            "graph_id": part::<GraphId>(generator),
            "sequence": part::<Sequence>(generator),
            "work_unit_id": nullable(part::<WorkUnitId>(generator)),
            "attempt_index": {"type": "integer", "minimum": 0, "maximum": u32::MAX},
            "payload": true,
        },
        "allOf": kinds,
    })
}

fn payload(kind: EventKind, generator: &mut SchemaGenerator) -> Value {
    match kind {
        EventKind::UnitScheduled => part::<Scheduled>(generator),
        EventKind::UnitClaimed => part::<Claimed>(generator),
        EventKind::UnitStarted | EventKind::LlmStarted => part::<Started>(generator),
        EventKind::UnitValidated => part::<Validated>(generator),
        EventKind::UnitCompleted => part::<Completed>(generator),
        EventKind::UnitFailed => part::<Failed>(generator),
        EventKind::UnitStopped => part::<Stopped>(generator),
        EventKind::LlmCompleted | EventKind::LlmFailed => part::<AttemptEnd>(generator),
        EventKind::SessionStarted => part::<SessionStarted>(generator),
        EventKind::SessionStopping => part::<SessionStopping>(generator),
        EventKind::SessionCompleted | EventKind::SessionFailed => part::<SessionEnded>(generator),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::GRAPH;

    fn validator(name: &str) -> jsonschema::Validator {
        let schema: Value = serde_json::from_str(&schema(name).unwrap()).unwrap();
        assert_eq!(jsonschema::meta::validate(&schema).map_err(|error| error.to_string()), Ok(()), "{name}");
        jsonschema::validator_for(&schema).unwrap()
    }

    fn check(name: &str, document: &str) {
        let document: Value = serde_json::from_str(document).unwrap();
        let faults: Vec<String> = validator(name)
            .iter_errors(&document)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert_eq!(faults, Vec::<String>::new(), "{name}");
        let broken = json!({"contract_version": 7});
        assert!(!validator(name).is_valid(&broken), "{name} admits {broken}");
    }

    #[test]
    fn every_example_is_what_its_schema_says() {
        check("submission", include_str!("../examples/submission.json"));
        check("session", include_str!("../examples/session-success.json"));
        check("session", include_str!("../examples/session-running.json"));
        check("execution-session", include_str!("../examples/execution-session.json"));
        check("error", include_str!("../examples/error.json"));
        check("usage", include_str!("../examples/usage.json"));
        check("health", include_str!("../examples/health.json"));
        check("capabilities", include_str!("../examples/capabilities.json"));
        for line in include_str!("../examples/events.jsonl").lines() {
            check("event", line);
        }
    }

    #[test]
    fn every_schema_has_a_document_and_no_other_name_has_one() {
        for name in SCHEMAS {
            assert!(schema(name).is_some(), "{name}");
        }
        assert_eq!(schema("gossip"), None);
        assert!(GRAPH.contains("support-reply"));
    }
}
