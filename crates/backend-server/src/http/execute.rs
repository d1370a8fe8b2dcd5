//! `POST /execute`: the request as it is read, the result as it is written.

use backend_api::{BackendMode, Fault, InterfaceVersion, RefusalDocument};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use ulid::Ulid;

use crate::ExecuteRequest;

/// The version of the API. Another MAJOR is refused, a newer MINOR is served (C10.3).
const API_VERSION: &str = "1.0";
const MAJOR: u32 = 1;
/// What the body is called in refusals.
const DOCUMENT: &str = "request";

/// Every field, as text. Others are ignored: a newer MINOR may have them.
#[derive(Debug, Deserialize)]
struct Fields<'b> {
    #[serde(borrow)]
    api_version: Option<&'b RawValue>,
    taskgraph: Option<&'b RawValue>,
    execution_options: Option<&'b RawValue>,
    execution_context: Option<&'b RawValue>,
}

/// What a caller asks for.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) request: ExecuteRequest,
    /// Whether to tell of events as they happen.
    pub(super) stream: bool,
}

/// Reads the body of a request to a backend of kind `this`.
///
/// # Errors
///
/// A refusal: `VERSION_MISMATCH` before anything else is looked at, else `VALIDATION_ERROR` with every fault.
pub(super) fn read(body: &[u8], this: BackendMode, can_stream: bool) -> Result<Asked, RefusalDocument> {
    let one = |code, message: String, help: &str| {
        let fault = Fault { code, pointer: String::new(), message, help: help.to_owned() };
        RefusalDocument::faults(DOCUMENT, &[fault])
    };
    let text = std::str::from_utf8(body).map_err(|error| {
        one("not-utf8", format!("this is not UTF-8 from byte {} on", error.valid_up_to()), "send UTF-8")
    })?;
    // Said by hand: the parser's words would quote what stands there instead.
    let help = "send {\"api_version\": \"1.0\", \"taskgraph\": {…}}";
    if !text.trim_start().starts_with('{') {
        return Err(one("wrong-type", String::from("this is no JSON object"), help));
    }
    let fields: Fields<'_> =
        serde_json::from_str(text).map_err(|error| one("syntax", error.to_string(), help))?;
    negotiate(fields.api_version)?;
    let mut faults = Vec::new();
    if fields.taskgraph.is_none() {
        faults.push(fault("missing-field", "/taskgraph", "`taskgraph` is missing", "send the graph in it"));
    }
    let (backend, stream) = options(fields.execution_options, can_stream, &mut faults);
    let execution_context = context(fields.execution_context, backend, this, &mut faults);
    match fields.taskgraph {
        Some(taskgraph) if faults.is_empty() => {
            let request = ExecuteRequest { taskgraph: taskgraph.to_owned(), execution_context };
            Ok(Asked { request, stream })
        }
        Some(_) | None => Err(RefusalDocument::faults(DOCUMENT, &faults)),
    }
}

fn negotiate(asked: Option<&RawValue>) -> Result<(), RefusalDocument> {
    let refused = |message| Err(RefusalDocument::new("VERSION_MISMATCH", message));
    let Some(asked) = asked else {
        return refused(format!("`api_version` is missing; write \"{API_VERSION}\""));
    };
    let text = serde_json::from_str::<String>(asked.get()).ok();
    let version = text.as_deref().and_then(|text| text.parse::<InterfaceVersion>().ok());
    match version {
        Some(version) if version.major == MAJOR => Ok(()),
        Some(version) => refused(format!(
            "`api_version` {}.{} was asked for, and {API_VERSION} is what there is: the MAJOR differs",
            version.major, version.minor
        )),
        None => refused(format!("`api_version` is no version; write \"{API_VERSION}\"")),
    }
}

