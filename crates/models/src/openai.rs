//! An adapter for OpenAI-compatible servers: Ollama, llama.cpp, LM Studio, vLLM, hosted ones.

mod config;
mod connection;
mod endpoint;
mod failure;
mod listing;
mod reading;
mod sse;
mod structured;
mod wire;
mod words;

use std::fmt;
use std::time::SystemTime;

use async_trait::async_trait;
use credentials::Secret;
use hyper::{Method, StatusCode, header};
use kora_ir::{OutputSchema, Privacy};
use schema_grammar::SchemaNote;

use crate::{
    AdapterDescriptor, AdapterError, AdapterErrorKind, AdapterHealth, Locality, ModelAdapter, ModelId,
    ModelRequest, RawReply, ServedModel, TokenSink,
};

pub use self::config::{
    OpenAiConfig, OpenAiConfigError, OpenAiLimits, OpenAiModel, StructuredOutput, TokenCapFields,
};
use self::connection::{Dialer, Response};
pub use self::endpoint::EndpointError;
use self::failure::{FormatVerdict, Refused};
use self::listing::Listings;
use self::reading::{Reading, served_as};
use self::sse::SseParser;
use self::structured::{Mode, Modes};

/// Bytes of an error's body that are looked at.
const MAX_ERROR_BYTES: usize = 64 << 10;
/// The least buffer that the HTTP parser works with.
const MIN_HEADER_BYTES: usize = 8192;

/// Asks an OpenAI-compatible server (C4.2). One connection for each call, closed when the call ends or is dropped.
///
/// What the server says is believed as far as it can be checked: the token cap and the deadline hold here whatever it
/// does, its usage counts where it is not below what was seen, and an answer of another model is refused, as is a model
/// that the server does not list (C11.3).
/// Where it does not know a way of structured output, the next weaker one is tried within the same call and
/// remembered; a request that was turned down generated nothing.
pub struct OpenAiAdapter {
    config: OpenAiConfig,
    dialer: Dialer,
    modes: Modes,
    listings: Listings,
}

impl OpenAiAdapter {
    /// An adapter as configured. Reads the API key and the certificate authorities; does not connect.
    ///
    /// # Errors
    ///
    /// [`OpenAiConfigError`] if the configuration cannot be used.
    pub fn new(config: OpenAiConfig) -> Result<Self, OpenAiConfigError> {
        let adapter = || config.name.clone();
        let endpoint = endpoint::Endpoint::parse(&config.base_url, config.allow_plaintext)
            .map_err(|fault| OpenAiConfigError::BaseUrl { adapter: adapter(), fault })?;
        if config.models.is_empty() {
            return Err(OpenAiConfigError::NoModels { adapter: adapter() });
        }
        let limits = &config.limits;
        for (limit, value, least) in [
            ("max_header_bytes", limits.max_header_bytes, MIN_HEADER_BYTES),
            ("max_headers", limits.max_headers, 1),
            ("max_event_bytes", limits.max_event_bytes, 1),
            ("max_response_bytes", limits.max_response_bytes, 1),
        ] {
            if value < least {
                return Err(OpenAiConfigError::Limit { adapter: adapter(), limit, least: least as u64 });
            }
        }
        if config.api_key.is_some() && !endpoint.encrypted && !endpoint.is_loopback() {
            return Err(OpenAiConfigError::KeyInTheClear { adapter: adapter() });
        }
        let key = config.api_key.as_ref().map(|source| Secret::read(source, "API key")).transpose();
        let key = key.map_err(|source| OpenAiConfigError::ApiKey { adapter: adapter(), source })?;
        let tls = endpoint.encrypted.then(|| connection::tls(config.ca_file.as_deref())).transpose();
        let tls = tls.map_err(|fault| OpenAiConfigError::Authorities { adapter: adapter(), fault })?;
        let dialer = Dialer { endpoint, limits: config.limits, key, tls };
        Ok(Self {
            modes: Modes::new(config.structured_output),
            listings: Listings::default(),
            config,
            dialer,
        })
    }

    /// The same error, without the API key, should the server have put it where code words are quoted (I9).
    fn redacted(&self, error: AdapterError) -> AdapterError {
        match &self.dialer.key {
            Some(key) => AdapterError { message: key.redact(error.message), ..error },
            None => error,
        }
    }

    fn locality(&self) -> Locality {
        if self.dialer.endpoint.is_loopback() && !self.config.forwards_elsewhere {
            Locality::Local
        } else {
            Locality::Remote
        }
    }

    /// What can be refused before anything is sent.
    fn may_ask(&self, request: &ModelRequest) -> Result<&OpenAiModel, AdapterError> {
        if request.privacy == Privacy::LocalOnly && self.locality() == Locality::Remote {
            let message = format!("adapter `{}` is remote and the request is `local_only`", self.config.name);
            return Err(AdapterError::new(AdapterErrorKind::RemoteForbidden, message));
        }
        if request.max_output_tokens == 0 {
            let message = "no token is left of the cap";
            return Err(AdapterError::new(AdapterErrorKind::TokensExhausted, message));
        }
        if request.messages.is_empty() {
            // Some servers would generate something from nothing.
            let message = "the request has no messages, so there is nothing to answer";
            return Err(AdapterError::new(AdapterErrorKind::Rejected, message));
        }
        self.config.models.iter().find(|model| model.id == request.model).ok_or_else(|| {
            let message = format!("adapter `{}` serves no model `{}`", self.config.name, request.model);
            AdapterError::new(AdapterErrorKind::ModelUnknown, message)
        })
    }

