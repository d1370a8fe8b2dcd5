//! What a server's refusal means. Its words are searched, never quoted: they may repeat the prompt (I9).

use std::time::{Duration, SystemTime};

use hyper::StatusCode;
use serde_json::Value;

use crate::openai::words::Words;
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
        400..500 => {
            (AdapterErrorKind::Rejected, field_advice(words).unwrap_or(": it does not accept the request"))
        }
        500..600 => (AdapterErrorKind::ServerError, ": it failed"),
        _ => (AdapterErrorKind::Protocol, ": a status that no reply has"),
    }
}

/// How servers say that prompt and cap are too long: code words first, then what is left to searching.
const CONTEXT_OVERFLOW: &[&str] = &[
    // OpenAI and most that follow it; llama.cpp.
    "context_length_exceeded",
    "exceed_context_size",
    // llama.cpp, Ollama, LM Studio, SGLang, llama-cpp-python.
    "context length",
    "context window",
    "context size",
    "context overflow",
    "available context",
    "exceeds the context",
    "kv size",
    "kv cache is full",
    // vLLM.
    "maximum model length",
    "max_model_len",
    "maximum sequence length",
    // Text Generation Inference.
    "`inputs` must have less than",
    "tokens + `max_new_tokens` must be",
    // Gateways to models of other makers.
    "prompt is too long",
    "prompt too long",
    "input token count",
    "maximum number of tokens allowed",
];

/// What to change where a server does not know a field that can be left out, if it is about one.
fn field_advice(words: &Words) -> Option<&'static str> {
    if !words.has(&[
        "unsupported",
        "not supported",
        "does not support",
        "unrecognized",
        "unknown",
        "unexpected",
    ]) && !words.has(&["not permitted", "extra_forbidden", "extra fields", "additional properties"])
        && !words.has(&["cannot set both", "mutually exclusive", "at the same time"])
    {
        return None;
    }
    if words.has(&["stream_options", "include_usage"]) {
        Some(": it does not know `stream_options`; set `ask_usage` to false")
    } else if words.has(&["max_tokens", "max_completion_tokens"]) {
        Some(": it knows one field for the token cap only; set `token_cap_fields`")
    } else if words.has(&["temperature"]) {
        Some(": it does not take this temperature; set `send_default_temperature` to false")
    } else {
        None
    }
}

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

    // shows C7.2
    #[test]
    fn every_wording_of_an_overflow_is_an_overflow_whatever_the_status() {
        for said in [
            // llama.cpp, by age.
            r#"{"error":{"code":400,"message":"request (3031 tokens) exceeds the available context size (512 tokens), try increasing it","type":"exceed_context_size_error","n_prompt_tokens":3031,"n_ctx":512}}"#,
            r#"{"error":{"code":400,"message":"the request exceeds the available context size. try increasing the context size or enable context shift","type":"invalid_request_error"}}"#,
            r#"{"error":{"code":500,"message":"Context size has been exceeded.","type":"server_error"}}"#,
            r#"{"error":{"code":500,"message":"Input prompt is too big compared to KV size. Please try increasing KV size.","type":"server_error"}}"#,
            // llama-cpp-python.
            r#"{"error":{"message":"This model's maximum context length is 512 tokens. However, you requested 3036 tokens","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}"#,
            r#"{"error":{"message":"Requested tokens (3031) exceed context window of 512","type":"internal_server_error","param":null,"code":null}}"#,
            // Ollama.
            r#"{"error":{"message":"the input length exceeds the context length","type":"api_error","param":null,"code":null}}"#,
            r#"{"error":"prompt too long; exceeded max context length by 12 tokens"}"#,
            // LM Studio.
            r#"{"error":"Trying to keep the first 5000 tokens when context the overflows. However, the model is loaded with context length of only 4096 tokens"}"#,
            // vLLM and SGLang.
            r#"{"object":"error","message":"The decoder prompt (length 9000) is longer than the maximum model length of 2048. Make sure that `max_model_len` is no smaller than the number of text tokens.","type":"BadRequestError","param":null,"code":400}"#,
            r#"{"object":"error","message":"The input (9000 tokens) is longer than the model's context length (8192 tokens).","type":"BadRequestError","code":400}"#,
            // Text Generation Inference.
            r#"{"error":{"message":"Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 9000","type":"validation"}}"#,
            // A gateway.
            r#"{"error":{"message":"prompt is too long: 210000 tokens > 200000 maximum"}}"#,
            // No JSON at all.
            "the prompt does not fit the context window",
        ] {
            for status in [400, 413, 422, 500] {
                check(status, said, AdapterErrorKind::ContextOverflow, false, FormatVerdict::NotMeant);
            }
        }
    }

    #[test]
    fn the_literal_error_of_an_unknown_format_means_the_same_with_every_status() {
        let said = r#"{"error":{"message":"[{'type': 'literal_error', 'loc': ('body', 'response_format', 'type'), 'msg': \"Input should be 'text' or 'json_object'\", 'input': 'json_schema'}]","type":"internal_server_error","param":null,"code":null}}"#;
        check(500, said, AdapterErrorKind::ServerError, true, FormatVerdict::ThisWay);
        check(400, said, AdapterErrorKind::Rejected, false, FormatVerdict::ThisWay);
        let listed = r#"{"detail":[{"type":"literal_error","loc":["body","response_format","type"],"msg":"Input should be 'text' or 'json_object'","input":"json_schema"}]}"#;
        check(422, listed, AdapterErrorKind::Rejected, false, FormatVerdict::ThisWay);
    }

    #[test]
    fn a_schema_that_the_server_cannot_read_is_this_schemas_fault_and_not_the_formats() {
        let unread = |what: &str| {
            format!(r#"{{"error":{{"code":400,"message":"{what}","type":"invalid_request_error"}}}}"#)
        };
        for what in [
            "Unable to generate parser for this template. Automatic parser generation failed: JSON schema error at #: cannot resolve $ref #/$defs/no, $defs not found",
            "Unable to generate parser for this template. Automatic parser generation failed: JSON schema error at #/items: schema must be an object",
            "Failed to initialize samplers: failed to parse grammar",
        ] {
            check(400, &unread(what), AdapterErrorKind::Rejected, false, FormatVerdict::ThisSchema);
        }
    }

    #[test]
    fn a_field_that_the_server_does_not_know_is_named_with_its_setting() {
        let advice = |message: &str| {
            let body = serde_json::json!({"error": {"message": message}}).to_string();
            of_status(StatusCode::BAD_REQUEST, None, body.as_bytes()).error.message
        };
        insta::assert_snapshot!(
            [
                advice("Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."),
                advice("Unrecognized request argument supplied: stream_options"),
                advice("Unsupported value: 'temperature' does not support 0 with this model."),
                advice("max_tokens is too large"),
            ]
            .join("\n"),
            @r"
        the server answered 400: it knows one field for the token cap only; set `token_cap_fields`
        the server answered 400: it does not know `stream_options`; set `ask_usage` to false
        the server answered 400: it does not take this temperature; set `send_default_temperature` to false
        the server answered 400: it does not accept the request
        "
        );
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
