//! Where the weights are that the server is given.

use std::path::PathBuf;

pub(crate) fn weights() -> PathBuf {
    let named = std::env::var_os("KORA_TEST_MODEL").map(PathBuf::from);
    match named {
        Some(path) if path.is_file() => path,
        Some(_) | None => panic!("no weights for the test"),
    }
}
