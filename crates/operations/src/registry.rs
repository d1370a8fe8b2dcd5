//! Which operations a graph can name.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use crate::{
    Meter, Operation, OperationCall, OperationError, OperationErrorKind, OperationLimits, PreparedOperation,
    library,
};

/// The operations that a graph can name, in the order of their names.
#[derive(Debug, Clone)]
pub struct OperationRegistry {
    operations: BTreeMap<String, Arc<dyn Operation>>,
    limits: OperationLimits,
}

/// Two operations of one name: which of them a graph means would depend on who came first.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("operation `{name}` is registered already; choose another name, such as `kora.{name}`")]
#[non_exhaustive]
pub struct DuplicateOperation {
    /// The name.
    pub name: String,
}

impl OperationRegistry {
    /// The operations of this crate, within the default limits.
    #[must_use]
    pub fn standard() -> Self {
        Self::standard_within(OperationLimits::default())
    }

    /// The operations of this crate, within `limits`.
    #[must_use]
    pub fn standard_within(limits: OperationLimits) -> Self {
        let operations = library::all(&limits)
            .into_iter()
            .map(|operation| (operation.name().to_owned(), Arc::new(operation) as Arc<dyn Operation>))
            .collect();
        Self { operations, limits }
    }

    /// No operations.
    #[must_use]
    pub fn empty(limits: OperationLimits) -> Self {
        Self { operations: BTreeMap::new(), limits }
    }

    /// Adds an operation.
    ///
    /// # Errors
    ///
    /// Returns [`DuplicateOperation`] if there is one of that name; nothing changes then.
    pub fn register(&mut self, operation: impl Operation) -> Result<(), DuplicateOperation> {
        let name = operation.name().to_owned();
        if self.operations.contains_key(&name) {
            return Err(DuplicateOperation { name });
        }
        self.operations.insert(name, Arc::new(operation));
        Ok(())
    }

    /// The limits of every run, with which to fill a [`Meter`].
    #[must_use]
    pub fn limits(&self) -> &OperationLimits {
        &self.limits
    }

    /// The operation of that name.
    #[must_use]
    pub fn lookup(&self, name: &str) -> Option<&Arc<dyn Operation>> {
        self.operations.get(name)
    }

    /// All names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.operations.keys().map(String::as_str)
    }

    /// All operations, in the order of their names.
    pub fn operations(&self) -> impl Iterator<Item = &Arc<dyn Operation>> {
        self.operations.values()
    }

    /// The name that a misspelt `name` probably means.
    #[must_use]
    pub fn closest(&self, name: &str) -> Option<&str> {
        closest(name, self.names())
    }

    /// Checks literal `args` for the operation `name` and makes it ready to run; see [`Operation::prepare`].
    /// Whatever it returns later is bounded by [`limits`](Self::limits), whoever wrote the operation.
    ///
    /// # Errors
    ///
    /// [`UnknownOperation`](OperationErrorKind::UnknownOperation), or what the operation finds wrong with `args`.
    pub fn prepare(&self, name: &str, args: &Value) -> Result<Arc<dyn PreparedOperation>, OperationError> {
        let Some(operation) = self.lookup(name) else {
            let error = OperationError::new(
                OperationErrorKind::UnknownOperation,
                format!("no operation is named `{}`", excerpt(name)),
            );
            return Err(error.mend(match self.closest(name) {
                Some(closest) => format!("did you mean `{closest}`?"),
                None => format!("the operations are {}", list(self.names())),
            }));
        };
        Ok(Arc::new(Bounded(operation.prepare(args)?)))
    }
}

/// Refuses an output beyond the limits.
#[derive(Debug)]
struct Bounded(Arc<dyn PreparedOperation>);

impl PreparedOperation for Bounded {
    fn run(&self, call: &OperationCall<'_>, meter: &mut Meter) -> Result<Value, OperationError> {
        meter.check_stopped()?;
        let output = self.0.run(call, meter)?;
        meter.admit(&output)?;
        Ok(output)
    }
}

/// At most 60 characters of something hostile, for a message.
pub(crate) fn excerpt(text: &str) -> String {
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

pub(crate) fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// The candidate with the fewest edits to `name`, if they are few for its length.
pub(crate) fn closest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    if name.len() > 64 {
        return None;
    }
    candidates
        .map(|candidate| (strsim::levenshtein(name, candidate), candidate))
        .min()
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len() / 4)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{About, ClosureOperation, Example};
    use serde_json::json;

    #[test]
    fn a_misspelt_name_is_answered_with_the_closest() {
        let error = OperationRegistry::standard().prepare("colect", &json!({})).unwrap_err();
        assert_eq!(error.to_string(), "no operation is named `colect`; did you mean `collect`?");
    }

    #[test]
    fn a_name_like_no_other_is_answered_with_all() {
        let error = OperationRegistry::standard().prepare("fetch_the_web", &json!({})).unwrap_err();
        insta::assert_snapshot!(error);
    }

    #[test]
    fn a_name_is_taken_once() {
        let operation = || {
            ClosureOperation::new(
                About {
                    name: "kora.shout".into(),
                    summary: "Upper case.".into(),
                    args_schema: json!({"type": "object"}),
                    example: Example { args: json!({}), input: json!("a"), output: json!("A") },
                },
                |call| Ok(json!(call.input.as_str().unwrap_or_default().to_uppercase())),
            )
        };
        let mut registry = OperationRegistry::empty(OperationLimits::default());
        registry.register(operation()).unwrap();
        assert_eq!(registry.register(operation()).unwrap_err().name, "kora.shout");
        let prepared = registry.prepare("kora.shout", &json!({})).unwrap();
        let call = OperationCall { args: &json!({}), input: &json!("a"), attempt: 0 };
        assert_eq!(prepared.run(&call, &mut Meter::new(registry.limits())).unwrap(), json!("A"));
    }

    #[test]
    fn a_foreign_operation_cannot_return_more_than_the_limit() {
        let mut registry = OperationRegistry::empty(OperationLimits::default());
        let about = About {
            name: "kora.huge".into(),
            summary: String::new(),
            args_schema: json!({}),
            example: Example { args: json!({}), input: json!({}), output: json!("") },
        };
        registry.register(ClosureOperation::new(about, |_| Ok(json!("x".repeat(17 << 20))))).unwrap();
        let prepared = registry.prepare("kora.huge", &json!({})).unwrap();
        let call = OperationCall { args: &json!({}), input: &json!({}), attempt: 0 };
        prepared.run(&call, &mut Meter::new(registry.limits())).unwrap_err();
    }
}
