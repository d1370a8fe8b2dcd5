//! Why an operation refused its arguments or did not finish.

use std::fmt;

use crate::Limit;

/// Why an operation refused its arguments or did not finish: what is wrong, where, and how to mend it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub struct OperationError {
    /// What sort of error it is.
    pub kind: OperationErrorKind,
    /// What is wrong, without the place and the remedy.
    pub message: String,
    /// The JSON pointer to what is wrong, beginning with `/args` or `/input`.
    pub pointer: Option<String>,
    /// How to mend it.
    pub help: Option<String>,
    /// Whether another attempt could end otherwise (S8).
    pub transient: bool,
}

/// What sort of error it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum OperationErrorKind {
    /// No operation of that name is registered.
    UnknownOperation,
    /// The arguments are not what the operation takes.
    InvalidArgs,
    /// The input is not what the operation takes.
    InvalidInput,
    /// A limit was reached; whatever was under way has been given up.
    LimitExceeded {
        /// Which limit.
        which: Limit,
        /// Its value, in the unit of that limit.
        limit: u64,
    },
    /// The driver asked for the work to stop, because of a time limit or a cancellation.
    Stopped,
    /// The operation ran and has no answer for this input: a key that is missing, a division by zero.
    Failed,
}

impl OperationError {
    /// An error of `kind` that says `message`; add the place and the remedy with the methods below.
    #[must_use]
    pub fn new(kind: OperationErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), pointer: None, help: None, transient: false }
    }

    /// An error in the arguments at `pointer`, which begins with `/args`.
    #[must_use]
    pub fn invalid_args(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(OperationErrorKind::InvalidArgs, message).at(pointer)
    }

    /// An error in the input at `pointer`, which begins with `/input`.
    #[must_use]
    pub fn invalid_input(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(OperationErrorKind::InvalidInput, message).at(pointer)
    }

    /// The operation has no answer for this input.
    #[must_use]
    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(OperationErrorKind::Failed, message)
    }

    pub(crate) fn limit(which: Limit, limit: u64) -> Self {
        Self::new(OperationErrorKind::LimitExceeded { which, limit }, which.exceeded(limit))
            .mend(which.remedy())
    }

    /// The same error, at `pointer`.
    #[must_use]
    pub fn at(mut self, pointer: impl Into<String>) -> Self {
        self.pointer = Some(pointer.into());
        self
    }

    /// The same error, with a remedy.
    #[must_use]
    pub fn mend(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The same error, worth another attempt (S8).
    #[must_use]
    pub fn retryable(mut self) -> Self {
        self.transient = true;
        self
    }
}

impl fmt::Display for OperationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if let Some(pointer) = &self.pointer {
            write!(f, ", at `{pointer}`")?;
        }
        if let Some(help) = &self.help {
            write!(f, "; {help}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_what_where_and_how_to_mend() {
        let error = OperationError::invalid_args("/args/pattern", "`(` is never closed").mend("close it");
        assert_eq!(error.to_string(), "`(` is never closed, at `/args/pattern`; close it");
        assert!(!error.transient);
    }
}
