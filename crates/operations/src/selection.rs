//! Which values of the input an operation works on.

use serde_json::Value;

use crate::fields::{Fields, expected_arg, expected_input};
use crate::pointer::Pointer;
use crate::{Limit, Meter, OperationError, OperationLimits};

/// Which values of the input an operation works on, in which order.
#[derive(Debug)]
pub(crate) enum Selection {
    /// The items of the array at this pointer: `at`, the whole input by default.
    Items(Pointer),
    /// What these pointers find: `pointers`.
    Each(Vec<Pointer>),
}

impl Selection {
    /// Reads the arguments `at` and `pointers`, of which there is at most one.
    pub(crate) fn read(fields: &Fields<'_>, limits: &OperationLimits) -> Result<Self, OperationError> {
        let Some(pointers) = read_pointers(fields, "pointers", limits)? else {
            return Ok(Self::Items(fields.pointer("at")?.unwrap_or_default()));
        };
        if fields.data("at").is_some() {
            return Err(OperationError::invalid_args(
                fields.place("at"),
                "`at` and `pointers` exclude each other",
            )
            .mend("remove one of them"));
        }
        Ok(Self::Each(pointers))
    }

    /// The values, each charged with a step.
    pub(crate) fn of<'v>(
        &self,
        input: &'v Value,
        meter: &mut Meter,
    ) -> Result<Vec<&'v Value>, OperationError> {
        match self {
            Self::Items(at) => {
                let items = items_at(at, input)?;
                meter.steps(items.len() as u64)?;
                Ok(items.iter().collect())
            }
            Self::Each(pointers) => {
                meter.steps(pointers.len() as u64)?;
                pointers.iter().map(|pointer| pointer.find_input(input)).collect()
            }
        }
    }

    /// The JSON pointer to the value of that index.
    pub(crate) fn place(&self, index: usize) -> String {
        match self {
            Self::Items(at) => format!("{at}/{index}"),
            Self::Each(pointers) => pointers[index].to_string(),
        }
    }
}

/// The array at a pointer into the input.
pub(crate) fn items_at<'v>(at: &Pointer, input: &'v Value) -> Result<&'v Vec<Value>, OperationError> {
    let found = at.find_input(input)?;
    found.as_array().ok_or_else(|| expected_input(&at.to_string(), "an array", found))
}

/// A list of JSON pointers in the arguments.
pub(crate) fn read_pointers(
    fields: &Fields<'_>,
    name: &str,
    limits: &OperationLimits,
) -> Result<Option<Vec<Pointer>>, OperationError> {
    let Some(entries) = fields.entries(name, limits.max_entries)? else { return Ok(None) };
    let mut bytes = 0;
    entries
        .into_iter()
        .map(|(place, entry)| {
            let text = entry.as_str().ok_or_else(|| expected_arg(place.clone(), "a string", entry))?;
            bytes += text.len() as u64;
            if bytes > limits.max_expression_bytes {
                return Err(
                    OperationError::limit(Limit::ExpressionBytes, limits.max_expression_bytes).at(place)
                );
            }
            Pointer::parse(text, || place)
        })
        .collect::<Result<_, _>>()
        .map(Some)
}
