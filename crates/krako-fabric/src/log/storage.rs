//! The seam to whatever keeps the bytes: files, or a memory that can fail in every way that a disk can.

use std::fmt::{self, Debug};
use std::io;

use async_trait::async_trait;

use super::LogError;

/// Names a segment. The first is 1, and the next is always one more.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct SegmentNumber(u32);

impl SegmentNumber {
    /// The first.
    pub const FIRST: Self = Self(1);
    /// The highest that has a name of its own.
    pub const MAX: u32 = 99_999_999;

    /// A segment's number. `None` of 0, and of what is beyond [`Self::MAX`].
    pub fn new(number: u32) -> Option<Self> {
        (1..=Self::MAX).contains(&number).then_some(Self(number))
    }

    /// The number.
    pub fn number(self) -> u32 {
        self.0
    }

    /// The one after this. `None` after the last.
    pub fn next(self) -> Option<Self> {
        Self::new(self.0 + 1)
    }

    /// The number of the segment that has this name.
    pub fn from_file_name(name: &str) -> Option<Self> {
        let digits = name.strip_suffix(".kfl").filter(|digits| digits.len() == 8)?;
        if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        Self::new(digits.parse().ok()?)
    }
}

/// The name of its file.
impl fmt::Display for SegmentNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08}.kfl", self.0)
    }
}

/// A segment that is there.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "which, and how long")]
pub struct Segment {
    /// Which.
    pub number: SegmentNumber,
    /// How long.
    pub bytes: u64,
}

/// Reads the segments of one log. Who only reads needs no lock.
#[async_trait]
pub trait ReadSegments: Debug + Send + Sync + 'static {
    /// Every segment that is there, in order.
    ///
    /// # Errors
    ///
    /// The storage's.
    async fn list(&self) -> io::Result<Vec<Segment>>;

    /// Bytes of a segment from `offset`, at most `max`. May be fewer; none only at its end.
    ///
    /// # Errors
    ///
    /// The storage's.
    async fn read(&self, segment: SegmentNumber, offset: u64, max: usize) -> io::Result<Vec<u8>>;

    /// A segment as people find it.
    fn path(&self, segment: SegmentNumber) -> String;
}

/// Writes the segments of one log. Holds it exclusively until it is dropped.
///
/// A log calls one of these at a time. What an error leaves behind the last durable byte is unknown until a
/// [`cut`](Self::cut) succeeds. An error of the kinds `StorageFull`, `QuotaExceeded` and `FileTooLarge` says that there is no
/// room, and that what was durable before still is; any other stops the log.
#[async_trait]
pub trait WriteSegments: ReadSegments {
    /// Makes a segment with these bytes, in the place of one of the same number if there is one. Durable, with its name,
    /// when this returns.
    ///
    /// # Errors
    ///
    /// The storage's. If there was no room, there is no such segment.
    async fn create(&self, segment: SegmentNumber, bytes: Vec<u8>) -> io::Result<()>;

    /// Writes at the end of a segment, which is at `offset`. Durable when this returns, together with everything before it,
    /// whoever wrote that.
    ///
    /// # Errors
    ///
    /// The storage's.
    ///
    /// # Cancel safety
    ///
    /// None: what was begun goes on. A log never drops it halfway, unless its whole process ends.
    async fn append(&self, segment: SegmentNumber, offset: u64, bytes: Vec<u8>) -> io::Result<()>;

    /// Cuts a segment to a length. Durable when this returns, together with everything before it.
    ///
    /// # Errors
    ///
    /// The storage's.
    async fn cut(&self, segment: SegmentNumber, bytes: u64) -> io::Result<()>;
}

/// Whether an error says that there is no room.
pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    )
}

/// Everything from `offset` up to `bytes` more of it, or to the segment's end.
pub(super) async fn read_all(
    storage: &dyn ReadSegments,
    segment: SegmentNumber,
    offset: u64,
    bytes: usize,
) -> Result<Vec<u8>, LogError> {
    let mut read = Vec::new();
    while read.len() < bytes {
        let more = storage.read(segment, offset + read.len() as u64, bytes - read.len()).await;
        let more = more.map_err(|source| failed(storage, segment, "reading", source))?;
        if more.is_empty() {
            break;
        }
        if read.is_empty() {
            read = more;
        } else {
            read.extend_from_slice(&more);
        }
    }
    read.truncate(bytes);
    Ok(read)
}

/// An error with the file that it is about.
pub(super) fn failed(
    storage: &dyn ReadSegments,
    segment: SegmentNumber,
    doing: &'static str,
    source: io::Error,
) -> LogError {
    LogError::Storage { doing, file: storage.path(segment), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_is_told_by_its_name_and_nothing_else_is_one() {
        let second = SegmentNumber::new(2).unwrap();
        assert_eq!(second.to_string(), "00000002.kfl");
        assert_eq!(SegmentNumber::from_file_name("00000002.kfl"), Some(second));
        for other in
            ["00000000.kfl", "2.kfl", "000000002.kfl", "0000002a.kfl", "+0000002.kfl", "LOCK", ".kfl"]
        {
            assert_eq!(SegmentNumber::from_file_name(other), None, "{other}");
        }
        assert_eq!(SegmentNumber::new(SegmentNumber::MAX).unwrap().next(), None);
    }
}
