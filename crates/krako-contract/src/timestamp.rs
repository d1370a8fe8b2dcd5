//! A moment as it is written: RFC 3339, in UTC. Nothing here reads a clock.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize};
use thiserror::Error;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A moment in UTC, kept as it was written: whoever passes it on changes nothing.
#[derive(Clone, Debug, Serialize)]
#[serde(transparent)]
pub struct Timestamp {
    text: Arc<str>,
    // Invariant: of the text.
    #[serde(skip)]
    moment: OffsetDateTime,
}

impl Timestamp {
    /// Reads a moment such as `2026-03-09T07:41:00Z`.
    ///
    /// # Errors
    ///
    /// [`InvalidTimestamp`] if it is none, or says another zone than UTC.
    pub fn new(text: &str) -> Result<Self, InvalidTimestamp> {
        if text.len() > 40 {
            return Err(InvalidTimestamp);
        }
        let moment = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| InvalidTimestamp)?;
        if moment.offset().is_utc() { Ok(Self { text: text.into(), moment }) } else { Err(InvalidTimestamp) }
    }

    /// The moment that a clock showed, in microseconds since the start of 1970. What is beyond the years 0 to 9999, which
    /// cannot be written, is the start of 1970.
    pub fn from_unix_us(unix_us: i64) -> Self {
        let moment = OffsetDateTime::from_unix_timestamp_nanos(i128::from(unix_us) * 1000);
        let moment = moment.unwrap_or(OffsetDateTime::UNIX_EPOCH);
        let written = moment.format(&Rfc3339).ok().map(|text| (text, moment));
        let (text, moment) =
            written.unwrap_or_else(|| ("1970-01-01T00:00:00Z".to_owned(), OffsetDateTime::UNIX_EPOCH));
        Self { text: text.into(), moment }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Microseconds since the start of 1970.
    pub fn unix_us(&self) -> i64 {
        // Years 0 to 9999 fit.
        i64::try_from(self.moment.unix_timestamp_nanos() / 1000).unwrap_or(i64::MAX)
    }
}

impl PartialEq for Timestamp {
    fn eq(&self, other: &Self) -> bool {
        self.moment == other.moment
    }
}

impl Eq for Timestamp {}

impl PartialOrd for Timestamp {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Timestamp {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.moment.cmp(&other.moment)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::new(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Timestamp {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Timestamp".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "format": "date-time", "maxLength": 40})
    }
}

/// A text that is no moment in UTC.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("a time is written as in `2026-03-09T07:41:00Z` (RFC 3339, UTC)")]
#[non_exhaustive]
pub struct InvalidTimestamp;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_moment_is_one_in_utc() {
        let moment = Timestamp::new("1970-01-01T00:00:01.5Z").unwrap();
        assert_eq!((moment.unix_us(), moment.as_str()), (1_500_000, "1970-01-01T00:00:01.5Z"));
        assert_eq!(moment, Timestamp::new("1970-01-01T00:00:01.500+00:00").unwrap());
        for bad in [
            "",
            "now",
            "2026-03-09",
            "2026-03-09T07:41:00",
            "2026-03-09T07:41:00+01:00",
            "2026-02-30T00:00:00Z",
        ] {
            assert!(Timestamp::new(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_a_clock_shows_is_read_back(unix_us in 0..4_000_000_000_000_000_i64, any in any::<i64>()) {
            let moment = Timestamp::from_unix_us(unix_us);
            prop_assert_eq!(moment.unix_us(), unix_us);
            prop_assert_eq!(Timestamp::new(moment.as_str()), Ok(moment));
            let _ = Timestamp::from_unix_us(any);
        }

        #[test]
        fn no_text_makes_it_panic(text in "[0-9TZ:.+-]{0,44}") {
            drop(Timestamp::new(&text));
        }
    }
}
