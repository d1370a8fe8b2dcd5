//! For tests that ask a real model: where it is, or the command that brings it.

use std::path::PathBuf;

use crate::{DEFAULT_MODEL, FindError, ModelName, Store};

/// The weights of the default model: the file that `KORA_TEST_MODEL` names, or those in the store of this user.
///
/// # Panics
///
/// If there are none, with the command that fetches them: a test without its model fails, and is never taken for passed.
#[expect(clippy::panic, reason = "what cannot be set up is a failed test")]
pub fn default_model() -> PathBuf {
    if let Some(path) = std::env::var_os("KORA_TEST_MODEL").map(PathBuf::from) {
        assert!(path.is_file(), "`KORA_TEST_MODEL` names no file: `{}`", path.display());
        return path;
    }
    let name = ModelName::known(DEFAULT_MODEL);
    let store = match Store::of_user() {
        Ok(store) => store,
        Err(error) => panic!("{error}"),
    };
    match store.find(&name) {
        Ok(model) => model.path,
        Err(error @ (FindError::Absent { .. } | FindError::Damaged { .. })) => {
            panic!(
                "this test asks a real model: {error}, or here: `cargo run -p kora-backend -- models pull`"
            )
        }
        Err(error @ FindError::File(_)) => panic!("this test asks a real model: {error}"),
    }
}
