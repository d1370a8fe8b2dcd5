//! A day of the calendar: until when an excuse holds.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

/// A day. Which one is today comes from outside: nothing here reads a clock.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Day {
    // In this order, days compare as they follow each other.
    year: u16,
    month: u8,
    day: u8,
}

/// A text that is no day.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("`{0}` is no day of the calendar: write it as `2026-12-31`")]
pub struct NotADay(String);

impl Day {
    /// This day. `None`: there is no such day.
    pub fn new(year: u16, month: u8, day: u8) -> Option<Self> {
        let leap = (year.is_multiple_of(4) && !year.is_multiple_of(100)) || year.is_multiple_of(400);
        let days = match month {
            1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
            4 | 6 | 9 | 11 => 30,
            2 => 28 + u8::from(leap),
            _ => return None,
        };
        (year <= 9999 && (1..=days).contains(&day)).then_some(Self { year, month, day })
    }
}

impl FromStr for Day {
    type Err = NotADay;

    fn from_str(text: &str) -> Result<Self, NotADay> {
        let no = || NotADay(text.chars().take(40).collect());
        let bytes = text.as_bytes();
        let shape = |(place, byte): (usize, &u8)| match place {
            4 | 7 => *byte == b'-',
            _ => byte.is_ascii_digit(),
        };
        if bytes.len() != 10 || !bytes.iter().enumerate().all(shape) {
            return Err(no());
        }
        let number = |from: usize, to: usize| text[from..to].parse::<u16>().unwrap_or_default();
        let small = |from, to| u8::try_from(number(from, to)).unwrap_or_default();
        Self::new(number(0, 4), small(5, 7), small(8, 10)).ok_or_else(no)
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

impl Serialize for Day {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Day {
    /// From a string, or from a date as TOML has it.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Text(String),
            Toml(toml::value::Datetime),
        }
        let text = match Written::deserialize(deserializer)? {
            Written::Text(text) => text,
            Written::Toml(date) => date.to_string(),
        };
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_follow_each_other() {
        let day = |text: &str| text.parse::<Day>().unwrap();
        assert!(day("2026-02-28") < day("2026-03-01"));
        assert!(day("2026-12-31") < day("2027-01-01"));
        assert_eq!(day("2028-02-29").to_string(), "2028-02-29");
    }

    #[test]
    fn what_is_in_no_calendar_is_no_day() {
        for text in [
            "2027-02-29",
            "2100-02-29",
            "2026-13-01",
            "2026-00-01",
            "2026-04-31",
            "26-04-01",
            "2026-4-1",
            "soon",
            "",
            "2026-04-3é",
        ] {
            assert!(text.parse::<Day>().is_err(), "{text}");
        }
        assert!("2000-02-29".parse::<Day>().is_ok());
    }

    #[test]
    fn toml_may_write_it_with_and_without_quotes() {
        #[derive(Deserialize)]
        struct File {
            day: Day,
        }
        for text in ["day = 2026-04-01", "day = \"2026-04-01\""] {
            assert_eq!(toml::from_str::<File>(text).unwrap().day.to_string(), "2026-04-01");
        }
        assert!(toml::from_str::<File>("day = 2026-04-01T10:00:00").is_err());
        assert!(toml::from_str::<File>("day = 20260401").is_err());
    }
}
