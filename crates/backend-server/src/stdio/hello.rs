//! The first message: which protocol, and which models.

use backend_api::InterfaceVersion;
use serde::{Deserialize, Serialize};

/// The protocol's version. Another MAJOR is refused; a newer MINOR only adds what may be ignored.
pub(super) const PROTOCOL: &str = "1.0";
const MAJOR: u32 = 1;

/// Where models answer that the caller brings along: a server that speaks the OpenAI API.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[expect(clippy::exhaustive_structs, reason = "the protocol lists the fields")]
pub struct HelloModels {
    /// Up to and including the version, such as `http://127.0.0.1:8080/v1`.
    pub base_url: String,
    /// What it serves, the preferred first.
    pub models: Vec<HelloModel>,
}

/// A model of such a server.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[expect(clippy::exhaustive_structs, reason = "the protocol lists the fields")]
pub struct HelloModel {
    /// What tasks write in `run.model`, and the server's name for it.
    pub id: String,
    /// The tier it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<String>,
    /// Tokens of its context window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context_tokens: Option<u64>,
    /// Its parameters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameters: Option<u64>,
}

/// Whether a caller of protocol `asked` can be served.
///
/// # Errors
///
/// Why not.
pub(super) fn negotiate(asked: &str) -> Result<(), String> {
    match asked.parse::<InterfaceVersion>() {
        Ok(version) if version.major == MAJOR => Ok(()),
        Ok(_) => {
            Err(format!("protocol {asked} was asked for, and {PROTOCOL} is what there is: the MAJOR differs"))
        }
        Err(_) => Err(format!("`protocol` is no version; write \"{PROTOCOL}\"")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // shows C10.3
    #[test]
    fn another_major_is_refused_and_a_newer_minor_is_served() {
        assert_eq!(negotiate("1.0"), Ok(()));
        assert_eq!(negotiate("1.4"), Ok(()));
        assert_eq!(
            negotiate("2.0").unwrap_err(),
            "protocol 2.0 was asked for, and 1.0 is what there is: the MAJOR differs"
        );
        assert_eq!(negotiate("one").unwrap_err(), "`protocol` is no version; write \"1.0\"");
    }
}
