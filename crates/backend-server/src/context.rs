//! Reads an execution context from a document, or says everything that is wrong with it.

use std::str::FromStr;

use backend_api::{
    BackendMode, ExecutionContext, Fault, InterfaceVersion, InvalidName, Refusal, RefusalDocument, RunId,
    TraceId, UserId,
};
use serde_json::{Map, Value};

/// What the document is called in refusals.
const DOCUMENT: &str = "execution_context";

/// Reads the context of a run (C3.3). Fields that this version does not know are accepted (S12).
///
/// # Errors
///
/// A refusal: `VERSION_MISMATCH` if the caller speaks another MAJOR (C10.3), else `VALIDATION_ERROR` with every fault.
pub(crate) fn read(document: &Value) -> Result<ExecutionContext, RefusalDocument> {
    let Value::Object(fields) = document else {
        let help = "send an object with `run_id`, `trace_id` and `backend_mode`";
        return Err(RefusalDocument::faults(
            DOCUMENT,
            &[Fault::wrong_type(String::new(), "an object", document, help)],
        ));
    };
    let mut reading = Reading { fields, faults: Vec::new() };
    // First: what another MAJOR means by the other fields is not known here.
    let interface_version = reading.version()?;
    let run_id = reading.name("run_id", RunId::new);
    let trace_id = reading.name("trace_id", TraceId::new);
    let backend_mode = reading.mode();
    let user_id = match fields.get("user_id") {
        None | Some(Value::Null) => None,
        Some(_) => reading.name("user_id", UserId::new),
    };
    let Reading { faults, .. } = reading;
    match (run_id, trace_id, backend_mode) {
        (Some(run_id), Some(trace_id), Some(backend_mode)) if faults.is_empty() => {
            Ok(ExecutionContext { run_id, trace_id, backend_mode, user_id, interface_version })
        }
        _ => Err(RefusalDocument::faults(DOCUMENT, &faults)),
    }
}

struct Reading<'d> {
    fields: &'d Map<String, Value>,
    faults: Vec<Fault>,
}

impl<'d> Reading<'d> {
    fn version(&mut self) -> Result<InterfaceVersion, RefusalDocument> {
        let help = "write the version of the interface that you were built for, such as \"1.0.0\"";
        match self.fields.get("interface_version") {
            None | Some(Value::Null) => Ok(InterfaceVersion::CURRENT),
            Some(Value::String(text)) => {
                let version = InterfaceVersion::from_str(text);
                let version = version.and_then(|version| version.negotiate().map(|()| version));
                version.map_err(|error| RefusalDocument::from(&Refusal::VersionMismatch(error)))
            }
            Some(other) => {
                self.faults.push(Fault::wrong_type(
                    String::from("/interface_version"),
                    "a string",
                    other,
                    help,
                ));
                Ok(InterfaceVersion::CURRENT)
            }
        }
    }

    fn name<T>(&mut self, field: &str, new: impl FnOnce(&str) -> Result<T, InvalidName>) -> Option<T> {
        let help = "use 1 to 128 bytes without control characters";
        let text = self.text(field, help)?;
        match new(text) {
            Ok(name) => Some(name),
            Err(_) => {
                let message = match text.len() {
                    0 => format!("`{field}` is empty"),
                    1..=128 => format!("`{field}` holds a control character"),
                    more => format!("`{field}` has {more} bytes"),
                };
                self.fault("invalid-id", field, message, help);
                None
            }
        }
    }

    fn mode(&mut self) -> Option<BackendMode> {
        let help = "write \"local\" or \"krako\"";
        match self.text("backend_mode", help)? {
            "local" => Some(BackendMode::Local),
            "krako" => Some(BackendMode::Krako),
            other => {
                let shown: String = other.chars().filter(|char| !char.is_control()).take(32).collect();
                self.fault("unknown-word", "backend_mode", format!("`{shown}` is no kind of backend"), help);
                None
            }
        }
    }

    fn text(&mut self, field: &str, help: &str) -> Option<&'d str> {
        match self.fields.get(field) {
            None => {
                self.fault("missing-field", field, format!("`{field}` is missing"), help);
                None
            }
            Some(Value::String(text)) => Some(text),
            Some(other) => {
                self.faults.push(Fault::wrong_type(format!("/{field}"), "a string", other, help));
                None
            }
        }
    }

    fn fault(&mut self, code: &'static str, field: &str, message: String, help: &str) {
        self.faults.push(Fault { code, pointer: format!("/{field}"), message, help: help.to_owned() });
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refused(document: Value) -> String {
        read(&document).unwrap_err().to_string()
    }

    // shows C3.3
    #[test]
    fn what_is_not_known_is_accepted_and_what_is_known_is_kept() {
        let context = read(&json!({"run_id": "r", "trace_id": "t", "backend_mode": "krako", "user_id": "u",
            "interface_version": "1.9.0", "colour": "green"}))
        .unwrap();
        assert_eq!((context.run_id.as_str(), context.trace_id.as_str()), ("r", "t"));
        assert_eq!(context.backend_mode, BackendMode::Krako);
        assert_eq!(context.user_id.unwrap().as_str(), "u");
        assert_eq!(context.interface_version.minor, 9);
    }

    // shows C10.3
    #[test]
    fn another_major_is_refused_whatever_else_is_wrong() {
        let said = refused(json!({"interface_version": "2.0.0"}));
        assert!(said.starts_with("VERSION_MISMATCH: interface version 2.0.0 was asked for"), "{said}");
        let said = refused(json!({"interface_version": "one"}));
        assert!(said.starts_with("VERSION_MISMATCH: `one` is not a version"), "{said}");
    }

    #[test]
    fn everything_wrong_is_said_at_once() {
        assert_eq!(
            refused(json!({"run_id": "", "trace_id": 7, "user_id": "a\nb", "interface_version": 1})),
            "VALIDATION_ERROR: invalid `execution_context`: \
             /interface_version: this is a number and must be a string; \
             write the version of the interface that you were built for, such as \"1.0.0\"; \
             /run_id: `run_id` is empty; use 1 to 128 bytes without control characters; \
             /trace_id: this is a number and must be a string; use 1 to 128 bytes without control characters; \
             /backend_mode: `backend_mode` is missing; write \"local\" or \"krako\"; \
             /user_id: `user_id` holds a control character; use 1 to 128 bytes without control characters"
        );
        assert_eq!(
            refused(json!([])),
            "VALIDATION_ERROR: invalid `execution_context`: /: this is an array and must be an object; \
             send an object with `run_id`, `trace_id` and `backend_mode`"
        );
    }
}
