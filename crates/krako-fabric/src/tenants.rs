//! Who may ask: bearer tokens, known by their digests only.
mod file;
mod token;
mod tokens;

pub use self::file::{TokenFile, TokenFileError, TokenLine};
pub use self::token::{InvalidToken, Token, TokenDigest};
pub use self::tokens::{Holder, Tokens};

pub(crate) use self::tokens::bearer;
