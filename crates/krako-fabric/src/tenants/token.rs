//! A token, and what is kept of it.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use thiserror::Error;
use tokio_rustls::rustls::crypto::ring;

/// Bytes of a token: fewer could be guessed, more are no token.
const BYTES: std::ops::RangeInclusive<usize> = 32..=512;
/// What a made token begins with, so that whoever finds one knows what it is.
const MARK: &str = "krako_";

/// A bearer token. Shown as `(secret)` wherever it would be printed by mistake.
#[derive(Clone)]
pub struct Token(String);

/// A text that is no token. It is not repeated.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("a token is 32 to 512 letters, digits or any of `-._~+/=`")]
#[non_exhaustive]
pub struct InvalidToken;

impl Token {
    /// Takes a token.
    ///
    /// # Errors
    ///
    /// [`InvalidToken`] if it could be guessed, or could not stand in a header.
    pub fn new(text: &str) -> Result<Self, InvalidToken> {
        let allowed = |byte: u8| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'+' | b'/' | b'=')
        };
        if BYTES.contains(&text.len()) && text.bytes().all(allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidToken)
        }
    }

    /// Makes a token of 256 random bits. `None` if the system has none to give.
    pub fn make() -> Option<Self> {
        let mut random = [0; 32];
        ring::default_provider().secure_random.fill(&mut random).ok()?;
        let mut text = String::from(MARK);
        text.extend(random.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(hex_digit));
        Some(Self(text))
    }

    /// The token itself, for whoever is given it. It is told once.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What is kept of it.
    pub fn digest(&self) -> TokenDigest {
        TokenDigest(Sha256::digest(&self.0).into())
    }
}

fn hex_digit(nibble: u8) -> char {
    char::from(b"0123456789abcdef"[usize::from(nibble & 15)])
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(secret)")
    }
}

/// The SHA-256 of a token: enough to know it again, useless to whoever finds it. Written as `sha256:` and 64 digits.
#[derive(Clone, Copy)]
pub struct TokenDigest([u8; 32]);

impl TokenDigest {
    /// Whether both are of one token, in a time that does not tell how much of them is alike.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }

    /// The first 8 digits: what people call it by.
    pub fn short(&self) -> String {
        self.0[..4].iter().flat_map(|byte| [byte >> 4, byte & 15]).map(hex_digit).collect()
    }
}

impl fmt::Debug for TokenDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenDigest({}…)", self.short())
    }
}

impl Serialize for TokenDigest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let digits: String = self.0.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(hex_digit).collect();
        serializer.serialize_str(&format!("sha256:{digits}"))
    }
}

impl<'de> Deserialize<'de> for TokenDigest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Whoever put the token itself here is not quoted.
        let wrong = || {
            serde::de::Error::custom(
                "a digest is `sha256:` and 64 hexadecimal digits, never the token itself",
            )
        };
        let text = String::deserialize(deserializer)?;
        let text = text.strip_prefix("sha256:").filter(|digits| digits.len() == 64).ok_or_else(wrong)?;
        let mut digest = [0; 32];
        for (byte, pair) in digest.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
            let (Some(high), Some(low)) = (digit(pair[0]), digit(pair[1])) else { return Err(wrong()) };
            *byte = high << 4 | low;
        }
        Ok(Self(digest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_never_shown() {
        let token = Token::make().unwrap();
        assert_eq!(token.reveal().len(), MARK.len() + 64);
        let shown = format!("{token:?} {:?}", token.digest());
        assert!(!shown.contains(&token.reveal()[MARK.len()..MARK.len() + 8]), "{shown}");
        assert_ne!(token.reveal(), Token::make().unwrap().reveal());
    }

    #[test]
    fn what_could_be_guessed_or_not_be_sent_is_no_token() {
        for bad in [
            "",
            "short",
            &"x".repeat(31),
            &"x".repeat(513),
            &"x y".repeat(12),
            &"ä".repeat(32),
            &"x\n".repeat(32),
        ] {
            assert_eq!(Token::new(bad).unwrap_err(), InvalidToken, "{bad:?}");
        }
        assert!(Token::new(&"x".repeat(32)).is_ok());
    }

    #[test]
    fn a_digest_is_read_as_it_was_written() {
        let digest = Token::new(&"x".repeat(32)).unwrap().digest();
        let written = serde_json::to_string(&digest).unwrap();
        assert!(serde_json::from_str::<TokenDigest>(&written).unwrap().is(&digest));
        for bad in ["\"\"", "\"sha256:00\"", "7", &written.replace("sha256:", ""), &written.to_uppercase()] {
            assert!(serde_json::from_str::<TokenDigest>(bad).is_err(), "{bad}");
        }
        let token = "\"krako_0123456789012345678901234567890123456789012345678901234567890123\"";
        let said = serde_json::from_str::<TokenDigest>(token).unwrap_err().to_string();
        assert!(!said.contains("0123"), "{said}");
    }
}
