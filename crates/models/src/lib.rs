//! Who answers model tasks: the adapter trait, the gate that opens a reply, and real adapters.
//!
//! A driver asks the [`ModelRouter`] which [`ModelAdapter`] serves a declared model or tier, hands it a
//! [`ModelRequest`] and a [`TokenSink`], and gets a [`RawReply`]: text that nobody can read. Only
//! [`RawReply::admit`] opens it, and only into an output that the task's schema admits (C11.1, I2).
//!
//! Three promises hold for every adapter, because the types keep them:
//!
//! - *No token beyond the cap is accepted.* All text goes through the sink, which counts and cuts off during
//!   generation (C7.2, S7).
//! - *Nothing heavier than declared is used.* The router serves an exact model or an exact tier, or nothing (C11.3).
//! - *What is unknown is said to be unknown.* A [`TokenCount`] that nobody knows is never zero.
mod adapter;
mod descriptor;
mod health;

mod error;
mod request;
mod usage;

mod reply;
mod sink;

mod router;

mod embedded;
mod openai;
mod scripted;

mod config;

pub use crate::adapter::ModelAdapter;
pub use crate::config::{AdapterConfig, ModelsError};
pub use crate::descriptor::{AdapterDescriptor, Locality, ModelId, ServedModel};
pub use crate::embedded::{
    EmbeddedAdapter, EmbeddedConfig, EmbeddedConfigError, EmbeddedLimits, EmbeddedModel, EmbeddedRuntime,
    WeightsSource, protocol,
};
pub use crate::error::{AdapterError, AdapterErrorKind};
pub use crate::health::AdapterHealth;
pub use crate::openai::{
    EndpointError, OpenAiAdapter, OpenAiConfig, OpenAiConfigError, OpenAiLimits, OpenAiModel,
    StructuredOutput, TokenCapFields,
};
pub use crate::reply::{FinishReason, RawReply, ReplyRejected};
pub use crate::request::ModelRequest;
pub use crate::router::{ModelRouter, Route, RouteError, RouterError, Turn};
pub use crate::scripted::{
    Act, CallEnd, ReportedUsage, Script, ScriptedAdapter, ScriptedCall, ScriptedError, Step,
};
pub use crate::sink::{CutOff, TokenMeter, TokenSink};
pub use crate::usage::{TokenCount, Usage};
pub use credentials::{KeySource, SecretError};
pub use schema_grammar::{NoteKind, SchemaNote};