    /// Asks in the strongest way that the server accepts.
    async fn ask(
        &self,
        model: &OpenAiModel,
        request: &ModelRequest,
        sink: &mut TokenSink,
    ) -> Result<RawReply, AdapterError> {
        let name = served_as(model);
        if self.config.check_listing {
            self.check_listing(model).await?;
        }
        let mut mode = self.modes.first(name);
        let mut lasting = true;
        loop {
            let response = self.post(name, request, mode, sink).await?;
            if response.status == StatusCode::OK {
                if lasting {
                    self.modes.remember(name, mode);
                }
                return self.read(model, response, sink).await;
            }
            // Said by the head already; the body only tells why.
            if !response.status.is_success() {
                sink.turned_down();
            }
            let refused = refusal(response).await;
            let weaker = self.modes.after(mode);
            match (refused.format, weaker) {
                (FormatVerdict::ThisWay | FormatVerdict::ThisSchema, Some(weaker)) => {
                    lasting &= refused.format == FormatVerdict::ThisWay;
                    mode = weaker;
                }
                (FormatVerdict::NotMeant, _) | (_, None) => return Err(refused.error),
            }
        }
    }

    async fn post(
        &self,
        name: &str,
        request: &ModelRequest,
        mode: Mode,
        sink: &mut TokenSink,
    ) -> Result<Response, AdapterError> {
        let body = wire::request(&self.config, name, request, mode).map_err(|error| {
            AdapterError::new(AdapterErrorKind::Internal, format!("the request cannot be written: {error}"))
        })?;
        self.dialer.send(Method::POST, "/chat/completions", body, || sink.sent()).await
    }

    async fn read(
        &self,
        model: &OpenAiModel,
        mut response: Response,
        sink: &mut TokenSink,
    ) -> Result<RawReply, AdapterError> {
        let mut reading = Reading::new(model);
        match kind_of_body(&response)? {
            BodyKind::Events => {
                sink.streaming();
                let mut parser = SseParser::new(self.config.limits.max_event_bytes);
                while !reading.is_done() {
                    match response.bytes().await {
                        Ok(Some(bytes)) => parser.push(&bytes, |data| reading.event(data, sink))?,
                        Ok(None) => break,
                        // The reply is whole; only the end of the stream is missing.
                        Err(_) if reading.is_complete() => break,
                        Err(error) => return Err(error),
                    }
                }
            }
            BodyKind::Json => {
                let mut body = Vec::new();
                while let Some(bytes) = response.bytes().await? {
                    body.extend_from_slice(&bytes);
                }
                reading.whole(&body, sink)?;
            }
        }
        reading.conclude(sink)
    }
}

#[async_trait]
impl ModelAdapter for OpenAiAdapter {
    fn descriptor(&self) -> AdapterDescriptor {
        let models = self.config.models.iter().map(|model| ServedModel {
            id: model.id.clone(),
            tier: model.tier.clone(),
            context_tokens: model.context_tokens,
            parameters: model.parameters,
        });
        AdapterDescriptor {
            name: self.config.name.clone(),
            locality: self.locality(),
            models: models.collect(),
            concurrent_calls: self.config.concurrent_calls,
        }
    }

    fn admit(&self, _: &ModelId, _: &OutputSchema) -> Result<Vec<SchemaNote>, AdapterError> {
        // The server decodes, and says nothing of what it holds to.
        Ok(Vec::new())
    }

    async fn health(&self) -> AdapterHealth {
        self.health_by_listing().await
    }

    async fn prepare(&self, _: &ModelId) -> Result<(), AdapterError> {
        Ok(())
    }

    async fn generate(&self, request: &ModelRequest, sink: &mut TokenSink) -> Result<RawReply, AdapterError> {
        let model = self.may_ask(request)?;
        // Total, not idle: a server that sends a byte a minute is out of time as well.
        let asked = tokio::time::timeout(request.deadline, self.ask(model, request, sink)).await;
        let outcome = asked.unwrap_or_else(|_| {
            let message = format!("no complete reply within {} ms", request.deadline.as_millis());
            Err(AdapterError::new(AdapterErrorKind::DeadlineExceeded, message))
        });
        outcome.map_err(|error| self.redacted(error).with_usage(sink.usage()))
    }
}

impl fmt::Debug for OpenAiAdapter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenAiAdapter")
            .field("name", &self.config.name)
            .field("endpoint", &format_args!("{}", self.dialer.endpoint))
            .field("key", &self.dialer.key)
            .finish_non_exhaustive()
    }
}

enum BodyKind {
    Events,
    Json,
}

fn kind_of_body(response: &Response) -> Result<BodyKind, AdapterError> {
    let protocol =
        |message: String| Err(AdapterError::new(AdapterErrorKind::Protocol, message).with_transient(false));
    match response.header(header::CONTENT_ENCODING) {
        None | Some("identity") => {}
        Some(_) => return protocol(String::from("the response is compressed, and nobody asked for that")),
    }
    let content_type = response.header(header::CONTENT_TYPE).unwrap_or("");
    let essence = content_type.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
    match essence.as_str() {
        "text/event-stream" => Ok(BodyKind::Events),
        "application/json" => Ok(BodyKind::Json),
        _ => {
            let shown = words::code_word(&essence).unwrap_or("nothing that is known");
            protocol(format!("the response is `{shown}`, not `text/event-stream` or `application/json`"))
        }
    }
}

/// What an error status means, its body considered as far as it comes.
async fn refusal(mut response: Response) -> Refused {
    let wait = response.header(header::RETRY_AFTER);
    let wait = wait.and_then(|wait| failure::retry_after(wait, SystemTime::now()));
    let body = response.first_bytes(MAX_ERROR_BYTES).await.unwrap_or_default();
    failure::of_status(response.status, wait, &body)
}
