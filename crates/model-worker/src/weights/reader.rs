//! Little-endian values out of a header that may lie about its own size.

use std::io::{self, Read};

use super::WeightsError;

/// Bytes of a header, vocabulary included (I8).
const MAX_HEADER_BYTES: u64 = 256 << 20;
/// Bytes of one text (I8). Chat templates are the longest.
const MAX_TEXT_BYTES: u64 = 1 << 20;

/// Reads a header and counts what it read.
pub(super) struct HeaderReader<R> {
    inner: R,
    position: u64,
    // Invariant: at most the file's size, so nothing is allocated for bytes that are not there.
    end: u64,
}

impl<R: Read> HeaderReader<R> {
    pub(super) fn new(inner: R, file_bytes: u64) -> Self {
        Self { inner, position: 0, end: file_bytes.min(MAX_HEADER_BYTES) }
    }

    /// Bytes read so far.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// Refuses `count` things of at least `each` bytes if the header cannot hold as many.
    pub(super) fn expect_room(&self, what: &str, count: u64, each: u64) -> Result<(), WeightsError> {
        let needed = count.checked_mul(each).and_then(|bytes| bytes.checked_add(self.position));
        if needed.is_none_or(|needed| needed > self.end) {
            return Err(WeightsError::invalid(format!(
                "{what} at byte {} would reach beyond the header's end",
                self.position
            )));
        }
        Ok(())
    }

    pub(super) fn bytes<const N: usize>(&mut self) -> Result<[u8; N], WeightsError> {
        self.expect_room("a value", 1, N as u64)?;
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, WeightsError> {
        Ok(u32::from_le_bytes(self.bytes()?))
    }

    pub(super) fn u64(&mut self) -> Result<u64, WeightsError> {
        Ok(u64::from_le_bytes(self.bytes()?))
    }

    pub(super) fn text(&mut self) -> Result<String, WeightsError> {
        let length = self.u64()?;
        if length > MAX_TEXT_BYTES {
            return Err(WeightsError::invalid(format!(
                "a text of {length} bytes at byte {} is longer than {MAX_TEXT_BYTES}",
                self.position
            )));
        }
        self.expect_room("a text", length, 1)?;
        let start = self.position;
        // Cannot truncate: bounded above.
        let mut bytes = vec![0; length as usize];
        self.fill(&mut bytes)?;
        String::from_utf8(bytes)
            .map_err(|_| WeightsError::invalid(format!("the text at byte {start} is not UTF-8")))
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), WeightsError> {
        self.inner.read_exact(bytes).map_err(|error| {
            if error.kind() == io::ErrorKind::UnexpectedEof {
                let position = self.position;
                WeightsError::invalid(format!("the file ends within its header, after byte {position}"))
            } else {
                WeightsError::Read(error)
            }
        })?;
        self.position += bytes.len() as u64;
        Ok(())
    }
}