/// The kind of backend that is asked for, if one is, and whether to stream.
fn options(options: Option<&RawValue>, can_stream: bool, faults: &mut Vec<Fault>) -> (Option<String>, bool) {
    let at = "/execution_options";
    let options = match options.map(|options| serde_json::from_str::<Value>(options.get())) {
        None | Some(Ok(Value::Null)) => return (None, false),
        Some(Ok(Value::Object(options))) => options,
        Some(Ok(other)) => {
            let help = "send {\"backend\": \"local\", \"stream\": false}";
            faults.push(Fault::wrong_type(at.to_owned(), "an object", &other, help));
            return (None, false);
        }
        Some(Err(error)) => {
            faults.push(fault("json-too-deep", at, &format!("this cannot be read: {error}"), "flatten it"));
            return (None, false);
        }
    };
    let help = "write false, or leave it out";
    let stream = match options.get("stream") {
        None | Some(Value::Null | Value::Bool(false)) => false,
        Some(Value::Bool(true)) => {
            if !can_stream {
                let at = "/execution_options/stream";
                faults.push(fault("unsupported", at, "this server does not stream", help));
            }
            true
        }
        Some(other) => {
            let at = String::from("/execution_options/stream");
            faults.push(Fault::wrong_type(at, "a boolean", other, help));
            false
        }
    };
    let backend = match options.get("backend") {
        None | Some(Value::Null) => None,
        Some(Value::String(backend)) if matches!(backend.as_str(), "local" | "krako") => {
            Some(backend.clone())
        }
        Some(Value::String(_)) => {
            let at = "/execution_options/backend";
            faults.push(fault(
                "unknown-word",
                at,
                "this is no kind of backend",
                "write \"local\" or \"krako\"",
            ));
            None
        }
        Some(other) => {
            let at = String::from("/execution_options/backend");
            faults.push(Fault::wrong_type(at, "a string", other, "write \"local\" or \"krako\""));
            None
        }
    };
    (backend, stream)
}

/// The context of the run: as sent, and what was left out made up.
fn context(
    sent: Option<&RawValue>,
    backend: Option<String>,
    this: BackendMode,
    faults: &mut Vec<Fault>,
) -> Value {
    let mut context = match sent.map(|sent| serde_json::from_str::<Value>(sent.get())) {
        None | Some(Ok(Value::Null)) => Map::new(),
        Some(Ok(Value::Object(context))) => context,
        // The service says what is wrong with it.
        Some(Ok(other)) => return other,
        Some(Err(error)) => {
            let at = "/execution_context";
            faults.push(fault("json-too-deep", at, &format!("this cannot be read: {error}"), "flatten it"));
            return Value::Null;
        }
    };
    // Left out, as programs write it whose types have no absence.
    context.retain(|_, value| !value.is_null());
    if let (Some(backend), Some(mode)) = (&backend, context.get("backend_mode"))
        && mode.as_str() != Some(backend)
    {
        let message = "`execution_options.backend` and `execution_context.backend_mode` differ";
        let help = "leave one of them out";
        faults.push(fault("contradiction", "/execution_context/backend_mode", message, help));
    }
    let mut or_else = |name: &str, made: &dyn Fn() -> String| {
        context.entry(name).or_insert_with(|| Value::String(made()));
    };
    or_else("backend_mode", &|| backend.clone().unwrap_or_else(|| this.as_str().to_owned()));
    or_else("run_id", &|| Ulid::generate().to_string());
    // 32 hexadecimal digits, as tracing tools have them.
    or_else("trace_id", &|| format!("{:032x}", u128::from(Ulid::generate())));
    Value::Object(context)
}

fn fault(code: &'static str, at: &str, message: &str, help: &str) -> Fault {
    Fault { code, pointer: at.to_owned(), message: message.to_owned(), help: help.to_owned() }
}

/// A result in the words of the API: its telemetry is called so there.
pub(super) fn written(result: Value) -> Value {
    let Value::Object(mut result) = result else { return result };
    let mut document = Map::new();
    for (ours, theirs) in [
        ("status", "status"),
        ("final_output", "final_output"),
        ("failure", "failure"),
        ("telemetry_bundle", "telemetry"),
        ("execution_metadata", "execution_metadata"),
    ] {
        if let Some(value) = result.remove(ours) {
            document.insert(theirs.to_owned(), value);
        }
    }
    Value::Object(document)
}
