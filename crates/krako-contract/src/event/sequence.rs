//! An event's place in its session.

use std::fmt;
use std::num::NonZeroU64;

use serde::{Deserialize, Deserializer, Serialize};
use thiserror::Error;

/// The place of an event among those of its session, counted from 1, without gaps. It is also the event's id in a stream.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct Sequence(NonZeroU64);

impl Sequence {
    /// The highest number that every reader of JSON reads alike.
    pub const MAX: u64 = (1 << 53) - 1;
    /// The first event's.
    pub const FIRST: Self = Self(NonZeroU64::MIN);

    /// A place.
    ///
    /// # Errors
    ///
    /// [`InvalidSequence`] of 0 and of what is beyond [`Self::MAX`].
    pub fn new(number: u64) -> Result<Self, InvalidSequence> {
        NonZeroU64::new(number).filter(|number| number.get() <= Self::MAX).map(Self).ok_or(InvalidSequence)
    }

    /// The value of a `Last-Event-ID` header.
    ///
    /// # Errors
    ///
    /// [`InvalidSequence`] if it is no number, or written in another way than events are numbered here.
    pub fn from_last_event_id(header: &str) -> Result<Self, InvalidSequence> {
        let digits = (1..=16).contains(&header.len())
            && header.bytes().all(|byte| byte.is_ascii_digit())
            && !header.starts_with('0');
        let number = header.parse().ok().filter(|_| digits).ok_or(InvalidSequence)?;
        Self::new(number)
    }

    /// The number.
    pub fn number(self) -> u64 {
        self.0.get()
    }

    /// The place after this one. `None` after the last there can be.
    pub fn next(self) -> Option<Self> {
        Self::new(self.number() + 1).ok()
    }
}

impl fmt::Display for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl<'de> Deserialize<'de> for Sequence {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = u64::deserialize(deserializer)?;
        Self::new(number).map_err(serde::de::Error::custom)
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Sequence {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Sequence".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "integer", "minimum": 1, "maximum": Sequence::MAX})
    }
}

/// A number that no event has.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("an event's number is written in digits, from 1 to {}", Sequence::MAX)]
#[non_exhaustive]
pub struct InvalidSequence;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        // shows C12.1
        #[test]
        fn what_a_stream_gives_as_an_id_it_takes_up_again(number in 1..=Sequence::MAX) {
            let sequence = Sequence::new(number).unwrap();
            prop_assert_eq!(Sequence::from_last_event_id(&sequence.to_string()), Ok(sequence));
        }

        #[test]
        fn no_header_makes_it_panic(header in any::<String>()) {
            let _ = Sequence::from_last_event_id(&header);
        }
    }

    #[test]
    fn no_other_way_to_write_a_number_is_taken() {
        for header in ["", "0", "01", "+1", "-1", " 1", "1.0", "9007199254740992", "18446744073709551616"] {
            assert!(Sequence::from_last_event_id(header).is_err(), "{header}");
        }
        assert_eq!(Sequence::new(Sequence::MAX).unwrap().next(), None);
    }
}
