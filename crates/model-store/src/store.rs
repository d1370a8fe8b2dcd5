//! The store: a folder with one folder for each model.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::files::{self, During as _, Ended, FileError};
use crate::lock::{self, Attempt};
use crate::place::{self, NoHome};
use crate::progress::Observe;
use crate::record::{self, Found, RECORD, Record};
use crate::{Catalogue, CatalogueEntry, ModelName, Sha256Digest, StoredModel};

/// Weights of models on this machine. Making one touches nothing; cloning is cheap.
///
/// ```text
/// models/<name>/<file>.gguf    the weights
/// models/<name>/model.json     what is known of them; written last, so what it names is whole
/// models/<name>/partial/       what a pull has so far
/// locks/<name>                 held by the process that changes the folder
/// ```
#[derive(Clone, Debug)]
pub struct Store {
    folder: PathBuf,
    catalogue: Catalogue,
}

/// A model that is in the catalogue, on this machine, or both.
#[derive(Debug)]
pub struct Listed<'a> {
    /// What graphs call it.
    pub name: ModelName,
    /// Its row of the catalogue.
    pub entry: Option<&'a CatalogueEntry>,
    /// Its weights, or why there are none.
    pub weights: Result<StoredModel, FindError>,
}

impl Listed<'_> {
    /// Whether there is nothing that could be right or wrong.
    pub fn is_absent(&self) -> bool {
        matches!(self.weights, Err(FindError::Absent { .. }))
    }
}

/// Weights that cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FindError {
    /// They are not on this machine.
    #[error("the weights of `{name}` are not on this machine: fetch them with `{command}`")]
    Absent {
        /// Whose.
        name: ModelName,
        /// What fetches them.
        command: String,
    },
    /// They are not as they were when they were put there.
    #[error("the weights of `{name}` in `{}` are damaged ({fault}): fetch them again with `{command}`", .folder.display())]
    Damaged {
        /// Whose.
        name: ModelName,
        /// Where they are.
        folder: PathBuf,
        /// What is wrong with them.
        fault: String,
        /// What mends them.
        command: String,
    },
    /// Nobody can tell.
    #[error(transparent)]
    File(#[from] FileError),
}

/// Weights that are not as they should be.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// They cannot be used at all.
    #[error(transparent)]
    Find(#[from] FindError),
    /// Their bytes changed since they were put there.
    #[error(
        "`{}` hashes to {found} and should hash to {expected}: it was changed or its disk fails; fetch it again with \
         `{command}`", .path.display()
    )]
    Differs {
        /// The file.
        path: PathBuf,
        /// What it should hash to.
        expected: Sha256Digest,
        /// What it hashes to.
        found: Sha256Digest,
        /// What mends it.
        command: String,
    },
    /// Whoever watched said stop.
    #[error("stopped before the end")]
    Stopped,
}

/// Weights that stay.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RemoveError {
    /// There are none.
    #[error("there is nothing of `{0}` on this machine")]
    Absent(ModelName),
    /// Another process works on them.
    #[error("`{name}` is being fetched by {}: wait for it, or end it", holder(*.process))]
    Busy {
        /// Whose.
        name: ModelName,
        /// The process, where it is known.
        process: Option<u32>,
    },
    /// Something cannot be removed.
    #[error(transparent)]
    File(#[from] FileError),
}

fn holder(process: Option<u32>) -> String {
    process.map_or_else(|| String::from("another process"), |id| format!("process {id}"))
}

