//! Refusal → HTTP status and body; an error on the wire → refusal (C10.3).

use std::str::FromStr;

use backend_api::{BackendMode, InterfaceVersion, Refusal, RefusalDocument, UnmetCapability, VersionError};
use kora_ir::{InvalidGraph, Span, Violation, ViolationCode};
use serde_json::{Value, json};

use crate::failure::Remark;
use crate::{ErrorResponse, ErrorType};

/// A refusal as it is answered.
pub fn response(refusal: &Refusal) -> ErrorResponse {
    let mut document = RefusalDocument::from(refusal);
    let error_type = match refusal {
        Refusal::VersionMismatch(VersionError::Incompatible { asked, offered }) => {
            document.details = Some(json!({"asked": asked, "offered": offered}));
            ErrorType::VersionMismatch
        }
        Refusal::VersionMismatch(VersionError::Malformed { found }) => {
            document.details = Some(json!({"found": found}));
            ErrorType::VersionMismatch
        }
        Refusal::InvalidGraph(invalid) if invalid.is_version_mismatch() => ErrorType::VersionMismatch,
        Refusal::InvalidGraph(_) | Refusal::BeyondCapabilities(_) | Refusal::WrongBackend { .. } => {
            ErrorType::ValidationError
        }
        Refusal::Unauthenticated(_) => ErrorType::Unauthenticated,
        Refusal::Unavailable { .. } => ErrorType::Unavailable,
    };
    let retry_after_s = match refusal {
        // Whole seconds, and none too few.
        Refusal::Unavailable { retry_after_ms, .. } => {
            let seconds = retry_after_ms.map_or(1, |wait| wait.div_ceil(1000).max(1));
            Some(u32::try_from(seconds).unwrap_or(u32::MAX).min(ErrorResponse::MAX_RETRY_AFTER_S))
        }
        Refusal::VersionMismatch(_)
        | Refusal::InvalidGraph(_)
        | Refusal::BeyondCapabilities(_)
        | Refusal::WrongBackend { .. }
        | Refusal::Unauthenticated(_) => None,
    };
    ErrorResponse { error_type, document, retry_after_s }
}

/// What a fabric's error is to KORA: nothing ran, and this is why. Nothing of it is believed beyond its words.
pub fn refusal(answer: &ErrorResponse) -> Refusal {
    let details = answer.document.details.as_ref().unwrap_or(&Value::Null);
    let message = Remark::new(&answer.document.message).as_str().to_owned();
    match answer.error_type {
        ErrorType::VersionMismatch => match invalid_graph(details) {
            Some(invalid) => Refusal::InvalidGraph(invalid),
            None => Refusal::VersionMismatch(version_error(details, message)),
        },
        ErrorType::ValidationError => invalid_graph(details)
            .map(Refusal::InvalidGraph)
            .or_else(|| unmet(details).map(Refusal::BeyondCapabilities))
            .or_else(|| wrong_backend(details))
            // What is wrong is wrong with what we wrote around the graph; KORA cannot mend that.
            .unwrap_or_else(|| refused(format!("the fabric did not take the submission: {message}"))),
        // Both are about who asks.
        ErrorType::Unauthenticated | ErrorType::Forbidden => {
            let said = message.strip_prefix("not authenticated: ").unwrap_or(&message);
            Refusal::Unauthenticated(said.to_owned())
        }
        ErrorType::TooManyRequests | ErrorType::Unavailable | ErrorType::RequestTimeout => {
            Refusal::Unavailable {
                reason: message.strip_prefix("unavailable: ").unwrap_or(&message).to_owned(),
                retry_after_ms: details["retry_after_ms"]
                    .as_u64()
                    .or(answer.retry_after_s.map(|seconds| u64::from(seconds) * 1000))
                    .map(|wait| wait.min(u64::from(ErrorResponse::MAX_RETRY_AFTER_S) * 1000)),
            }
        }
        ErrorType::Conflict => refused(format!("its `request_id` was used for another graph: {message}")),
        ErrorType::NotFound
        | ErrorType::MethodNotAllowed
        | ErrorType::PayloadTooLarge
        | ErrorType::UnsupportedMediaType
        | ErrorType::InternalError => {
            refused(format!("{} ({}): {message}", answer.error_type, answer.status()))
        }
    }
}

fn refused(reason: String) -> Refusal {
    Refusal::Unavailable { reason, retry_after_ms: None }
}

fn version_error(details: &Value, message: String) -> VersionError {
    let version = |name: &str| details[name].as_str().and_then(|text| InterfaceVersion::from_str(text).ok());
    match (version("asked"), version("offered")) {
        (Some(asked), Some(offered)) => VersionError::Incompatible { asked, offered },
        _ => {
            let found = details["found"].as_str().unwrap_or(&message);
            VersionError::Malformed { found: found.chars().take(32).collect() }
        }
    }
}

/// As many violations as a report has by default.
const MAX_VIOLATIONS: usize = 200;

fn invalid_graph(details: &Value) -> Option<InvalidGraph> {
    if details["document"] != "taskgraph" {
        return None;
    }
    let told = details["violations"].as_array()?;
    let violations: Vec<_> = told.iter().take(MAX_VIOLATIONS).filter_map(violation).collect();
    let known = violations.len();
    let omitted = details["omitted"].as_u64().and_then(|omitted| usize::try_from(omitted).ok());
    let omitted = omitted.unwrap_or(0).saturating_add(told.len() - known);
    (known > 0).then_some(InvalidGraph { violations, omitted })
}

