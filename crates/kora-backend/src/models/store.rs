//! The store of weights, as the command sees it: names, sizes, and what goes wrong.

use model_store::{
    ClientError, DEFAULT_MODEL, FileError, FindError, ModelName, NoHome, PullError, RemoveError, Store,
    VerifyError,
};
use serde_json::{Value, json};
use thiserror::Error;

use crate::exit::Exit;
use crate::refused::CommandError;

/// Weights that are not there, not as they should be, or cannot be fetched.
#[derive(Debug, Error)]
pub(crate) enum WeightsError {
    /// Nobody knows where they belong.
    #[error(transparent)]
    Home(#[from] NoHome),
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] FileError),
    /// They cannot be used.
    #[error(transparent)]
    Find(#[from] FindError),
    /// They cannot be fetched.
    #[error(transparent)]
    Pull(#[from] PullError),
    /// They are not as they should be.
    #[error(transparent)]
    Verify(#[from] VerifyError),
    /// They stay.
    #[error(transparent)]
    Remove(#[from] RemoveError),
}

impl WeightsError {
    /// The exit code that says it.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Pull(PullError::Stopped) | Self::Verify(VerifyError::Stopped) => Exit::Interrupted,
            // The arguments can be changed; nothing is wrong with what is there.
            Self::Home(_)
            | Self::Pull(
                PullError::Unknown { .. }
                | PullError::Taken(_)
                | PullError::Unpack { .. }
                | PullError::NoWeights { .. },
            )
            | Self::Remove(RemoveError::Absent(_)) => Exit::Usage,
            Self::Store(_) | Self::Find(_) | Self::Pull(_) | Self::Verify(_) | Self::Remove(_) => {
                Exit::Weights
            }
        }
    }

    /// Its word in a JSON document.
    pub(crate) fn error_type(&self) -> &'static str {
        match self.exit() {
            Exit::Interrupted => "CANCELLED",
            Exit::Usage => "USAGE_ERROR",
            Exit::Weights
            | Exit::Success
            | Exit::Internal
            | Exit::Failed(_)
            | Exit::InvalidGraph
            | Exit::VersionMismatch
            | Exit::BeyondCapabilities
            | Exit::Unavailable
            | Exit::Unauthenticated
            | Exit::NotConformant
            | Exit::Incomplete => "MODEL_WEIGHTS_ERROR",
        }
    }

    /// What a program may want to know beside the message.
    pub(crate) fn details(&self) -> Value {
        match self.last_words() {
            [] => Value::Null,
            said => json!({"package_client": said}),
        }
    }

    /// What the package client said last.
    pub(crate) fn last_words(&self) -> &[String] {
        match self {
            Self::Pull(PullError::Client(
                ClientError::Failed { said, .. } | ClientError::Stalled { said, .. },
            )) => said,
            Self::Home(_)
            | Self::Store(_)
            | Self::Find(_)
            | Self::Pull(_)
            | Self::Verify(_)
            | Self::Remove(_) => &[],
        }
    }
}

/// The store of this user.
pub(super) fn of_user() -> Result<Store, CommandError> {
    Store::of_user().map_err(|error| WeightsError::from(error).into())
}

/// The model that is meant if none is named.
pub(super) fn named(name: Option<&ModelName>) -> Result<ModelName, CommandError> {
    name.map_or_else(
        || ModelName::new(DEFAULT_MODEL).map_err(|error| CommandError::Usage(error.to_string())),
        |name| Ok(name.clone()),
    )
}

/// A number of bytes for people.
pub(super) fn size(bytes: u64) -> String {
    indicatif::BinaryBytes(bytes).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_caller_can_mend_is_told_apart_from_what_is_wrong_here() {
        let name = named(None).unwrap();
        let taken = WeightsError::from(PullError::Taken(name.clone()));
        assert_eq!((taken.exit(), taken.error_type()), (Exit::Usage, "USAGE_ERROR"));
        let stopped = WeightsError::from(PullError::Stopped);
        assert_eq!((stopped.exit(), stopped.error_type()), (Exit::Interrupted, "CANCELLED"));
        let command = String::from("…");
        let absent = WeightsError::from(FindError::Absent { name, command });
        assert_eq!((absent.exit(), absent.error_type()), (Exit::Weights, "MODEL_WEIGHTS_ERROR"));
    }
}
