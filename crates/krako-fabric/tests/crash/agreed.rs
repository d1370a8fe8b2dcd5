//! What the parts of the fabric and the test have agreed on.

use krako_contract::Usd;
use krako_session::Prices;

/// The folder of the event log.
pub(crate) const LOG: &str = "log";
/// What the model answers.
pub(crate) const SCRIPT: &str = "script.json";
/// Who may ask.
pub(crate) const TOKENS: &str = "tenants.toml";
/// The tokens of those parts that ask the orchestrator.
pub(crate) const NODE_TOKEN: &str = "node.token";
pub(crate) const GATEWAY_TOKEN: &str = "gateway.token";

/// What things cost.
pub(crate) fn prices() -> Prices {
    Prices {
        million_tokens_in: Usd::from_micros(3_000_000),
        million_tokens_out: Usd::from_micros(15_000_000),
        thousand_cpu_units: Usd::from_micros(20_000),
    }
}
