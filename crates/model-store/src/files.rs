//! Files: read and written piece by piece, hashed on the way, and whole under their name or not there.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use thiserror::Error;

use crate::Sha256Digest;
use crate::progress::{Observe, Phase, Stopped, tell};

/// Bytes that are in memory at once.
const PIECE_BYTES: usize = 1 << 20;

/// Something cannot be done to a file or folder.
#[derive(Debug, Error)]
#[error("cannot {doing} `{}`{}", .path.display(), mend(.source))]
pub struct FileError {
    /// What was to be done.
    pub doing: &'static str,
    /// To what.
    pub path: PathBuf,
    /// Why it cannot be done.
    pub source: io::Error,
}

fn mend(error: &io::Error) -> &'static str {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the standard library's set is open")]
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            " (make room there, or name a folder on another disk in `KORA_BACKEND_HOME`)"
        }
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            " (allow it for this user, or name a folder of theirs in `KORA_BACKEND_HOME`)"
        }
        _ => "",
    }
}

/// Says what was done to what, should it fail.
pub(crate) trait During<T> {
    fn during(self, doing: &'static str, path: &Path) -> Result<T, FileError>;
}

impl<T> During<T> for io::Result<T> {
    fn during(self, doing: &'static str, path: &Path) -> Result<T, FileError> {
        self.map_err(|source| FileError { doing, path: path.to_owned(), source })
    }
}

/// What ends work on a file.
#[derive(Debug)]
pub(crate) enum Ended {
    Failed(FileError),
    Stopped,
}

impl From<FileError> for Ended {
    fn from(error: FileError) -> Self {
        Self::Failed(error)
    }
}

impl From<Stopped> for Ended {
    fn from(_: Stopped) -> Self {
        Self::Stopped
    }
}

/// What was read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Copied {
    pub(crate) bytes: u64,
    pub(crate) sha256: Sha256Digest,
}

/// A reader or a writer, and its name for errors.
#[derive(Debug)]
pub(crate) struct Named<'a, T>(pub(crate) T, pub(crate) &'a Path);

/// Reads `from` to its end, but no further than one byte beyond `most`, writes it to `to`, and hashes it.
pub(crate) fn copy(
    mut from: Named<'_, impl Read>,
    to: Option<Named<'_, &mut File>>,
    most: u64,
    phase: Phase,
    observe: &mut Observe<'_>,
) -> Result<Copied, Ended> {
    let mut piece = vec![0; PIECE_BYTES];
    let mut hash = Sha256::new();
    let (mut bytes, mut to) = (0, to);
    loop {
        tell(observe, phase, bytes.min(most), Some(most))?;
        let room = most.saturating_add(1) - bytes;
        let length = PIECE_BYTES.min(usize::try_from(room).unwrap_or(PIECE_BYTES));
        let read = match from.0.read(&mut piece[..length]) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(source) => {
                return Err(FileError { doing: "read", path: from.1.to_owned(), source }.into());
            }
        };
        hash.update(&piece[..read]);
        if let Some(Named(to, path)) = &mut to {
            to.write_all(&piece[..read]).during("write", path)?;
        }
        bytes += read as u64;
    }
    Ok(Copied { bytes, sha256: Sha256Digest::new(hash.finalize().into()) })
}

/// Reads all of a file, and hashes it.
pub(crate) fn digest_of(path: &Path, observe: &mut Observe<'_>) -> Result<Copied, Ended> {
    let file = File::open(path).during("open", path)?;
    let bytes = file.metadata().during("look at", path)?.len();
    copy(Named(file, path), None, bytes, Phase::Checking, observe)
}

/// Makes a folder and those above it.
pub(crate) fn make_folder(path: &Path) -> Result<(), FileError> {
    fs::create_dir_all(path).during("make the folder", path)
}

