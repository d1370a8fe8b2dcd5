//! Lines of bounded length, written and read.

use std::io::{self, BufRead, Read as _};

use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

/// A line that cannot be used. Holds nothing of it (I9).
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum WireError {
    /// It is longer than agreed on.
    #[error("a line of more than {max_bytes} bytes")]
    TooLong {
        /// The most that is allowed, the line's end included.
        max_bytes: usize,
    },
    /// It is not one of the agreed messages.
    #[error("a line that is no message of this protocol: {fault} at byte {byte} of {length}")]
    Malformed {
        /// What is wrong, in words that are not the line's.
        fault: &'static str,
        /// Bytes before the place.
        byte: usize,
        /// Bytes of the line.
        length: usize,
    },
    /// It ends without a line's end.
    #[error("a line that breaks off after {length} bytes")]
    BrokenOff {
        /// Bytes of it that came.
        length: usize,
    },
    /// The other end cannot be reached.
    #[error("the pipe failed")]
    Io(#[from] io::Error),
}

pub(super) fn encode<T: Serialize>(message: &T, max_bytes: usize) -> Result<Vec<u8>, WireError> {
    let mut line = serde_json::to_vec(message).map_err(io::Error::from)?;
    line.push(b'\n');
    if line.len() > max_bytes {
        return Err(WireError::TooLong { max_bytes });
    }
    Ok(line)
}

pub(super) fn decode<T: DeserializeOwned>(line: &[u8]) -> Result<T, WireError> {
    serde_json::from_slice(line).map_err(|error| {
        // The error's own words may quote the line.
        let fault = match error.classify() {
            serde_json::error::Category::Eof => "it breaks off",
            serde_json::error::Category::Syntax => "it is not JSON",
            serde_json::error::Category::Data | serde_json::error::Category::Io => {
                "a type or field that is not agreed on"
            }
        };
        WireError::Malformed { fault, byte: error.column().saturating_sub(1), length: line.len() }
    })
}

pub(super) fn read<T: DeserializeOwned>(
    reader: &mut impl BufRead,
    max_bytes: usize,
) -> Result<Option<T>, WireError> {
    let mut line = Vec::new();
    reader.take(max_bytes as u64).read_until(b'\n', &mut line)?;
    match line.split_last() {
        None => Ok(None),
        Some((b'\n', line)) => decode(line).map(Some),
        Some(_) if line.len() >= max_bytes => Err(WireError::TooLong { max_bytes }),
        Some(_) => Err(WireError::BrokenOff { length: line.len() }),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::FromWorker;
    use super::*;

    #[test]
    fn a_line_of_the_limit_passes_and_one_more_byte_does_not() {
        let line = b"12345\n";
        assert_eq!(read::<u32>(&mut &line[..], 6).unwrap(), Some(12345));
        assert!(matches!(read::<u32>(&mut &line[..], 5), Err(WireError::TooLong { max_bytes: 5 })));
        assert!(read::<u32>(&mut &line[..5], 5).is_err(), "already before its end came");
        assert_eq!(encode(&12345, 6).unwrap(), line);
        assert!(encode(&12345, 5).is_err());
    }

    #[test]
    fn a_line_that_breaks_off_is_no_message() {
        assert!(matches!(
            FromWorker::read(&mut &b"{\"type\":\"alive\"}"[..]),
            Err(WireError::BrokenOff { length: 16 })
        ));
    }

    #[test]
    fn a_fault_is_told_without_a_word_of_the_line() {
        let told = |line: &[u8]| FromWorker::from_line(line).unwrap_err().to_string();
        assert_eq!(
            told(b"secret"),
            "a line that is no message of this protocol: it is not JSON at byte 0 of 6"
        );
        for line in [
            &b"{\"type\":\"secret\"}"[..],
            b"{\"type\":\"piece\",\"id\":\"secret\",\"text\":\"\",\"tokens\":1}",
            b"{\"type\":\"failed\",\"id\":1,\"kind\":\"secret\",\"transient\":true,\"message\":\"\"}",
            b"{\"type\":\"fatal\",\"message\":\"secret",
            b"\xff\xfe",
            b"",
        ] {
            assert!(!told(line).contains("secret"), "{}", told(line));
        }
    }

    proptest! {
        #[test]
        fn no_line_makes_it_panic(line in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = FromWorker::from_line(&line);
            let _ = super::super::ToWorker::read(&mut &line[..]);
        }
    }
}
