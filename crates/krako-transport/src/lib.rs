//! HTTP/2 over TLS and nothing else: what KrakoBackend speaks to a fabric, and a fabric's nodes among each other (C11.4).
//!
//! An [`Endpoint`] cannot be unencrypted, [`Trust`] says who may vouch for it, and a [`Client`] keeps few connections to
//! it, within [`TransportLimits`]. What the other end sends is hostile until somebody has read it: bounded in size and
//! in time, and never followed elsewhere. A [`Dial`] is where a simulated network takes the place of TCP.
mod endpoint;
mod trust;

mod limits;

mod dial;

mod call;
mod connection;
mod pool;

mod client;
mod streaming;

mod error;

pub use crate::call::{Answer, Call};
pub use crate::client::Client;
pub use crate::dial::{Dial, Stream, TcpDial};
pub use crate::endpoint::{Endpoint, EndpointError};
pub use crate::error::{TransportError, TransportFault, Within};
pub use crate::limits::TransportLimits;
pub use crate::streaming::{Started, Streaming};
pub use crate::trust::{Trust, TrustError};
// What calls and answers are made of.
pub use credentials::{KeySource, Secret, SecretError};
pub use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
pub use hyper::body::Bytes;
