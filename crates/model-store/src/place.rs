//! Where the store of a user is.

use std::path::PathBuf;

use etcetera::base_strategy::{BaseStrategy as _, choose_native_strategy};
use thiserror::Error;

/// The variable that says where, if it is to be elsewhere.
const HOME: &str = "KORA_BACKEND_HOME";

/// The user's folder for data of this project: `KORA_BACKEND_HOME`, or else `kora-backend` where the system keeps data
/// of programs.
pub(crate) fn of_user() -> Result<PathBuf, NoHome> {
    if let Some(home) = std::env::var_os(HOME).filter(|home| !home.is_empty()) {
        // Relative to where the command runs, as for any program.
        return std::path::absolute(home).map_err(|_| NoHome);
    }
    let strategy = choose_native_strategy().map_err(|_| NoHome)?;
    Ok(strategy.data_dir().join("kora-backend"))
}

/// Nobody says where the user's data belongs.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("this user has no home folder: say in `{HOME}` where the weights of models belong")]
pub struct NoHome;
