//! What a fabric bills: line items, what a session cost, and `GET /v1/billing/usage`. None of it is KORA's.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::reading::document;
use crate::word::words;
use crate::{EventId, InvalidDocument, SessionId, Timestamp, WorkUnitId};

/// US dollars in whole millionths. On the wire a JSON number of dollars.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct Usd {
    // Invariant: at most `MAX_MICROS`, so that the number on the wire is read back as the same amount.
    micros: u64,
}

impl Usd {
    /// Millionths of a dollar that can be said at most: a billion dollars.
    pub const MAX_MICROS: u64 = 1_000_000_000_000_000;

    /// An amount; one that is beyond [`Self::MAX_MICROS`] is that.
    pub fn from_micros(micros: u64) -> Self {
        Self { micros: micros.min(Self::MAX_MICROS) }
    }

    /// The amount in millionths.
    pub fn micros(self) -> u64 {
        self.micros
    }
}

impl Serialize for Usd {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[expect(clippy::cast_precision_loss, reason = "below 2^53")]
        serializer.serialize_f64(self.micros as f64 / 1e6)
    }
}

impl<'de> Deserialize<'de> for Usd {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let dollars = f64::deserialize(deserializer)?;
        #[expect(clippy::cast_precision_loss, reason = "below 2^53")]
        if !(0.0..=Self::MAX_MICROS as f64 / 1e6).contains(&dollars) {
            return Err(D::Error::custom("a cost is a number of dollars from 0 to 1000000000"));
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "within the range just above"
        )]
        Ok(Self { micros: (dollars * 1e6).round() as u64 })
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Usd {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Usd".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "number", "minimum": 0, "maximum": 1_000_000_000_u64})
    }
}

words! {
    /// What is billed.
    #[expect(clippy::exhaustive_enums, reason = "Krako publishes these two")]
    pub enum LineItemKind {
        /// A work unit of the `cpu` pool, from its `workunit.completed`.
        WorkunitCpu = "workunit_cpu",
        /// Tokens, from an `llm.invocation.completed`.
        LlmTokens = "llm_tokens",
    }
}

/// One line of a ledger. Two with one `event_id` are one: the log can be folded again and again.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[expect(clippy::exhaustive_structs, reason = "what, of whom, how much")]
pub struct LineItem {
    /// The event that it comes from, and its key.
    pub event_id: EventId,
    /// What is billed.
    pub kind: LineItemKind,
    /// The session.
    pub execution_session_id: SessionId,
    /// The work unit.
    pub work_unit_id: WorkUnitId,
    /// Units: 1 of `workunit_cpu`.
    #[serde(default)]
    pub units: u64,
    /// Prompt tokens.
    #[serde(default)]
    pub tokens_in: u64,
    /// Generated tokens.
    #[serde(default)]
    pub tokens_out: u64,
}

/// What a session cost.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[expect(clippy::exhaustive_structs, reason = "Krako's public API closes the set of fields")]
pub struct Billing {
    /// Prompt tokens.
    pub tokens_in: u64,
    /// Generated tokens.
    pub tokens_out: u64,
    /// An estimate: the invoice is another document.
    pub estimated_cost_usd: Usd,
}

/// What `GET /v1/billing/usage` answers.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[expect(clippy::exhaustive_structs, reason = "Krako's public API closes the set of fields")]
pub struct UsageReport {
    /// Inclusive.
    pub period_start: Timestamp,
    /// Exclusive.
    pub period_end: Timestamp,
    /// Prompt and generated tokens.
    pub total_tokens: u64,
    /// An estimate: the invoice is another document.
    pub estimated_cost_usd: Usd,
    /// What they are made of, if it was asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub line_items: Vec<LineItem>,
}

document!(UsageReport, "usage", max_document_bytes);

impl UsageReport {
    /// Whether the period is one.
    ///
    /// # Errors
    ///
    /// [`InvalidDocument`] if it ends before it starts.
    pub fn check(&self) -> Result<(), InvalidDocument> {
        if self.period_start <= self.period_end {
            Ok(())
        } else {
            Err(InvalidDocument::field("usage", "/period_end", "the period ends before it starts"))
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn an_amount_is_the_same_after_the_wire(micros in 0..=Usd::MAX_MICROS) {
            let amount = Usd::from_micros(micros);
            let text = serde_json::to_string(&amount).unwrap();
            prop_assert_eq!(serde_json::from_str::<Usd>(&text).unwrap(), amount);
        }
    }

    #[test]
    fn no_amount_is_negative_or_endless() {
        for text in ["-0.01", "1e300", "\"1\"", "null"] {
            assert!(serde_json::from_str::<Usd>(text).is_err(), "{text}");
        }
        assert_eq!(Usd::from_micros(u64::MAX).micros(), Usd::MAX_MICROS);
    }

    #[test]
    fn a_period_ends_after_it_starts() {
        let text = include_str!("../examples/usage.json");
        let mut report: UsageReport = serde_json::from_str(text).unwrap();
        assert_eq!(report.check(), Ok(()));
        std::mem::swap(&mut report.period_start, &mut report.period_end);
        assert!(report.check().is_err());
    }
}
