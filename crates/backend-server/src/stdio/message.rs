//! Requests as they are read, answers as they are written.

use backend_api::{Fault, RefusalDocument};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use super::hello::{self, HelloModels};
use crate::ExecuteRequest;

/// The highest id, so that every JSON reader reads it exactly.
const MAX_ID: u64 = (1 << 53) - 1;

/// What can be asked.
#[derive(Clone, Copy, Debug)]
pub(super) enum Verb {
    Hello,
    CapabilityDescriptor,
    HealthCheck,
    ExecuteTaskgraph,
    Cancel,
    Shutdown,
}

/// A line that asks for something, read as far as its verb does not matter.
#[derive(Debug)]
pub(super) struct Request<'l> {
    pub(super) id: u64,
    fields: Fields<'l>,
}

/// Every field of every verb, as text: a bad one is answered under the request's id. Others are ignored.
#[derive(Debug, Deserialize)]
struct Fields<'l> {
    #[serde(borrow)]
    id: Option<&'l RawValue>,
    verb: Option<&'l RawValue>,
    protocol: Option<&'l RawValue>,
    models: Option<&'l RawValue>,
    taskgraph: Option<&'l RawValue>,
    execution_context: Option<&'l RawValue>,
    target: Option<&'l RawValue>,
}

impl<'l> Request<'l> {
    /// Reads a line.
    ///
    /// # Errors
    ///
    /// Why it is no request.
    pub(super) fn read(line: &'l [u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(line).map_err(|error| {
            format!("this line is not UTF-8 from byte {} on; send UTF-8", error.valid_up_to())
        })?;
        // Said by hand: the parser's words would quote what stands there instead.
        if !text.trim_start().starts_with('{') {
            return Err(String::from("this line is no JSON object; send one JSON object a line"));
        }
        let fields: Fields<'_> = serde_json::from_str(text)
            .map_err(|error| format!("this line is no request: {error}; send one JSON object a line"))?;
        let id = fields.id.and_then(|id| serde_json::from_str::<u64>(id.get()).ok());
        let id = id.filter(|id| *id <= MAX_ID);
        let id = id.ok_or_else(|| format!("`id` is missing or no whole number from 0 to {MAX_ID}"))?;
        Ok(Self { id, fields })
    }

    /// What is asked.
    ///
    /// # Errors
    ///
    /// Why nothing that is known.
    pub(super) fn verb(&self) -> Result<Verb, String> {
        const KNOWN: &str = "`hello`, `capability_descriptor`, `health_check`, `execute_taskgraph`, `cancel`, \
                             `shutdown`";
        let Some(verb) = self.fields.verb.and_then(text) else {
            return Err(format!("`verb` is missing or no string; there are {KNOWN}"));
        };
        Ok(match verb.as_str() {
            "hello" => Verb::Hello,
            "capability_descriptor" => Verb::CapabilityDescriptor,
            "health_check" => Verb::HealthCheck,
            "execute_taskgraph" => Verb::ExecuteTaskgraph,
            "cancel" => Verb::Cancel,
            "shutdown" => Verb::Shutdown,
            _ => return Err(format!("no verb is called `{}`; there are {KNOWN}", shorten(&verb))),
        })
    }

    /// The models of a `hello` whose protocol can be served.
    ///
    /// # Errors
    ///
    /// What keeps it from being served.
    pub(super) fn hello(&self) -> Result<Option<HelloModels>, String> {
        hello::negotiate(&self.fields.protocol.and_then(text).unwrap_or_default())?;
        let Some(models) = self.fields.models else { return Ok(None) };
        serde_json::from_str(models.get()).map(Some).map_err(|error| {
            format!(
                "`models` cannot be used: {error}; write {{\"base_url\", \"models\": [{{\"id\", \"tier\"}}]}}"
            )
        })
    }

    /// What an `execute_taskgraph` wants run.
    ///
    /// # Errors
    ///
    /// A refusal if it does not say.
    pub(super) fn execute(&self) -> Result<ExecuteRequest, RefusalDocument> {
        let fault = |code, field: &str, message: String, help: &str| {
            let fault = Fault { code, pointer: format!("/{field}"), message, help: help.to_owned() };
            RefusalDocument::faults("request", &[fault])
        };
        let missing = |field: &str| {
            let help = format!("send it beside `verb`, as \"{field}\": {{…}}");
            fault("missing-field", field, format!("`{field}` is missing"), &help)
        };
        let taskgraph = self.fields.taskgraph.ok_or_else(|| missing("taskgraph"))?.to_owned();
        let context = self.fields.execution_context.ok_or_else(|| missing("execution_context"))?;
        // Text of JSON it is; what can still be wrong is its depth.
        let context = serde_json::from_str(context.get());
        let execution_context = context.map_err(|error| {
            let message = format!("this cannot be read: {error}");
            fault("json-too-deep", "execution_context", message, "flatten it")
        })?;
        Ok(ExecuteRequest { taskgraph, execution_context })
    }

    /// Which request to `cancel`.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub(super) fn target(&self) -> Result<u64, String> {
        let target = self.fields.target.and_then(|target| serde_json::from_str(target.get()).ok());
        target.ok_or_else(|| {
            String::from("`target` is missing or no id; write the id of the request to cancel")
        })
    }
}

fn text(value: &RawValue) -> Option<String> {
    serde_json::from_str(value.get()).ok()
}

fn shorten(text: &str) -> String {
    text.chars().take(32).collect()
}

/// What a request comes to.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Body {
    /// It was done.
    Ok(Value),
    /// Nothing ran.
    Refused(RefusalDocument),
    /// It was cancelled.
    Cancelled {},
    /// This server cannot do it.
    Unsupported {
        /// Why.
        reason: String,
    },
    /// It was wrong.
    Error {
        /// What, and how to mend it.
        message: String,
    },
}

/// An answer as a line, its end included.
pub(super) fn line(id: Option<u64>, body: &Body) -> Vec<u8> {
    #[derive(Serialize)]
    struct Message<'b> {
        id: Option<u64>,
        #[serde(flatten)]
        body: &'b Body,
    }
    let mut line = serde_json::to_vec(&Message { id, body }).unwrap_or_else(|_| {
        // A tree of JSON values is written without fail; if not, the caller still gets an answer.
        let message = String::from("the answer cannot be written; this is a bug");
        format!("{}", serde_json::json!({"id": id, "error": {"message": message}})).into_bytes()
    });
    line.push(b'\n');
    line
}
