//! Values on the way: borrowed from the input where they can be.

use std::collections::BTreeMap;
use std::rc::Rc;

use serde_json::{Map, Value};

use crate::number::Num;
use crate::{Meter, OperationError};

/// A value on the way to the result. Cloning one never copies its contents.
#[derive(Debug, Clone)]
pub(super) enum Val<'v> {
    Null,
    Bool(bool),
    Int(i64),
    Double(f64),
    /// A text of the input or the expression.
    Text(&'v str),
    Built(Rc<str>),
    /// An array of the input.
    Array(&'v [Value]),
    List(Rc<[Val<'v>]>),
    /// An object of the input.
    Object(&'v Map<String, Value>),
    Map(Rc<BTreeMap<Rc<str>, Val<'v>>>),
}

impl<'v> Val<'v> {
    pub(super) fn of(value: &'v Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(flag) => Self::Bool(*flag),
            Value::Number(number) => Self::of_num(Num::of(number)),
            Value::String(text) => Self::Text(text),
            Value::Array(items) => Self::Array(items),
            Value::Object(members) => Self::Object(members),
        }
    }

    pub(super) fn of_num(num: Num) -> Self {
        match num {
            Num::Whole(whole) => Self::Int(whole),
            Num::Real(real) => Self::Double(real),
        }
    }

    /// A text that did not exist before, charged for.
    pub(super) fn built(text: &str, meter: &mut Meter) -> Result<Self, OperationError> {
        meter.build(8 + text.len() as u64)?;
        Ok(Self::Built(text.into()))
    }

    pub(super) fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Built(text) => Some(text),
            Self::Null
            | Self::Bool(_)
            | Self::Int(_)
            | Self::Double(_)
            | Self::Array(_)
            | Self::List(_)
            | Self::Object(_)
            | Self::Map(_) => None,
        }
    }

    pub(super) fn as_num(&self) -> Option<Num> {
        match self {
            Self::Int(whole) => Some(Num::Whole(*whole)),
            Self::Double(real) => Some(Num::Real(*real)),
            Self::Null
            | Self::Bool(_)
            | Self::Text(_)
            | Self::Built(_)
            | Self::Array(_)
            | Self::List(_)
            | Self::Object(_)
            | Self::Map(_) => None,
        }
    }

    /// How many items it has, if it is a list.
    pub(super) fn items(&self) -> Option<usize> {
        match self {
            Self::Array(items) => Some(items.len()),
            Self::List(items) => Some(items.len()),
            Self::Null
            | Self::Bool(_)
            | Self::Int(_)
            | Self::Double(_)
            | Self::Text(_)
            | Self::Built(_)
            | Self::Object(_)
            | Self::Map(_) => None,
        }
    }

    /// An item of a list.
    pub(super) fn item(&self, index: usize) -> Option<Val<'v>> {
        match self {
            Self::Array(items) => items.get(index).map(Val::of),
            Self::List(items) => items.get(index).cloned(),
            Self::Null
            | Self::Bool(_)
            | Self::Int(_)
            | Self::Double(_)
            | Self::Text(_)
            | Self::Built(_)
            | Self::Object(_)
            | Self::Map(_) => None,
        }
    }

    /// The keys of a map in order.
    pub(super) fn keys(&self) -> Option<Vec<Val<'v>>> {
        match self {
            Self::Object(members) => {
                let mut keys: Vec<&'v str> = members.keys().map(String::as_str).collect();
                keys.sort_unstable();
                Some(keys.into_iter().map(Val::Text).collect())
            }
            Self::Map(members) => Some(members.keys().map(|key| Val::Built(Rc::clone(key))).collect()),
            Self::Null
            | Self::Bool(_)
            | Self::Int(_)
            | Self::Double(_)
            | Self::Text(_)
            | Self::Built(_)
            | Self::Array(_)
            | Self::List(_) => None,
        }
    }

    /// How many members it has, if it is a map.
    pub(super) fn members(&self) -> Option<usize> {
        match self {
            Self::Object(members) => Some(members.len()),
            Self::Map(members) => Some(members.len()),
            Self::Null
            | Self::Bool(_)
            | Self::Int(_)
            | Self::Double(_)
            | Self::Text(_)
            | Self::Built(_)
            | Self::Array(_)
            | Self::List(_) => None,
        }
    }

    /// A member of a map.
    pub(super) fn member(&self, key: &str) -> Option<Val<'v>> {
        match self {
            Self::Object(members) => members.get(key).map(Val::of),
            Self::Map(members) => members.get(key).cloned(),
            Self::Null
            | Self::Bool(_)
            | Self::Int(_)
            | Self::Double(_)
            | Self::Text(_)
            | Self::Built(_)
            | Self::Array(_)
            | Self::List(_) => None,
        }
    }

    /// Its type in the language.
    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Double(_) => "double",
            Self::Text(_) | Self::Built(_) => "string",
            Self::Array(_) | Self::List(_) => "list",
            Self::Object(_) | Self::Map(_) => "map",
        }
    }

    /// The result in JSON, charged for.
    pub(super) fn into_value(self, meter: &mut Meter) -> Result<Value, OperationError> {
        match self {
            Self::Null => Ok(Value::Null),
            Self::Bool(flag) => Ok(Value::Bool(flag)),
            Self::Int(whole) => Num::Whole(whole).into_value().ok_or_else(beyond),
            Self::Double(real) => Num::Real(real).into_value().ok_or_else(beyond),
            Self::Text(text) => meter.build(8 + text.len() as u64).map(|()| Value::from(text)),
            Self::Built(text) => meter.build(8 + text.len() as u64).map(|()| Value::from(&*text)),
            Self::Array(items) => {
                items.iter().map(|item| meter.copy(item)).collect::<Result<_, _>>().map(Value::Array)
            }
            Self::List(items) => {
                meter.build(8 * items.len() as u64)?;
                items
                    .iter()
                    .map(|item| item.clone().into_value(meter))
                    .collect::<Result<_, _>>()
                    .map(Value::Array)
            }
            Self::Object(members) => {
                let mut copied = Map::new();
                for (key, member) in members {
                    meter.build(key.len() as u64)?;
                    copied.insert(key.clone(), meter.copy(member)?);
                }
                Ok(Value::Object(copied))
            }
            Self::Map(members) => {
                let mut copied = Map::new();
                for (key, member) in members.iter() {
                    meter.build(8 + key.len() as u64)?;
                    copied.insert(key.to_string(), member.clone().into_value(meter)?);
                }
                Ok(Value::Object(copied))
            }
        }
    }
}

fn beyond() -> OperationError {
    OperationError::failed(
        "a number of the result is beyond what JSON keeps exactly, ±(2^53 − 1), or no number",
    )
    .mend("scale it, or return it as a string")
}
