//! What a server's refusal means. Its words are searched, never quoted: they may repeat the prompt (I9).

use std::time::{Duration, SystemTime};

use hyper::StatusCode;
use serde_json::Value;

use crate::{AdapterError, AdapterErrorKind};

/// The longest wait that is passed on. Whoever asks for more means "not today".
const MAX_RETRY_AFTER: Duration = Duration::from_secs(3600);

/// A refusal, and whether another way of asking for structured output may help.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) error: AdapterError,
    pub(super) format: FormatVerdict,
}

/// What a refusal says about the way of asking for structured output.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum FormatVerdict {
    /// Nothing.
    NotMeant,
    /// The server does not like this schema: another way may help this time.
    ThisSchema,
    /// The server does not know this way at all.
    ThisWay,
}

/// What a response with an error status means.
pub(super) fn of_status(status: StatusCode, retry_after: Option<Duration>, body: &[u8]) -> Refused {
    let words = Words::of_body(body);
    let (kind, advice) = kind_of(status, &words);
    let code = words.code.as_deref().map(|code| format!(" (`{code}`)")).unwrap_or_default();
    let message = format!("the server answered {}{code}{advice}", status.as_u16());
    let mut error = AdapterError::new(kind, message).with_retry_after(retry_after);
    // A quota that is used up is told like a rush, and does not pass; some 5xx say "never".
    let final_status =
        [StatusCode::NOT_IMPLEMENTED, StatusCode::HTTP_VERSION_NOT_SUPPORTED].contains(&status);
    if status.is_redirection() || final_status || words.has(&["insufficient_quota"]) {
        error.transient = false;
    }
    Refused { error, format: format_verdict(status, kind, &words) }
}

/// What an error inside of a reply means.
pub(super) fn of_error_object(error: &Value) -> AdapterError {
    let words = Words::of_value(error);
    let code = words.code.as_deref().map(|code| format!(" (`{code}`)")).unwrap_or_default();
    let status =
        words.code.as_deref().and_then(|code| code.parse().ok()).filter(|code| (400..600).contains(code));
    let status =
        status.and_then(|code| StatusCode::from_u16(code).ok()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let (kind, advice) = kind_of(status, &words);
    AdapterError::new(kind, format!("the server reported an error instead of a reply{code}{advice}"))
}

/// The `Retry-After` of a response: seconds, or a date.
pub(super) fn retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    let wait = match value.trim().parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => httpdate::parse_http_date(value.trim()).ok()?.duration_since(now).unwrap_or_default(),
    };
    Some(wait.min(MAX_RETRY_AFTER))
}

/// `text` if it is a name or a code word, and so cannot carry a prompt.
pub(super) fn code_word(text: &str) -> Option<&str> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.:/@+".contains(&byte);
    (!text.is_empty() && text.len() <= 80 && text.bytes().all(fits)).then_some(text)
}

fn kind_of(status: StatusCode, words: &Words) -> (AdapterErrorKind, &'static str) {
    match status.as_u16() {
        300..400 => (
            AdapterErrorKind::Protocol,
            ": redirects are refused; set `base_url` to where the server really is",
        ),
        401 | 403 => (AdapterErrorKind::Unauthorized, ": it does not accept the API key; check `api_key`"),
        429 => (AdapterErrorKind::RateLimited, ": too many requests, or too many tokens, for now"),
        _ if words.has(CONTEXT_OVERFLOW) => (
            AdapterErrorKind::ContextOverflow,
            ": prompt and token cap do not fit the model's context window",
        ),
        404 if words.has(&["model"]) => (
            AdapterErrorKind::ModelUnknown,
            ": it does not serve this model; check `served_as`, or load the model there",
        ),
        404 | 405 => (AdapterErrorKind::Rejected, ": nothing is there; `base_url` usually ends in `/v1`"),
        408 | 425 => (AdapterErrorKind::ServerError, ": it asks to try again"),
        400..500 => (AdapterErrorKind::Rejected, ": it does not accept the request"),
        500..600 => (AdapterErrorKind::ServerError, ": it failed"),
        _ => (AdapterErrorKind::Protocol, ": a status that no reply has"),
    }
}

const CONTEXT_OVERFLOW: &[&str] = &[
    "context_length_exceeded",
    "exceed_context_size",
    "context length",
    "context window",
    "context size",
    "available context",
];

fn format_verdict(status: StatusCode, kind: AdapterErrorKind, words: &Words) -> FormatVerdict {
    let may_be = match kind {
        AdapterErrorKind::Rejected | AdapterErrorKind::ServerError => {
            matches!(status.as_u16(), 400 | 415 | 422 | 500 | 501)
        }
        AdapterErrorKind::Unreachable
        | AdapterErrorKind::Unauthorized
        | AdapterErrorKind::RateLimited
        | AdapterErrorKind::ContextOverflow
        | AdapterErrorKind::TokensExhausted
        | AdapterErrorKind::DeadlineExceeded
        | AdapterErrorKind::ModelUnknown
        | AdapterErrorKind::ModelNotAllowed
        | AdapterErrorKind::RemoteForbidden
        | AdapterErrorKind::ContentFiltered
        | AdapterErrorKind::ReplyTooLarge
        | AdapterErrorKind::Protocol
        | AdapterErrorKind::Internal => false,
    };
    if !may_be {
        FormatVerdict::NotMeant
    } else if words.has(&["invalid schema", "invalid_json_schema", "$ref", "keyword", "grammar"]) {
        FormatVerdict::ThisSchema
    } else if words.has(&["response_format", "json_schema", "json_object", "structured output"]) {
        FormatVerdict::ThisWay
    } else if words.has(&["schema"]) {
        FormatVerdict::ThisSchema
    } else {
        FormatVerdict::NotMeant
    }
}