/// Puts a finished file under its name, so that it is there after a power cut too.
pub(crate) fn put(temporary: tempfile::NamedTempFile, path: &Path) -> Result<(), FileError> {
    // Temporary files are for their owner's eyes; weights may be shared.
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let readable = fs::Permissions::from_mode(0o644);
        temporary.as_file().set_permissions(readable).during("set the permissions of", temporary.path())?;
    }
    temporary.as_file().sync_all().during("write", temporary.path())?;
    temporary.persist(path).map_err(|error| error.error).during("write", path)?;
    if let Some(folder) = path.parent() {
        sync_folder(folder)?;
    }
    Ok(())
}

/// Makes new names in a folder last.
#[cfg(unix)]
fn sync_folder(folder: &Path) -> Result<(), FileError> {
    File::open(folder).and_then(|folder| folder.sync_all()).during("write", folder)
}

#[cfg(not(unix))]
fn sync_folder(_: &Path) -> Result<(), FileError> {
    Ok(())
}

/// Removes a file or a folder with all that is in it. That there is none is fine. Follows no links.
pub(crate) fn remove(path: &Path) -> Result<(), FileError> {
    let removed = match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error).during("remove", path),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// The files of a folder whose names end so, in order.
pub(crate) fn with_extension(folder: &Path, extension: &str) -> Result<Vec<PathBuf>, FileError> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).during("list", folder)? {
        let path = entry.during("list", folder)?.path();
        if path.extension().is_some_and(|ends| ends == extension) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// Removes everything of a folder except one.
pub(crate) fn keep_only(folder: &Path, kept: Option<&Path>) -> Result<(), FileError> {
    for entry in fs::read_dir(folder).during("list", folder)? {
        let path = entry.during("list", folder)?.path();
        if kept != Some(path.as_path()) {
            remove(&path)?;
        }
    }
    Ok(())
}

/// Bytes of the files in a folder, and in those below it. Follows no links; what cannot be looked at counts nothing.
pub(crate) fn size_of(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let sizes = entries.map(|entry| match entry.metadata() {
        Ok(found) if found.is_dir() => size_of(&entry.path()),
        Ok(found) => found.len(),
        Err(_) => 0,
    });
    sizes.fold(0, u64::saturating_add)
}

/// Fails before the work if what is left on the disk of `folder` is less than `bytes`.
pub(crate) fn has_room(folder: &Path, bytes: u64) -> Result<(), FileError> {
    // A file system that does not tell what is left is tried.
    let left = fs4::available_space(folder).unwrap_or(u64::MAX);
    if left >= bytes {
        return Ok(());
    }
    let said = format!("{} MiB are needed and {} MiB are left", (bytes >> 20) + 1, left >> 20);
    Err(io::Error::new(ErrorKind::StorageFull, said)).during("write to", folder)
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use super::*;

    fn go_on(_: crate::Progress) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    #[test]
    fn a_copy_reads_one_byte_too_much_and_no_more() {
        let path = Path::new("endless");
        let copied = copy(Named(io::repeat(7), path), None, 3_000_000, Phase::Copying, &mut go_on).unwrap();
        assert_eq!(copied.bytes, 3_000_001);
    }

    #[test]
    fn a_copy_stops_when_told() {
        let mut asked = 0;
        let mut stop = |_: crate::Progress| {
            asked += 1;
            if asked == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let from = Named(io::repeat(7), Path::new("endless"));
        assert!(matches!(copy(from, None, u64::MAX, Phase::Copying, &mut stop), Err(Ended::Stopped)));
        assert_eq!(asked, 3);
    }

    #[test]
    fn a_full_disk_is_told_before_the_work() {
        let folder = tempfile::tempdir().unwrap();
        has_room(folder.path(), 1).unwrap();
        let error = has_room(folder.path(), u64::MAX).unwrap_err();
        assert!(error.to_string().contains("make room there"), "{error}");
        assert!(error.source.to_string().contains("are left"), "{}", error.source);
    }

    #[test]
    fn removing_what_is_not_there_is_fine() {
        let folder = tempfile::tempdir().unwrap();
        remove(&folder.path().join("absent")).unwrap();
        let full = folder.path().join("full");
        fs::create_dir(&full).unwrap();
        fs::write(full.join("file"), "x").unwrap();
        remove(&full).unwrap();
        assert!(!full.exists());
    }
}
