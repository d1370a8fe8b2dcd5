//! Which fabric `--backend krako` means, said by options, by the environment or by the configuration, in that order.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use backend_krako::{ConnectError, KrakoBackend, KrakoConfig, KrakoLimits};
use krako_contract::SubmissionOptions;
use krako_transport::{Endpoint, KeySource, TransportLimits};
use serde::Deserialize;

use crate::adapters::ModelArgs;
use crate::refused::CommandError;

/// Holds the token, if nothing says where it is.
const TOKEN: &str = "KORA_BACKEND_TOKEN";

/// Which fabric.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "With --backend krako")]
pub(crate) struct KrakoArgs {
    /// Address of the fabric, `https://…`
    #[arg(long, value_name = "URL", env = "KORA_BACKEND_ENDPOINT")]
    endpoint: Option<String>,
    /// PEM file of the only certificate authorities to trust; otherwise those of the system
    #[arg(long, value_name = "FILE", env = "KORA_BACKEND_CA")]
    ca: Option<PathBuf>,
    /// File that holds the bearer token
    #[arg(long, value_name = "FILE", env = "KORA_BACKEND_TOKEN_FILE")]
    token_file: Option<PathBuf>,
    /// Environment variable that holds the bearer token, rather than a file; `KORA_BACKEND_TOKEN` needs not be named
    #[arg(long, value_name = "NAME")]
    token_env: Option<String>,
}

/// `[krako]` of the configuration file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct KrakoSection {
    endpoint: Option<String>,
    ca: Option<PathBuf>,
    token: Option<KeySource>,
    options: SubmissionOptions,
    limits: KrakoLimits,
    transport: TransportLimits,
}

impl KrakoArgs {
    /// The fabric, connected to and asked what it can run.
    ///
    /// # Errors
    ///
    /// [`CommandError::Usage`] for what cannot be used, [`CommandError::Refused`] for what the fabric refuses.
    pub(crate) async fn connect(
        &self,
        models: &ModelArgs,
        max_concurrency: Option<u32>,
    ) -> Result<KrakoBackend, CommandError> {
        let why = if models.has_stand_in() {
            Some("`--scripted-model` answers on this machine, and models of a fabric answer there")
        } else if max_concurrency.is_some() {
            Some("how many tasks run at once is the fabric's to decide, not `--max-concurrency`'s")
        } else {
            None
        };
        if let Some(why) = why {
            return Err(CommandError::Usage(format!("{why}; leave it out with `--backend krako`")));
        }
        let config = self.config(models.krako()?)?;
        KrakoBackend::connect(config).await.map_err(|error| match error {
            ConnectError::Refused(refusal) => CommandError::from(refusal),
            ConnectError::Token(error) => CommandError::Usage(with_causes("the fabric's token: ", &error)),
            ConnectError::Trust(error) => {
                CommandError::Usage(with_causes("the fabric's certificate authority: ", &error))
            }
        })
    }

    fn config(&self, section: KrakoSection) -> Result<KrakoConfig, CommandError> {
        let Some(endpoint) = self.endpoint.clone().or(section.endpoint) else {
            return Err(CommandError::Usage(String::from(
                "`--backend krako` needs to know where the fabric is: `--endpoint https://HOST:PORT`, or \
                 KORA_BACKEND_ENDPOINT, or `endpoint` in `[krako]` of the configuration; `kora-backend fabric up` \
                 starts one on this machine",
            )));
        };
        let endpoint = Endpoint::parse(&endpoint)
            .map_err(|error| CommandError::Usage(format!("the fabric's address `{endpoint}`: {error}")))?;
        // Of two places for one token the one that was typed for this run is meant.
        let token = match (&self.token_env, &self.token_file, section.token) {
            (Some(name), _, _) => Some(KeySource::Env(name.clone())),
            (None, Some(path), _) => Some(KeySource::File(path.clone())),
            (None, None, Some(source)) => Some(source),
            (None, None, None) => std::env::var_os(TOKEN).map(|_| KeySource::Env(String::from(TOKEN))),
        };
        Ok(KrakoConfig {
            ca_file: self.ca.clone().or(section.ca),
            token,
            options: section.options,
            limits: section.limits,
            transport: section.transport,
            seed: seed(),
            ..KrakoConfig::new(endpoint)
        })
    }
}

/// Many of these commands that wait for one fabric should not come back all at once.
fn seed() -> u64 {
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.subsec_nanos());
    u64::from(nanos) << 32 | u64::from(std::process::id())
}

/// An error after what it is about, and its causes.
pub(crate) fn with_causes(about: &str, error: &dyn std::error::Error) -> String {
    format!("{about}{}", crate::adapters::with_causes(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(endpoint: Option<&str>) -> KrakoArgs {
        KrakoArgs { endpoint: endpoint.map(str::to_owned), ca: None, token_file: None, token_env: None }
    }

    #[test]
    fn what_was_typed_goes_before_what_is_configured() {
        let section: KrakoSection = toml::from_str(
            "endpoint = 'https://configured.example'\nca = 'ca.pem'\ntoken = {file = 'a.token'}\n\
             [limits]\nmax_sessions = 3\n[options]\nregion = 'eu'",
        )
        .unwrap();
        let config = args(None).config(section.clone()).unwrap();
        assert_eq!(config.endpoint.to_string(), "https://configured.example");
        assert_eq!(config.token, Some(KeySource::File("a.token".into())));
        assert_eq!(config.limits.max_sessions, 3);
        let typed = KrakoArgs {
            ca: Some("other.pem".into()),
            token_file: Some("b.token".into()),
            ..args(Some("https://127.0.0.1:8443"))
        };
        let config = typed.config(section.clone()).unwrap();
        assert_eq!(config.endpoint.to_string(), "https://127.0.0.1:8443");
        assert_eq!(config.ca_file, Some(PathBuf::from("other.pem")));
        assert_eq!(config.token, Some(KeySource::File("b.token".into())));
        let typed = KrakoArgs { token_env: Some(String::from("MY_TOKEN")), ..typed };
        assert_eq!(typed.config(section).unwrap().token, Some(KeySource::Env(String::from("MY_TOKEN"))));
    }

    // shows C11.4
    #[test]
    fn a_fabric_is_named_and_reached_in_no_clear_text() {
        let said = |endpoint| match args(endpoint).config(KrakoSection::default()) {
            Ok(config) => config.endpoint.to_string(),
            Err(error) => error.in_one_line(),
        };
        assert!(said(None).contains("`--endpoint https://HOST:PORT`"));
        let plain = said(Some("http://127.0.0.1:8443"));
        assert!(
            plain.starts_with("the fabric's address `http://127.0.0.1:8443`: `http` is not encrypted"),
            "{plain}"
        );
        assert!(said(Some("fabric")).contains("not an absolute address"));
    }

    #[test]
    fn a_token_has_no_place_in_the_configuration() {
        let error = toml::from_str::<KrakoSection>("token = 'krako_secret'").unwrap_err();
        assert!(!error.message().contains("krako_secret"), "{}", error.message());
    }
}
