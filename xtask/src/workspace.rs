//! The files of the workspace, as git would see them.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use ignore::WalkBuilder;

/// One text file, with its path relative to the root, separated by `/` on every system.
#[derive(Debug, Clone)]
pub(crate) struct TextFile {
    pub(crate) path: String,
    pub(crate) text: String,
}

/// The workspace's root directory.
///
/// Cargo says at run time where this package is; a binary run by hand falls back to where it was built.
pub(crate) fn root() -> PathBuf {
    let package = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    package.parent().map_or(package.clone(), Path::to_path_buf)
}

/// Every text file below `root` that git does not ignore, in path order. Binary files are left out.
///
/// # Errors
///
/// Returns an error if a directory or a file cannot be read.
pub(crate) fn text_files(root: &Path) -> anyhow::Result<Vec<TextFile>> {
    let walk = WalkBuilder::new(root)
        .hidden(false)
        // A copy of the sources without their history follows the same `.gitignore`.
        .require_git(false)
        // A machine's own ignore files must not change what is checked.
        .git_global(false)
        .git_exclude(false)
        .parents(false)
        .filter_entry(|entry| entry.file_name() != ".git")
        .build();
    let mut files = Vec::new();
    for entry in walk {
        let entry = entry.context("cannot list the workspace")?;
        if !entry.file_type().is_some_and(|kind| kind.is_file()) {
            continue;
        }
        let bytes = match std::fs::read(entry.path()) {
            Ok(bytes) => bytes,
            // Somebody removed it while we walked.
            Err(gone) if gone.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => {
                return Err(error).with_context(|| format!("cannot read {}", entry.path().display()));
            }
        };
        if let Ok(text) = String::from_utf8(bytes) {
            let path = entry.path().strip_prefix(root).unwrap_or(entry.path());
            let path = path.iter().map(|part| part.to_string_lossy()).collect::<Vec<_>>().join("/");
            files.push(TextFile { path, text });
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_walk_finds_the_manifest_and_no_build_products() {
        let files = text_files(&root()).unwrap();
        assert!(files.iter().any(|file| file.path == "Cargo.toml"));
        assert!(files.iter().any(|file| file.path == ".cargo/config.toml"));
        assert!(!files.iter().any(|file| file.path.starts_with("target/")));
        assert!(!files.iter().any(|file| file.path.starts_with(".git/")));
    }
}
