//! Keys and tokens: read once from where a configuration says, sent, and never shown (I9).
//!
//! [`KeySource`] is what a configuration holds; [`Secret`] is what was read there.
mod secret;
mod source;

pub use crate::secret::{Secret, SecretError};
pub use crate::source::KeySource;