/// What a server says about an error: everything to search in, and the code word that may be shown.
#[derive(Debug, Default)]
struct Words {
    // Invariant: lower case.
    text: String,
    code: Option<String>,
}

impl Words {
    fn of_body(body: &[u8]) -> Self {
        match serde_json::from_slice::<Value>(body) {
            Ok(value) => Self::of_value(value.get("error").unwrap_or(&value)),
            Err(_) => Self { text: String::from_utf8_lossy(body).to_lowercase(), code: None },
        }
    }

    fn of_value(error: &Value) -> Self {
        let code = ["code", "type"].iter().find_map(|&field| match error.get(field)? {
            Value::String(text) => code_word(text).map(str::to_owned),
            Value::Number(number) => number.as_u64().map(|number| number.to_string()),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
        });
        Self { text: error.to_string().to_lowercase(), code }
    }

    fn has(&self, any: &[&str]) -> bool {
        any.iter().any(|word| self.text.contains(word))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(status: u16, body: &str, kind: AdapterErrorKind, transient: bool, format: FormatVerdict) {
        let refused = of_status(StatusCode::from_u16(status).unwrap(), None, body.as_bytes());
        let found = (refused.error.kind, refused.error.transient, refused.format);
        assert_eq!(found, (kind, transient, format), "{status} {body}");
        assert!(!refused.error.message.contains("secret"), "{}", refused.error.message);
    }

    #[test]
    fn refusals_of_real_servers_are_understood() {
        use AdapterErrorKind as Kind;
        use FormatVerdict::{NotMeant, ThisSchema, ThisWay};
        check(
            400,
            r#"{"error":{"code":"context_length_exceeded","message":"secret"}}"#,
            Kind::ContextOverflow,
            false,
            NotMeant,
        );
        check(
            400,
            r#"{"error":{"code":400,"type":"exceed_context_size_error","message":"secret"}}"#,
            Kind::ContextOverflow,
            false,
            NotMeant,
        );
        check(
            500,
            r#"{"error":{"message":"Input should be 'text' or 'json_object'","type":"x","param":"response_format"}}"#,
            Kind::ServerError,
            true,
            ThisWay,
        );
        check(
            400,
            r#"{"error":{"message":"Invalid schema for response_format 'output': secret","code":null}}"#,
            Kind::Rejected,
            false,
            ThisSchema,
        );
        check(400, r#"{"error":{"message":"failed to parse grammar"}}"#, Kind::Rejected, false, ThisSchema);
        check(400, r#"{"error":{"message":"secret"}}"#, Kind::Rejected, false, NotMeant);
        check(404, r#"{"error":{"message":"model 'x' not found"}}"#, Kind::ModelUnknown, false, NotMeant);
        check(404, "404 page not found", Kind::Rejected, false, NotMeant);
        check(401, "secret", Kind::Unauthorized, false, NotMeant);
        check(403, "", Kind::Unauthorized, false, NotMeant);
        check(429, "", Kind::RateLimited, true, NotMeant);
        check(429, r#"{"error":{"code":"insufficient_quota"}}"#, Kind::RateLimited, false, NotMeant);
        check(503, "loading model", Kind::ServerError, true, NotMeant);
        check(501, "", Kind::ServerError, false, NotMeant);
        check(302, "", Kind::Protocol, false, NotMeant);
        check(418, "\u{0}", Kind::Rejected, false, NotMeant);
    }

    #[test]
    fn an_error_inside_of_a_stream_is_understood() {
        let overflow =
            serde_json::json!({"code": 400, "message": "the request exceeds the available context size"});
        assert_eq!(of_error_object(&overflow).kind, AdapterErrorKind::ContextOverflow);
        assert_eq!(of_error_object(&Value::from("secret")).kind, AdapterErrorKind::ServerError);
        assert!(!of_error_object(&Value::from("secret")).message.contains("secret"));
    }

    #[test]
    fn a_wait_is_read_as_seconds_or_date_and_bounded() {
        let now = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        assert_eq!(retry_after(" 7 ", now), Some(Duration::from_secs(7)));
        assert_eq!(retry_after("Sun, 06 Nov 1994 08:50:37 GMT", now), Some(Duration::from_secs(60)));
        assert_eq!(retry_after("Sun, 06 Nov 1994 08:00:00 GMT", now), Some(Duration::ZERO));
        assert_eq!(retry_after("99999999999", now), Some(MAX_RETRY_AFTER));
        assert_eq!(retry_after("soon", now), None);
        assert_eq!(retry_after("-1", now), None);
    }
}
