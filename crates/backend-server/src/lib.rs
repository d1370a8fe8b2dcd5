//! Serves any backend to whoever speaks JSON (C1.3).
//!
//! [`Service`] is the seam: a backend as documents. [`BackendService`] makes one of any
//! [`ExecutionBackend`](backend_api::ExecutionBackend); the transports carry one without knowing which it is.
mod service;
mod streaming;

mod context;

mod backend_service;

mod identity;

mod http;
mod stdio;

pub use crate::backend_service::BackendService;
pub use crate::http::{HttpConfig, HttpLimits, HttpService, serve_http};
pub use crate::identity::Identity;
pub use crate::service::{Answer, ExecuteRequest, Service};
pub use crate::stdio::{HelloModel, HelloModels, Served, StdioError, StdioLimits, serve_stdio};
pub use crate::streaming::{EventSink, StreamingService};