fn violation(told: &Value) -> Option<Violation> {
    let text = |value: &Value| value.as_str().map(|text| Remark::new(text).as_str().to_owned());
    let word = told["code"].as_str()?;
    let code = ViolationCode::ALL.iter().copied().find(|code| code.to_string() == word)?;
    let place = |name: &str| told[name].as_u64().and_then(|number| usize::try_from(number).ok());
    // Which bytes they are is not told; people look for lines.
    let span =
        place("line").zip(place("column")).map(|(line, column)| Span { offset: 0, length: 0, line, column });
    let related = told["related"].as_array().map(Vec::as_slice).unwrap_or_default();
    Some(Violation {
        code,
        pointer: text(&told["pointer"])?,
        span,
        message: text(&told["message"])?,
        help: text(&told["help"]),
        related: related.iter().take(16).filter_map(|pointer| Some((text(pointer)?, None))).collect(),
    })
}

/// The names that a capability has in the descriptor.
const CAPABILITIES: &[&str] = &[
    "max_model_size",
    "max_concurrency",
    "supported_task_types",
    "supported_context_window",
    "distributed",
    "models",
    "operations",
    "extensions",
];

fn unmet(details: &Value) -> Option<Vec<UnmetCapability>> {
    let text = |value: &Value| value.as_str().map(|text| Remark::new(text).as_str().to_owned());
    let told = details["unmet"].as_array()?;
    let unmet: Vec<_> = told
        .iter()
        .take(MAX_VIOLATIONS)
        .filter_map(|told| {
            let name = told["capability"].as_str()?;
            Some(UnmetCapability {
                task_id: text(&told["task_id"])?,
                capability: CAPABILITIES.iter().find(|known| **known == name)?,
                needed: text(&told["needed"])?,
                offered: text(&told["offered"])?,
            })
        })
        .collect();
    (!unmet.is_empty()).then_some(unmet)
}

fn wrong_backend(details: &Value) -> Option<Refusal> {
    let mode = |name: &str| {
        let word = details[name].as_str()?;
        [BackendMode::Local, BackendMode::Krako].into_iter().find(|mode| mode.as_str() == word)
    };
    Some(Refusal::WrongBackend { asked: mode("asked")?, this: mode("this")? })
}

#[cfg(test)]
mod tests {
    use kora_ir::{CheckedGraph, Limits};
    use proptest::prelude::*;

    use super::*;
    use crate::WireLimits;

    fn invalid(text: &str) -> Refusal {
        Refusal::InvalidGraph(CheckedGraph::parse(text, &Limits::default()).unwrap_err())
    }

    fn refusals() -> Vec<Refusal> {
        vec![
            Refusal::VersionMismatch("2.0.0".parse::<InterfaceVersion>().unwrap().negotiate().unwrap_err()),
            Refusal::VersionMismatch(VersionError::Malformed { found: "one".into() }),
            invalid("{\"kora_version\": \"7.0.0\"}"),
            invalid(
                "{\"kora_version\": \"1.0.0\", \"graph_id\": \"g\", \"root\": \"a\", \"tasks\": [{}, 3]}",
            ),
            Refusal::BeyondCapabilities(vec![UnmetCapability {
                task_id: "a".into(),
                capability: "operations",
                needed: "operation `x`".into(),
                offered: "there is `y`".into(),
            }]),
            Refusal::WrongBackend { asked: BackendMode::Local, this: BackendMode::Krako },
            Refusal::Unauthenticated("send a bearer token".into()),
            Refusal::Unavailable { reason: "no node".into(), retry_after_ms: Some(1500) },
        ]
    }

    // shows C10.3
    #[test]
    fn every_refusal_is_the_same_after_the_wire() {
        for sent in refusals() {
            let answer = response(&sent);
            let body = serde_json::to_vec(&answer.document).unwrap();
            let seconds = answer.retry_after_s.map(|seconds| seconds.to_string());
            let read =
                ErrorResponse::read(answer.status(), seconds.as_deref(), &body, &WireLimits::default());
            assert_eq!(read, answer);
            let back = refusal(&read);
            assert_eq!(back.to_string(), sent.to_string());
            assert_eq!(std::mem::discriminant(&back), std::mem::discriminant(&sent));
            assert_eq!(response(&back).document, answer.document);
        }
    }

    #[test]
    fn every_error_on_the_wire_is_a_refusal() {
        let said: Vec<String> = ErrorType::ALL
            .iter()
            .map(|&error_type| {
                let answer = ErrorResponse::new(error_type, "why");
                format!("{} {error_type}: {}", answer.status(), refusal(&answer))
            })
            .collect();
        insta::assert_snapshot!(said.join("\n"));
    }

    proptest! {
        #[test]
        fn no_details_make_it_panic(body in "\\{\"error_type\": \"V[A-Z_]{3}\", \"message\": \"m\", \"details\": (\\{\"(violations|unmet|asked|document|omitted)\": (7|\"taskgraph\"|\\[\\{\\}, 1\\]|null)\\}|[0-9]|null)\\}") {
            for status in [400, 401, 429, 500] {
                refusal(&ErrorResponse::read(status, None, body.as_bytes(), &WireLimits::default()));
            }
        }
    }
}
