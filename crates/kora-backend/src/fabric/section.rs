//! `[fabric]` of the configuration: what a fabric takes on, and what it asks for it.

use std::num::{NonZeroU32, NonZeroU64, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use krako_contract::{Region, Usd};
use krako_fabric::{GatewayConfig, LogLimits, OrchestratorConfig};
use krako_session::Prices;
use serde::Deserialize;

use crate::adapters;
use crate::refused::CommandError;

/// Where it is said.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct SectionArgs {
    /// Configuration, TOML or JSON: its `[fabric]`
    #[arg(long, value_name = "FILE", env = "KORA_BACKEND_CONFIG")]
    config: Option<PathBuf>,
}

impl SectionArgs {
    /// What the file says, or the defaults.
    ///
    /// # Errors
    ///
    /// [`CommandError::Unreadable`] or [`CommandError::Unusable`] names the file and what is wrong in it.
    pub(super) fn read(&self) -> Result<FabricSection, CommandError> {
        adapters::fabric(self.config.as_deref())
    }
}

/// What somebody said. What nobody did is as the library has it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct FabricSection {
    region: Option<Region>,
    prices: PriceSection,
    max_sessions: Option<NonZeroUsize>,
    max_sessions_per_tenant: Option<NonZeroUsize>,
    max_units_per_session: Option<NonZeroUsize>,
    max_queued_ms: Option<NonZeroU64>,
    max_log_bytes: Option<NonZeroU64>,
    requests_per_second: Option<NonZeroU32>,
    burst: Option<NonZeroU32>,
    max_requests_per_tenant: Option<NonZeroUsize>,
    max_streams_per_tenant: Option<NonZeroUsize>,
    max_graph_bytes: Option<NonZeroUsize>,
}

/// In dollars.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct PriceSection {
    million_tokens_in: Usd,
    million_tokens_out: Usd,
    thousand_cpu_units: Usd,
}

impl FabricSection {
    pub(super) fn prices(&self) -> Prices {
        let PriceSection { million_tokens_in, million_tokens_out, thousand_cpu_units } = self.prices;
        Prices { million_tokens_in, million_tokens_out, thousand_cpu_units }
    }

    pub(super) fn orchestrator(&self) -> OrchestratorConfig {
        let usual = OrchestratorConfig::default();
        OrchestratorConfig {
            region: self.region.clone(),
            prices: self.prices(),
            max_sessions: self.max_sessions.map_or(usual.max_sessions, NonZeroUsize::get),
            max_sessions_per_tenant: self
                .max_sessions_per_tenant
                .map_or(usual.max_sessions_per_tenant, NonZeroUsize::get),
            max_units_per_session: self
                .max_units_per_session
                .map_or(usual.max_units_per_session, NonZeroUsize::get),
            max_queued: self.max_queued_ms.map_or(usual.max_queued, |ms| Duration::from_millis(ms.get())),
            ..usual
        }
    }

    pub(super) fn log(&self) -> LogLimits {
        let usual = LogLimits::default();
        LogLimits { max_log_bytes: self.max_log_bytes.map_or(usual.max_log_bytes, NonZeroU64::get), ..usual }
    }

    pub(super) fn gateway(&self) -> GatewayConfig {
        let usual = GatewayConfig::default();
        let mut graph = usual.graph;
        if let Some(max) = self.max_graph_bytes {
            graph.max_graph_bytes = max.get();
        }
        GatewayConfig {
            graph,
            requests_per_second: self.requests_per_second.map_or(usual.requests_per_second, NonZeroU32::get),
            burst: self.burst.map_or(usual.burst, NonZeroU32::get),
            max_requests_per_tenant: self
                .max_requests_per_tenant
                .map_or(usual.max_requests_per_tenant, NonZeroUsize::get),
            max_streams_per_tenant: self
                .max_streams_per_tenant
                .map_or(usual.max_streams_per_tenant, NonZeroUsize::get),
            ..usual
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section(text: &str) -> Result<FabricSection, String> {
        toml::from_str(text).map_err(|error| error.message().to_owned())
    }

    #[test]
    fn what_is_said_holds_and_what_is_not_said_is_as_usual() {
        let said = section(
            "region = \"eu\"\nmax_sessions = 7\nmax_queued_ms = 9\nmax_log_bytes = 1000000\nburst = 3\nmax_graph_bytes = 100\n\
             prices = { million_tokens_in = 3, million_tokens_out = 15.5, thousand_cpu_units = 0.02 }",
        );
        let said = said.unwrap();
        let orchestrator = said.orchestrator();
        assert_eq!((orchestrator.max_sessions, orchestrator.max_queued), (7, Duration::from_millis(9)));
        assert_eq!(orchestrator.prices.million_tokens_in, Usd::from_micros(3_000_000));
        assert_eq!(orchestrator.prices.million_tokens_out, Usd::from_micros(15_500_000));
        assert_eq!(orchestrator.prices.thousand_cpu_units, Usd::from_micros(20_000));
        assert_eq!(orchestrator.region.map(|region| region.to_string()).as_deref(), Some("eu"));
        assert_eq!(said.log().max_log_bytes, 1_000_000);
        let gateway = said.gateway();
        assert_eq!((gateway.burst, gateway.graph.max_graph_bytes), (3, 100));
        assert_eq!(gateway.requests_per_second, GatewayConfig::default().requests_per_second);

        let nothing = section("").unwrap();
        assert_eq!(format!("{:?}", nothing.orchestrator()), format!("{:?}", OrchestratorConfig::default()));
        assert_eq!(format!("{:?}", nothing.gateway()), format!("{:?}", GatewayConfig::default()));
        assert_eq!(format!("{:?}", nothing.log()), format!("{:?}", LogLimits::default()));
    }

    #[test]
    fn what_cannot_be_is_said_so() {
        let fault = |text| section(text).unwrap_err();
        assert!(fault("max_sessions = 0").contains("nonzero"), "{}", fault("max_sessions = 0"));
        assert!(fault("prices = { million_tokens_in = -1 }").contains("number of dollars"));
        assert!(fault("prices = { tokens = 1 }").contains("unknown field `tokens`"));
        assert!(fault("max_session = 1").contains("unknown field `max_session`"));
    }
}
