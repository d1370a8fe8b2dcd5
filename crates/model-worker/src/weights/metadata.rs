//! What a GGUF file says about itself: names and values.

use std::collections::BTreeMap;
use std::io::Read;

use super::WeightsError;
use super::reader::HeaderReader;

/// Names with their values (I8).
const MAX_ENTRIES: u64 = 65_536;
/// Elements of one list (I8): a vocabulary's size, its merges included.
const MAX_ELEMENTS: u64 = 4 << 20;

/// The metadata, by name.
#[derive(Debug)]
pub(crate) struct Metadata(BTreeMap<String, Value>);

#[derive(Debug)]
enum Value {
    Integer(i128),
    Float(f64),
    Truth(bool),
    Text(String),
    Texts(Vec<String>),
    Integers(Vec<i64>),
    Floats,
}

impl Metadata {
    pub(super) fn read<R: Read>(reader: &mut HeaderReader<R>, count: u64) -> Result<Self, WeightsError> {
        if count > MAX_ENTRIES {
            return Err(WeightsError::invalid(format!("{count} metadata entries, at most {MAX_ENTRIES}")));
        }
        // A name's length, a type and a value: at least 13 bytes.
        reader.expect_room("the metadata", count, 13)?;
        let mut entries = BTreeMap::new();
        for _ in 0..count {
            let name = reader.text()?;
            let kind = reader.u32()?;
            let value = value(reader, &name, kind)?;
            if entries.insert(name.clone(), value).is_some() {
                return Err(WeightsError::invalid(format!("metadata `{name}` stand twice")));
            }
        }
        Ok(Self(entries))
    }

    /// The text under `name`, if it is there.
    pub(crate) fn text(&self, name: &str) -> Result<Option<&str>, WeightsError> {
        self.optional(
            name,
            "a text",
            |value| {
                if let Value::Text(text) = value { Some(text.as_str()) } else { None }
            },
        )
    }

    /// The list of texts under `name`.
    pub(crate) fn texts(&self, name: &str) -> Result<&[String], WeightsError> {
        let texts = self.optional(name, "a list of texts", |value| {
            if let Value::Texts(texts) = value { Some(texts.as_slice()) } else { None }
        })?;
        texts.ok_or_else(|| missing(name))
    }

    /// The list of integers under `name`.
    pub(crate) fn integers(&self, name: &str) -> Result<&[i64], WeightsError> {
        let integers = self.optional(name, "a list of integers", |value| {
            if let Value::Integers(integers) = value { Some(integers.as_slice()) } else { None }
        })?;
        integers.ok_or_else(|| missing(name))
    }

    /// The truth value under `name`, if it is there.
    pub(crate) fn truth(&self, name: &str) -> Result<Option<bool>, WeightsError> {
        self.optional(name, "a truth value", |value| {
            if let Value::Truth(truth) = value { Some(*truth) } else { None }
        })
    }

    /// The number under `name`, if it is there.
    pub(crate) fn float(&self, name: &str) -> Result<Option<f64>, WeightsError> {
        self.optional(
            name,
            "a number",
            |value| {
                if let Value::Float(number) = value { Some(*number) } else { None }
            },
        )
    }

    /// The count under `name`, if it is there.
    pub(crate) fn count(&self, name: &str) -> Result<Option<usize>, WeightsError> {
        self.optional(name, "a count", |value| {
            if let Value::Integer(number) = value { usize::try_from(*number).ok() } else { None }
        })
    }

    /// The count under `name`, which must lie in `bounds`.
    pub(crate) fn count_within(
        &self,
        name: &str,
        bounds: std::ops::RangeInclusive<usize>,
    ) -> Result<usize, WeightsError> {
        let count = self.count(name)?.ok_or_else(|| missing(name))?;
        if !bounds.contains(&count) {
            return Err(WeightsError::invalid(format!(
                "metadata `{name}` are {count}, must lie in {} to {}",
                bounds.start(),
                bounds.end()
            )));
        }
        Ok(count)
    }

    fn optional<'a, T>(
        &'a self,
        name: &str,
        kind: &str,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, WeightsError> {
        match self.0.get(name) {
            None => Ok(None),
            Some(value) => match read(value) {
                Some(value) => Ok(Some(value)),
                None => Err(WeightsError::invalid(format!("metadata `{name}` are not {kind}"))),
            },
        }
    }
}

pub(crate) fn missing(name: &str) -> WeightsError {
    WeightsError::invalid(format!("metadata `{name}` are missing"))
}

fn value<R: Read>(reader: &mut HeaderReader<R>, name: &str, kind: u32) -> Result<Value, WeightsError> {
    Ok(match kind {
        6 => Value::Float(f64::from(f32::from_le_bytes(reader.bytes()?))),
        7 => Value::Truth(match u8::from_le_bytes(reader.bytes()?) {
            0 => false,
            1 => true,
            other => {
                return Err(WeightsError::invalid(format!(
                    "metadata `{name}` are {other}, neither true nor false"
                )));
            }
        }),
        8 => Value::Text(reader.text()?),
        9 => list(reader, name)?,
        12 => Value::Float(f64::from_le_bytes(reader.bytes()?)),
        _ => Value::Integer(integer(reader, name, kind)?),
    })
}

fn integer<R: Read>(reader: &mut HeaderReader<R>, name: &str, kind: u32) -> Result<i128, WeightsError> {
    Ok(match kind {
        0 => u8::from_le_bytes(reader.bytes()?).into(),
        1 => i8::from_le_bytes(reader.bytes()?).into(),
        2 => u16::from_le_bytes(reader.bytes()?).into(),
        3 => i16::from_le_bytes(reader.bytes()?).into(),
        4 => reader.u32()?.into(),
        5 => i32::from_le_bytes(reader.bytes()?).into(),
        10 => reader.u64()?.into(),
        11 => i64::from_le_bytes(reader.bytes()?).into(),
        _ => {
            return Err(WeightsError::invalid(format!("metadata `{name}` are of unknown type {kind}")));
        }
    })
}

fn list<R: Read>(reader: &mut HeaderReader<R>, name: &str) -> Result<Value, WeightsError> {
    let kind = reader.u32()?;
    let length = reader.u64()?;
    if length > MAX_ELEMENTS {
        return Err(WeightsError::invalid(format!(
            "metadata `{name}` have {length} elements, at most {MAX_ELEMENTS}"
        )));
    }
    let each = match kind {
        0 | 1 | 7 => 1,
        2 | 3 => 2,
        4..=6 => 4,
        8 | 10..=12 => 8,
        _ => {
            return Err(WeightsError::invalid(format!(
                "metadata `{name}` list values of unknown type {kind}"
            )));
        }
    };
    reader.expect_room(name, length, each)?;
    Ok(match kind {
        8 => Value::Texts((0..length).map(|_| reader.text()).collect::<Result<_, _>>()?),
        6 | 12 => {
            for _ in 0..length {
                value(reader, name, kind)?;
            }
            Value::Floats
        }
        7 => {
            let bytes: Result<_, _> = (0..length).map(|_| Ok(reader.bytes::<1>()?[0].into())).collect();
            Value::Integers(bytes?)
        }
        _ => {
            let integers = (0..length).map(|_| {
                i64::try_from(integer(reader, name, kind)?).map_err(|_| {
                    WeightsError::invalid(format!("metadata `{name}` hold a number that is too large"))
                })
            });
            Value::Integers(integers.collect::<Result<_, _>>()?)
        }
    })
}
