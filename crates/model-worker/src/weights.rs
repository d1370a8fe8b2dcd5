//! A model's file: read within bounds, refused where it cannot be right.

mod header;
mod metadata;
mod reader;
mod tensor;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use thiserror::Error;

pub(crate) use self::metadata::{Metadata, missing};
use self::tensor::TensorPlace;
use crate::numbers::Matrix;

/// How to mend a file that is not what it should be.
const FETCH_AGAIN: &str = "fetch the model again, or name another file";

/// A GGUF file whose header was read. Tensors are read one at a time, so that no more than one is held twice.
#[derive(Debug)]
pub(crate) struct Weights {
    file: File,
    metadata: Metadata,
    // Invariant: every place lies within the file.
    tensors: BTreeMap<String, TensorPlace>,
}

impl Weights {
    /// Opens the file and reads its header; checks the whole file's digest first if one is given.
    ///
    /// # Errors
    ///
    /// [`WeightsError`] if the file cannot be read, is another than the digest says, or cannot be right.
    pub(crate) fn open(path: &Path, sha256: Option<&str>) -> Result<Self, WeightsError> {
        let (file, size) = open(path, sha256)?;
        let header = header::read(&mut BufReader::new(&file), size)?;
        Ok(Self { file, metadata: header.metadata, tensors: header.tensors })
    }

    /// What the file says about itself.
    pub(crate) fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// Whether there is a tensor of this name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// Takes the tensor `name` of `rows` times `columns` weights, in eight bits each.
    pub(crate) fn matrix(&mut self, name: &str, rows: usize, columns: usize) -> Result<Matrix, WeightsError> {
        let place = self.place(name, &[columns, rows])?;
        tensor::matrix(&mut self.file, name, &place, rows, columns)
    }

    /// Takes the tensor `name` of `length` weights as it is.
    pub(crate) fn vector(&mut self, name: &str, length: usize) -> Result<Vec<f32>, WeightsError> {
        let place = self.place(name, &[length])?;
        tensor::vector(&mut self.file, name, &place)
    }

    /// Says that everything that is of use was taken.
    ///
    /// # Errors
    ///
    /// [`WeightsError::Invalid`] if a tensor is left: then the file is of a model that computes something else.
    pub(crate) fn nothing_is_left(&self) -> Result<(), WeightsError> {
        match self.tensors.keys().next() {
            None => Ok(()),
            Some(name) => Err(WeightsError::unsupported(format!(
                "tensor `{name}` has no place in a model of this architecture"
            ))),
        }
    }

    fn place(&mut self, name: &str, shape: &[usize]) -> Result<TensorPlace, WeightsError> {
        let Some(place) = self.tensors.remove(name) else {
            return Err(WeightsError::invalid(format!("tensor `{name}` is missing")));
        };
        let as_written: Vec<u64> = shape.iter().map(|&side| side as u64).collect();
        if place.shape != as_written {
            return Err(WeightsError::invalid(format!(
                "tensor `{name}` has shape {:?}, the metadata want {as_written:?}",
                place.shape
            )));
        }
        Ok(place)
    }
}

/// What a file says about itself, whatever its tensors are; checks the whole file's digest first if one is given.
///
/// # Errors
///
/// As [`Weights::open`].
#[cfg(feature = "llamacpp")]
pub(crate) fn metadata(path: &Path, sha256: Option<&str>) -> Result<Metadata, WeightsError> {
    let (file, size) = open(path, sha256)?;
    header::metadata(&mut BufReader::new(&file), size)
}

/// The file, checked, and its bytes.
fn open(path: &Path, sha256: Option<&str>) -> Result<(File, u64), WeightsError> {
    let open = |source| WeightsError::Open { path: path.to_owned(), source };
    let mut file = File::open(path).map_err(open)?;
    let size = file.metadata().map_err(open)?.len();
    if let Some(expected) = sha256 {
        let found = digest(&mut file)?;
        if !found.eq_ignore_ascii_case(expected) {
            return Err(WeightsError::Digest { expected: expected.to_ascii_lowercase(), found });
        }
        file.seek(SeekFrom::Start(0)).map_err(WeightsError::Read)?;
    }
    Ok((file, size))
}

fn digest(file: &mut File) -> Result<String, WeightsError> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        let read = match file.read(&mut buffer) {
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(WeightsError::Read(error)),
        };
        let Some(bytes) = buffer.get(..read).filter(|bytes| !bytes.is_empty()) else { break };
        hasher.update(bytes);
    }
    Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// A file that no model can be made of.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum WeightsError {
    /// The file cannot be opened.
    #[error("cannot open `{}`: {source}; name a GGUF file with `--weights`", .path.display())]
    Open {
        /// Which file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The file cannot be read, or ends too early.
    #[error("cannot read the weights: {0}; {FETCH_AGAIN}")]
    Read(#[source] io::Error),
    /// The file is another than it should be.
    #[error("the weights have SHA-256 {found}, expected {expected}; {FETCH_AGAIN}")]
    Digest {
        /// What was asked for, in lower-case hex.
        expected: String,
        /// What the file has.
        found: String,
    },
    /// The file contradicts itself, or exceeds a bound.
    #[error("the weights are damaged: {0}; {FETCH_AGAIN}")]
    Invalid(String),
    /// The file is of a kind of model that this worker does not run.
    #[error("this model cannot be run here: {0}; use a GGUF file of architecture `llama`")]
    Unsupported(String),
    /// llama.cpp does not run it.
    #[cfg(feature = "llamacpp")]
    #[error(
        "this model cannot be run here: {0}; use another GGUF file, or a build without the feature `llamacpp`"
    )]
    ByLlamaCpp(String),
}

impl WeightsError {
    pub(crate) fn invalid(what: impl Into<String>) -> Self {
        Self::Invalid(what.into())
    }

    pub(crate) fn unsupported(what: impl Into<String>) -> Self {
        Self::Unsupported(what.into())
    }
}
