//! Certificates for development: an authority of this machine's own, and a leaf that it vouches for.
//!
//! The authority stands in two files of a data directory: `ca.pem`, which clients are given, and `ca.key.pem`, which
//! only its owner may read. The leaf is made anew at every start and its key is in no file. In production, serve
//! certificates of your own ([`TlsIdentity::from_files`](crate::TlsIdentity::from_files)).
mod authority;

pub use self::authority::{DevelopmentAuthority, DevelopmentError};
