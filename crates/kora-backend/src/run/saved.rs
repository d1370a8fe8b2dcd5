//! A result that is kept as a file: all of it, or nothing.

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use backend_api::ExecutionResult;
use tempfile::NamedTempFile;

use crate::refused::CommandError;

/// A place for a result, held by a temporary file beside it that goes away unless it is filled.
#[derive(Debug)]
pub(super) struct SavedResult {
    path: PathBuf,
    file: NamedTempFile,
}

impl SavedResult {
    /// Makes sure that a result can be saved as `path`.
    ///
    /// # Errors
    ///
    /// [`CommandError::Unsaved`] if it could not.
    pub(super) fn prepare(path: &Path) -> Result<Self, CommandError> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let unsaved = |source| CommandError::Unsaved { path: path.to_owned(), source };
        if path.is_dir() {
            return Err(unsaved(io::Error::from(io::ErrorKind::IsADirectory)));
        }
        let file = NamedTempFile::new_in(folder.unwrap_or(Path::new("."))).map_err(unsaved)?;
        Ok(Self { path: path.to_owned(), file })
    }

    /// Saves `result`. Whoever looks sees the old file or the new one, never a part.
    ///
    /// # Errors
    ///
    /// [`CommandError::Unsaved`]; what was there before is still there.
    pub(super) fn keep(self, result: &ExecutionResult) -> Result<(), CommandError> {
        let Self { path, file } = self;
        let written = (|| {
            let mut out = BufWriter::new(&file);
            serde_json::to_writer_pretty(&mut out, result)?;
            out.write_all(b"\n")?;
            out.flush()?;
            file.as_file().sync_all()
        })();
        let saved = written.and_then(|()| file.persist(&path).map(drop).map_err(io::Error::from));
        saved.map_err(|source| CommandError::Unsaved { path, source })
    }
}
