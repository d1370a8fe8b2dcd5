//! A backend behind a URL that speaks KORA Studio's local API.

use std::time::Duration;

use async_trait::async_trait;
use backend_api::RefusalDocument;
use backend_server::{Answer, ExecuteRequest};
use hyper::{Method, StatusCode};
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::loopback::{Address, AddressError, Lost};
use crate::model::ModelEndpoint;
use crate::subject::{Clock, Introduction, Mishap, Plug, Subject, Transport, shortened};

/// The version of the API that the suite speaks.
const API_VERSION: &str = "1.0";

/// Asks the same running backend in every case, one connection for each request.
///
/// Its documents are those of the other plugs: what the API calls `telemetry` is the `telemetry_bundle`, and an error
/// `{error_type, message, details?}` is a refusal. Where its models are it must have been told by whoever started it.
#[derive(Clone, Debug)]
pub struct Http {
    address: Address,
    backend_mode: String,
    limits: HttpLimits,
}

/// How long a backend behind a URL may take, and how much it may say (I8).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "a plain record of choices, written as a literal")]
pub struct HttpLimits {
    /// To answer a request.
    pub answer: Duration,
    /// Bytes of an answer.
    pub max_body_bytes: usize,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self { answer: Duration::from_secs(60), max_body_bytes: 64 << 20 }
    }
}

impl Http {
    /// A plug for the backend at `base_url`, on this machine. The API does not tell its `backend_mode`, so the caller
    /// does: `local` or `krako`.
    ///
    /// # Errors
    ///
    /// [`AddressError`] if that is no address of this machine.
    pub fn new(base_url: &str, backend_mode: &str, limits: HttpLimits) -> Result<Self, AddressError> {
        Ok(Self { address: Address::parse(base_url)?, backend_mode: backend_mode.to_owned(), limits })
    }
}

#[async_trait]
impl Plug for Http {
    fn transport(&self) -> Transport {
        Transport::Http
    }

    fn clock(&self) -> Clock {
        Clock::Real
    }

    async fn open(&self, _endpoint: &ModelEndpoint) -> Result<Box<dyn Subject>, Mishap> {
        let health = self.document("/health").await;
        if let Err(mishap @ Mishap::Unreachable { .. }) = health {
            return Err(mishap);
        }
        // What else is wrong with its health is for the cases about it to say.
        let version =
            health.ok().and_then(|health| Some(health.get("backend_version")?.as_str()?.to_owned()));
        let introduction = Introduction {
            name: self.address.to_string(),
            version: version.unwrap_or_default(),
            backend_mode: self.backend_mode.clone(),
        };
        Ok(Box::new(There { plug: self.clone(), introduction }))
    }
}

/// The body of `POST /execute`.
#[derive(Serialize)]
struct Execute<'r> {
    api_version: &'static str,
    taskgraph: &'r RawValue,
    execution_options: Options<'r>,
    execution_context: &'r Value,
}

#[derive(Serialize)]
struct Options<'r> {
    #[serde(skip_serializing_if = "Option::is_none")]
    backend: Option<&'r str>,
    stream: bool,
}

impl Http {
    async fn execute(&self, request: &ExecuteRequest) -> Result<Answer, Mishap> {
        let body = Execute {
            api_version: API_VERSION,
            taskgraph: &request.taskgraph,
            execution_options: Options {
                backend: request.execution_context.get("backend_mode").and_then(Value::as_str),
                stream: false,
            },
            execution_context: &request.execution_context,
        };
        let body = serde_json::to_vec(&body).map_err(|error| Mishap::Unreachable {
            detail: format!("the request cannot be written: {error}"),
        })?;
        let (status, answer) = self.ask(Method::POST, "/execute", Some(body)).await?;
        if status == StatusCode::OK {
            let Ok(Value::Object(result)) = serde_json::from_slice(&answer) else {
                return Err(garbage("POST /execute", status, &answer));
            };
            return Ok(Answer::Result(Value::Object(in_words_of_the_contract(result))));
        }
        // Not the graph is refused then, but the path.
        if matches!(status, StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED) {
            let detail = format!("`POST /execute` is answered with {status}");
            return Err(Mishap::Unsupported { detail });
        }
        match serde_json::from_slice::<RefusalDocument>(&answer) {
            Ok(refusal) if status.is_client_error() || status.is_server_error() => {
                Ok(Answer::Refused(refusal))
            }
            Ok(_) | Err(_) => Err(garbage("POST /execute", status, &answer)),
        }
    }

    async fn document(&self, path: &str) -> Result<Value, Mishap> {
        let (status, answer) = self.ask(Method::GET, path, None).await?;
        match (status, serde_json::from_slice(&answer)) {
            (StatusCode::OK, Ok(document @ Value::Object(_))) => Ok(document),
            (StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED, _) => {
                Err(Mishap::Unsupported { detail: format!("`GET {path}` is answered with {status}") })
            }
            (_, Ok(_) | Err(_)) => Err(garbage(&format!("GET {path}"), status, &answer)),
        }
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<Vec<u8>>,
    ) -> Result<(StatusCode, Vec<u8>), Mishap> {
        let asking = async {
            let mut reply = self.address.send(method, path, body).await?;
            let body = reply.whole(self.limits.max_body_bytes).await?;
            Ok((reply.status, body))
        };
        match tokio::time::timeout(self.limits.answer, asking).await {
            Ok(answered) => answered.map_err(|lost: Lost| match lost {
                Lost::Unreachable(detail) => Mishap::Unreachable { detail },
                Lost::Broken(_) => Mishap::Ended { detail: lost.to_string() },
                Lost::NotHttp(_) | Lost::TooLong { .. } => Mishap::Garbage { detail: lost.to_string() },
            }),
            Err(_) => {
                let after_ms = u64::try_from(self.limits.answer.as_millis()).unwrap_or(u64::MAX);
                Err(Mishap::Silent { after_ms })
            }
        }
    }
}

/// The API's word for the bundle is its own.
fn in_words_of_the_contract(result: Map<String, Value>) -> Map<String, Value> {
    let has_bundle = result.contains_key("telemetry_bundle");
    let renamed = |(name, value): (String, Value)| match name.as_str() {
        "telemetry" if !has_bundle => (String::from("telemetry_bundle"), value),
        _ => (name, value),
    };
    result.into_iter().map(renamed).collect()
}

fn garbage(asked: &str, status: StatusCode, answer: &[u8]) -> Mishap {
    let said = shortened(&String::from_utf8_lossy(answer));
    let expected =
        if status == StatusCode::OK { "a JSON object" } else { "`{error_type, message, details?}`" };
    Mishap::Garbage {
        detail: format!("`{asked}` is answered with {status} and `{said}`, not with {expected}"),
    }
}

#[derive(Debug)]
struct There {
    plug: Http,
    introduction: Introduction,
}

#[async_trait]
impl Subject for There {
    async fn execute_taskgraph(&self, request: ExecuteRequest) -> Result<Answer, Mishap> {
        self.plug.execute(&request).await
    }

    async fn health_check(&self) -> Result<Value, Mishap> {
        self.plug.document("/health").await
    }

    async fn capability_descriptor(&self) -> Result<Value, Mishap> {
        self.plug.document("/capabilities").await
    }

    fn introduction(&self) -> Introduction {
        self.introduction.clone()
    }

    async fn close(self: Box<Self>) -> Option<String> {
        None
    }
}
