//! The adapter for OpenAI-compatible servers, against servers that do what they should not.

mod asked;
mod broken;
mod caps;
mod formats;
mod health;
mod peer;
mod refused;
mod replies;
mod tls;
mod world;
