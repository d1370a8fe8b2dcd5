//! What is written down beside a model's weights, `model.json`, and what it says to others.

use std::fs::{self, File};
use std::io::{ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::files::{self, During as _, FileError};
use crate::{ModelName, Sha256Digest};

/// The file beside the weights.
pub(crate) const RECORD: &str = "model.json";
/// The layout that this version writes and reads.
const FORMAT: u32 = 1;
/// Bytes of a record.
const MAX_BYTES: u64 = 64 << 10;

/// A model whose weights are on this machine.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct StoredModel {
    /// What graphs call it.
    pub name: ModelName,
    /// The file of its weights.
    pub path: PathBuf,
    /// Bytes of that file.
    pub bytes: u64,
    /// What that file hashed to when it was put there.
    pub sha256: Sha256Digest,
    /// Where it came from.
    pub origin: Origin,
    /// What its weights are made for: the value of `general.architecture`.
    pub architecture: String,
    /// How many numbers the model is made of.
    pub parameters: u64,
    /// Tokens that it can see at once, if its file says so.
    pub context_tokens: Option<u64>,
}

/// Where weights came from.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Origin {
    /// The catalogue: pinned by its digest, whatever brought it.
    Catalogue,
    /// A file that the user named.
    File {
        /// Its name, without its folder.
        name: String,
    },
}

/// The record as it is written.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Record {
    pub(crate) format: u32,
    pub(crate) name: ModelName,
    pub(crate) file: String,
    pub(crate) bytes: u64,
    pub(crate) sha256: Sha256Digest,
    pub(crate) origin: Origin,
    pub(crate) architecture: String,
    pub(crate) parameters: u64,
    pub(crate) context_tokens: Option<u64>,
}

/// What stands where a record should be.
#[derive(Debug)]
pub(crate) enum Found {
    Nothing,
    /// It says nothing that can be used, and why.
    Damaged(String),
    Record(Box<Record>),
}

impl Record {
    pub(crate) fn of(model: &StoredModel, file: &str) -> Self {
        Self {
            format: FORMAT,
            name: model.name.clone(),
            file: file.to_owned(),
            bytes: model.bytes,
            sha256: model.sha256,
            origin: model.origin.clone(),
            architecture: model.architecture.clone(),
            parameters: model.parameters,
            context_tokens: model.context_tokens,
        }
    }

    /// The model that it tells of, in its folder.
    pub(crate) fn into_model(self, folder: &Path) -> StoredModel {
        StoredModel {
            path: folder.join(&self.file),
            name: self.name,
            bytes: self.bytes,
            sha256: self.sha256,
            origin: self.origin,
            architecture: self.architecture,
            parameters: self.parameters,
            context_tokens: self.context_tokens,
        }
    }

    /// Reads what is in the folder of the model `name`.
    pub(crate) fn read(folder: &Path, name: &ModelName) -> Result<Found, FileError> {
        let path = folder.join(RECORD);
        let mut text = Vec::new();
        match File::open(&path) {
            Ok(file) => file.take(MAX_BYTES).read_to_end(&mut text).during("read", &path)?,
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                return Ok(Found::Nothing);
            }
            Err(error) => return Err(error).during("read", &path),
        };
        Ok(match Self::parse(&text, name) {
            Ok(record) => Found::Record(Box::new(record)),
            Err(fault) => Found::Damaged(fault),
        })
    }

    fn parse(text: &[u8], name: &ModelName) -> Result<Self, String> {
        let record: Self = serde_json::from_slice(text).map_err(|error| format!("`{RECORD}`: {error}"))?;
        if record.format != FORMAT {
            return Err(format!(
                "`{RECORD}` is of format {}, and this version reads {FORMAT}",
                record.format
            ));
        }
        if record.name != *name {
            return Err(format!("`{RECORD}` tells of another model, `{}`", record.name));
        }
        // It is joined to a folder, and what it leads to is read and removed.
        if !is_plain(&record.file) {
            return Err(format!("`{RECORD}` names a file that is not beside it"));
        }
        Ok(record)
    }

    /// Writes it into its folder, where it makes the model one that is there.
    pub(crate) fn write(&self, folder: &Path) -> Result<(), FileError> {
        let path = folder.join(RECORD);
        let mut temporary = tempfile::NamedTempFile::new_in(folder).during("write to", folder)?;
        let text = serde_json::to_vec_pretty(self).map_err(std::io::Error::from).during("write", &path)?;
        temporary.write_all(&text).and_then(|()| temporary.write_all(b"\n")).during("write", &path)?;
        files::put(temporary, &path)
    }
}

/// Whether `file` is a name of weights and no way to elsewhere.
fn is_plain(file: &str) -> bool {
    let named = Path::new(file).file_name().is_some_and(|name| name == file);
    named && !file.contains(['/', '\\', ':', '\0']) && file.ends_with(".gguf") && file.len() <= 255
}

/// What `file` is to be called in the store.
pub(crate) fn plain_name(file: &Path) -> String {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    if is_plain(&name) { name.into_owned() } else { String::from("weights.gguf") }
}

/// Whether the weights are there in full length.
pub(crate) fn is_whole(model: &StoredModel) -> Result<(), String> {
    match fs::metadata(&model.path) {
        Ok(found) if found.is_file() && found.len() == model.bytes => Ok(()),
        Ok(found) if found.is_file() => Err(format!("it has {} bytes of {}", found.len(), model.bytes)),
        Ok(_) => Err(String::from("it is no file")),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_never_leads_out_of_its_folder() {
        for file in ["a.gguf", "SmolLM2-135M-Instruct.Q4_1.gguf"] {
            assert!(is_plain(file), "{file}");
        }
        for file in
            ["", ".", "..", "../a.gguf", "/etc/a.gguf", "a/b.gguf", "c:\\a.gguf", "c:a.gguf", "a.json"]
        {
            assert!(!is_plain(file), "{file}");
        }
        assert_eq!(plain_name(Path::new("x/y.gguf")), "y.gguf");
        assert_eq!(plain_name(Path::new("x/y.bin")), "weights.gguf");
        assert_eq!(plain_name(Path::new("..")), "weights.gguf");
    }

    #[test]
    fn what_is_no_record_is_told_and_not_believed() {
        let name = ModelName::new("m").unwrap();
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(Record::read(folder.path(), &name).unwrap(), Found::Nothing));
        let good = r#"{"format":1,"name":"m","file":"a.gguf","bytes":4,"sha256":"SHA","origin":"catalogue",
            "architecture":"llama","parameters":1,"context_tokens":null}"#
            .replace("SHA", &"0".repeat(64));
        let find = |text: &str| {
            fs::write(folder.path().join(RECORD), text).unwrap();
            Record::read(folder.path(), &name).unwrap()
        };
        assert!(matches!(find(&good), Found::Record(_)));
        for bad in [
            String::new(),
            good.replace("\"format\":1", "\"format\":2"),
            good.replace("\"m\"", "\"n\""),
            good.replace("a.gguf", "../a.gguf"),
            good.replace("00", "0"),
            "x".repeat(100_000),
        ] {
            assert!(matches!(find(&bad), Found::Damaged(_)), "{bad}");
        }
    }
}
