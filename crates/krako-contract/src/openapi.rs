//! The OpenAPI 3.1 description of the Krako Cloud API as both ends here speak it.

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use crate::schema::{SCHEMAS, document, pretty};
use crate::{CONTRACT_VERSION, ErrorType};

/// The text of `openapi.json`.
pub fn openapi() -> String {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
    });
    let mut generator = settings.into_generator();
    let mut schemas = Map::new();
    for name in SCHEMAS {
        if let Some(schema) = document(name, &mut generator) {
            schemas.insert((*name).to_owned(), schema);
        }
    }
    schemas.extend(generator.take_definitions(true));
    pretty(&json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Krako Cloud",
            "version": CONTRACT_VERSION,
            "summary": "Task graphs as execution sessions. What Krako does not publish is decided in docs/decisions/0019-krako-wire.md.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "https://krako.invalid/v1", "description": "Wherever a fabric is. HTTPS only (C11.4)."}],
        "security": [{"bearer": []}],
        "paths": paths(),
        "components": {
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
            "schemas": schemas,
        },
    }))
}

fn paths() -> Value {
    json!({
        "/execute": {"post": {
            "operationId": "execute",
            "summary": "Submit a graph. The same request_id of the same tenant with the same graph is the same session.",
            "parameters": [{
                "name": "Prefer", "in": "header", "schema": {"type": "string"},
                "description": "`wait=<seconds>` (RFC 7240): how long to wait for the end before answering 202.",
            }],
            "requestBody": {"required": true, "content": json_of("submission")},
            "responses": responses(
                &[("200", "The session has ended.", "session"), ("202", "It is accepted or under way; `Location` names it.", "session")],
                &[ErrorType::ValidationError, ErrorType::Conflict, ErrorType::PayloadTooLarge, ErrorType::UnsupportedMediaType],
            ),
        }},
        "/execution/{execution_session_id}": {"get": {
            "operationId": "session",
            "summary": "How far a session is, and what came of it.",
            "parameters": [session_id()],
            "responses": responses(&[("200", "The session.", "session")], &[ErrorType::NotFound]),
        }},
        "/execution/{execution_session_id}/events": {"get": {
            "operationId": "events",
            "summary": "A session's events as they happen, from the start or after the one that was read last.",
            "parameters": [session_id(), {
                "name": "Last-Event-ID", "in": "header", "schema": {"type": "string", "pattern": "^[1-9][0-9]{0,15}$"},
                "description": "The `sequence` of the last event that was read.",
            }],
            "responses": responses_of(
                json!({"200": {
                    "description": "One frame an event: `id` is its sequence, `event` its type, `data` the document `event`. \
                                    The stream ends after the session's last event.",
                    "content": {"text/event-stream": {"schema": {"type": "string"}}},
                }}),
                &[ErrorType::ValidationError, ErrorType::NotFound],
            ),
        }},
        "/execution/{execution_session_id}/cancel": {"post": {
            "operationId": "cancel",
            "summary": "Stop a session. What ended stays as it is.",
            "parameters": [session_id()],
            "responses": responses(
                &[("200", "The session had ended.", "session"), ("202", "It is being stopped.", "session")],
                &[ErrorType::NotFound],
            ),
        }},
        "/billing/usage": {"get": {
            "operationId": "usage",
            "summary": "What the caller's tenant used in a period: this calendar month unless another is named.",
            "parameters": [query("period_start"), query("period_end")],
            "responses": responses(&[("200", "The usage.", "usage")], &[ErrorType::ValidationError]),
        }},
        "/health": {"get": {
            "operationId": "health",
            "summary": "Whether a session would be taken now.",
            "responses": responses(&[("200", "The health.", "health")], &[]),
        }},
        "/capabilities": {"get": {
            "operationId": "capabilities",
            "summary": "What can be run.",
            "responses": responses(&[("200", "The capabilities.", "capabilities")], &[]),
        }},
    })
}

fn json_of(name: &str) -> Value {
    json!({"application/json": {"schema": {"$ref": format!("#/components/schemas/{name}")}}})
}

fn session_id() -> Value {
    json!({
        "name": "execution_session_id", "in": "path", "required": true,
        "schema": {"$ref": "#/components/schemas/SessionId"},
    })
}

fn query(name: &str) -> Value {
    json!({"name": name, "in": "query", "schema": {"$ref": "#/components/schemas/Timestamp"}})
}

fn responses(good: &[(&str, &str, &str)], errors: &[ErrorType]) -> Value {
    let good = good.iter().map(|(status, description, name)| {
        ((*status).to_owned(), json!({"description": description, "content": json_of(name)}))
    });
    responses_of(Value::Object(good.collect()), errors)
}

/// The errors that any request can meet, and those of this one.
fn responses_of(mut responses: Value, errors: &[ErrorType]) -> Value {
    let always = [
        ErrorType::Unauthenticated,
        ErrorType::Forbidden,
        ErrorType::TooManyRequests,
        ErrorType::InternalError,
        ErrorType::Unavailable,
    ];
    let mut statuses: Vec<u16> = always.iter().chain(errors).map(|error| error.status()).collect();
    statuses.sort_unstable();
    for status in statuses {
        let mut response = json!({"description": "See `error_type`.", "content": json_of("error")});
        if ErrorType::of_status(status).is_passing() {
            response["headers"] = json!({"Retry-After": {"schema": {"type": "integer", "minimum": 0}}});
        }
        responses[status.to_string()] = response;
    }
    responses
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reference_leads_somewhere() {
        let description: Value = serde_json::from_str(&openapi()).unwrap();
        let mut open = vec![&description];
        let mut found = 0;
        while let Some(value) = open.pop() {
            match value {
                Value::Object(fields) => {
                    if let Some(Value::String(target)) = fields.get("$ref") {
                        let pointer = target.strip_prefix('#').unwrap();
                        assert!(description.pointer(pointer).is_some(), "{target}");
                        found += 1;
                    }
                    open.extend(fields.values());
                }
                Value::Array(items) => open.extend(items),
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
            }
        }
        assert!(found > 50, "{found}");
    }
}