impl Store {
    /// The store in `folder`, which need not be there yet.
    pub fn at(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into(), catalogue: Catalogue::default() }
    }

    /// The store of this user: in `KORA_BACKEND_HOME`, or where the system keeps data of programs.
    ///
    /// # Errors
    ///
    /// [`NoHome`] if neither says where.
    pub fn of_user() -> Result<Self, NoHome> {
        place::of_user().map(Self::at)
    }

    /// The same folder with other models to fetch.
    #[must_use]
    pub fn with_catalogue(self, catalogue: Catalogue) -> Self {
        Self { catalogue, ..self }
    }

    /// Where it is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What can be fetched by name.
    pub fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// The command that fetches a model, for messages.
    pub fn pull_command(&self, name: &ModelName) -> String {
        let from = if self.catalogue.entry(name).is_some() { "" } else { " --from FILE.gguf" };
        format!("kora-backend models pull {name}{from}")
    }

    /// The weights of a model. Looks at names and sizes, and reads no weights: [`Store::verify`] does.
    ///
    /// # Errors
    ///
    /// [`FindError`] says why they cannot be used, and which command mends that.
    pub fn find(&self, name: &ModelName) -> Result<StoredModel, FindError> {
        let folder = self.folder_of(name);
        let damaged = |fault| FindError::Damaged {
            name: name.clone(),
            folder: folder.clone(),
            fault,
            command: self.pull_command(name),
        };
        let model = match Record::read(&folder, name)? {
            Found::Record(record) => record.into_model(&folder),
            Found::Damaged(fault) => return Err(damaged(fault)),
            Found::Nothing => {
                return Err(FindError::Absent { name: name.clone(), command: self.pull_command(name) });
            }
        };
        record::is_whole(&model)
            .map_err(|fault| damaged(format!("`{}`: {fault}", record::plain_name(&model.path))))?;
        match self.catalogue.entry(name) {
            Some(entry) if entry.sha256 != model.sha256 => {
                Err(damaged(String::from("they are other weights than those that go by this name")))
            }
            Some(_) | None => Ok(model),
        }
    }

    /// Every model of the catalogue in its order, then the others that are here, by name.
    ///
    /// # Errors
    ///
    /// [`FileError`] if the folder cannot be read; that there is none is no error.
    pub fn list(&self) -> Result<Vec<Listed<'_>>, FileError> {
        let models = self.models();
        let mut others = Vec::new();
        match fs::read_dir(&models) {
            Ok(entries) => {
                for entry in entries {
                    let name = entry.during("list", &models)?.file_name();
                    // What has no model's name was put there by somebody else.
                    others.extend(name.to_str().and_then(|name| ModelName::new(name).ok()));
                }
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error).during("list", &models),
        }
        others.retain(|name| self.catalogue.entry(name).is_none());
        others.sort();
        let known = self.catalogue.entries.iter().map(|entry| (entry.name.clone(), Some(entry)));
        let listed = known.chain(others.into_iter().map(|name| (name, None)));
        Ok(listed.map(|(name, entry)| Listed { weights: self.find(&name), name, entry }).collect())
    }

    /// Reads all weights of a model, and compares them with what they should be.
    ///
    /// # Errors
    ///
    /// [`VerifyError`] says what is wrong, and which command mends it.
    pub fn verify(&self, name: &ModelName, observe: &mut Observe<'_>) -> Result<StoredModel, VerifyError> {
        let model = self.find(name)?;
        let read = files::digest_of(&model.path, observe).map_err(|ended| match ended {
            Ended::Failed(error) => VerifyError::Find(error.into()),
            Ended::Stopped => VerifyError::Stopped,
        })?;
        if read.sha256 == model.sha256 {
            return Ok(model);
        }
        let command = self.pull_command(name);
        Err(VerifyError::Differs { path: model.path, expected: model.sha256, found: read.sha256, command })
    }

    /// Removes the weights of a model and what pulls left, and tells how many bytes that were.
    ///
    /// # Errors
    ///
    /// [`RemoveError`] if there is nothing, another process works on it, or the system refuses.
    pub fn remove(&self, name: &ModelName) -> Result<u64, RemoveError> {
        let folder = self.folder_of(name);
        if fs::symlink_metadata(&folder).is_err() {
            return Err(RemoveError::Absent(name.clone()));
        }
        let _lock = match lock::try_for(&self.lock_of(name)?)? {
            Attempt::Held(lock) => lock,
            Attempt::Busy(process) => return Err(RemoveError::Busy { name: name.clone(), process }),
        };
        let bytes = files::size_of(&folder);
        // First what makes it a model that is here: what is found is whole, whenever this ends.
        files::remove(&folder.join(RECORD))?;
        files::remove(&folder)?;
        Ok(bytes)
    }

    fn models(&self) -> PathBuf {
        self.folder.join("models")
    }

    pub(crate) fn folder_of(&self, name: &ModelName) -> PathBuf {
        self.models().join(name.as_str())
    }

    /// The file to lock, in a folder that is there.
    pub(crate) fn lock_of(&self, name: &ModelName) -> Result<PathBuf, FileError> {
        let locks = self.folder.join("locks");
        files::make_folder(&locks)?;
        Ok(locks.join(name.as_str()))
    }
}
