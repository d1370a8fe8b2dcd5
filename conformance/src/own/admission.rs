//! What is refused before anything runs: the context and the graph (C10.3).

use backend_api::RefusalDocument;
use kora_ir::{CheckedGraph, InvalidGraph, Limits};
use serde_json::{Value, json};

/// What of the context comes back in the result.
#[derive(Clone, Debug)]
pub(super) struct Context {
    pub(super) run_id: String,
    pub(super) trace_id: String,
}

/// Reads the context of a run. Fields that are not known are accepted (S12).
pub(super) fn context(document: &Value) -> Result<Context, RefusalDocument> {
    let field = |name: &str| document.get(name).filter(|value| !value.is_null());
    match field("interface_version").map(Value::as_str) {
        None => {}
        Some(Some(version)) if version.split('.').next() == Some("1") && is_version(version) => {}
        Some(_) => {
            let message = "`interface_version` is not 1.x; this backend speaks 1.0.0";
            return Err(RefusalDocument::new("VERSION_MISMATCH", message));
        }
    }
    let name = |name: &str| match field(name).and_then(Value::as_str) {
        Some(text) if (1..=128).contains(&text.len()) && !text.chars().any(char::is_control) => {
            Ok(text.to_owned())
        }
        Some(_) | None => Err(refused(format!(
            "`{name}` in `execution_context` must be a text of 1 to 128 bytes without control characters"
        ))),
    };
    let context = Context { run_id: name("run_id")?, trace_id: name("trace_id")? };
    if field("user_id").is_some() {
        name("user_id")?;
    }
    match field("backend_mode").and_then(Value::as_str) {
        Some("local") => Ok(context),
        Some("krako") => Err(refused("`backend_mode` is `krako`, and this is a local backend")),
        Some(_) | None => Err(refused("`backend_mode` must be `local` or `krako`")),
    }
}

/// Up to three numbers with points between them.
fn is_version(text: &str) -> bool {
    let is_number = |part: &str| part.parse::<u32>().is_ok_and(|number| number.to_string() == part);
    text.split('.').count() <= 3 && text.split('.').all(is_number)
}

/// Reads and checks the graph.
pub(super) fn graph(text: &str) -> Result<CheckedGraph, RefusalDocument> {
    CheckedGraph::parse(text, &Limits::default()).map_err(|invalid| invalid_graph(&invalid))
}

fn invalid_graph(invalid: &InvalidGraph) -> RefusalDocument {
    let violations = invalid.violations.iter().map(|violation| {
        json!({
            "code": violation.code,
            "pointer": violation.pointer,
            "message": violation.message,
            "help": violation.help,
        })
    });
    let details = json!({"violations": violations.collect::<Vec<_>>()});
    let error_type = if invalid.is_version_mismatch() { "VERSION_MISMATCH" } else { "VALIDATION_ERROR" };
    let message = format!("invalid graph: {invalid}");
    RefusalDocument { error_type: error_type.to_owned(), message, details: Some(details) }
}

fn refused(message: impl Into<String>) -> RefusalDocument {
    RefusalDocument::new("VALIDATION_ERROR", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error_type(document: Value) -> Option<String> {
        context(&document).err().map(|refusal| refusal.error_type)
    }

    #[test]
    fn a_context_is_read_or_refused() {
        let with = |name: &str, value: Value| {
            let mut document =
                json!({"run_id": "r", "trace_id": "t", "backend_mode": "local", "colour": "green"});
            document[name] = value;
            error_type(document)
        };
        for version in ["1", "1.0", "1.9.3"] {
            assert_eq!(with("interface_version", json!(version)), None);
        }
        for version in [json!("2.0.0"), json!("1.x"), json!("01.0"), json!(""), json!("1.0.0.0")] {
            assert_eq!(with("interface_version", version).as_deref(), Some("VERSION_MISMATCH"));
        }
        for (name, value) in [
            ("run_id", json!("")),
            ("trace_id", json!(null)),
            ("user_id", json!(3)),
            ("backend_mode", json!("krako")),
        ] {
            assert_eq!(with(name, value).as_deref(), Some("VALIDATION_ERROR"), "{name}");
        }
    }
}
