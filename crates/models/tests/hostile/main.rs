//! The adapter for OpenAI-compatible servers, against servers that do what they should not.
#![expect(clippy::unwrap_used, reason = "the helpers of a test may fail it")]

mod anything;
mod asked;
mod broken;
mod caps;
mod formats;
mod health;
mod lesser;
mod listed;
mod peer;
mod refused;
mod replies;
mod tls;
mod world;
