//! Bytes of a segment: its header, and what stands around each record.

use super::SegmentNumber;

/// The version of the format that is written here.
pub(super) const VERSION: u32 = 1;
const MAGIC: &[u8; 8] = b"KRAKOLOG";
/// Bytes of a segment's header.
pub(super) const HEADER: usize = 32;
/// Bytes before each record.
pub(super) const HEAD: usize = 16;

/// What a segment says about itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Header {
    pub(super) segment: SegmentNumber,
    /// Records of all segments before this one, so that one that lost its end is found out.
    pub(super) records_before: u64,
}

/// Why bytes are no header.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum BadHeader {
    /// They are of another version.
    Version(u32),
    /// They are none.
    Damaged(&'static str),
}

impl Header {
    pub(super) fn write(self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.segment.number().to_le_bytes());
        bytes[16..24].copy_from_slice(&self.records_before.to_le_bytes());
        let sum = crc32c::crc32c(&bytes[..28]);
        bytes[28..].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    pub(super) fn read(bytes: &[u8]) -> Result<Self, BadHeader> {
        if bytes.len() < HEADER {
            return Err(BadHeader::Damaged("the header is cut short"));
        }
        if bytes[..8] != *MAGIC {
            return Err(BadHeader::Damaged("this is no segment of an event log"));
        }
        // Before the checksum: another version may have another header.
        let version = u32_at(bytes, 8);
        if version != VERSION {
            return Err(BadHeader::Version(version));
        }
        if u32_at(bytes, 28) != crc32c::crc32c(&bytes[..28]) {
            return Err(BadHeader::Damaged("the header's checksum does not fit"));
        }
        let segment = SegmentNumber::new(u32_at(bytes, 12));
        let segment = segment.ok_or(BadHeader::Damaged("the header has a number that no segment has"))?;
        Ok(Self { segment, records_before: u64_at(bytes, 16) })
    }
}

/// What stands before a record.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Head {
    pub(super) bytes: u32,
    sum: u32,
    /// Where the write began that this record was part of. Everything before it was durable by then: so a record that
    /// cannot be read was lost if a later write came after it, and was never finished if none did.
    pub(super) write: u64,
}

impl Head {
    pub(super) fn read(head: &[u8]) -> Option<Self> {
        let whole = head.len() >= HEAD;
        whole.then(|| Self { bytes: u32_at(head, 0), sum: u32_at(head, 4), write: u64_at(head, 8) })
    }

    /// Whether this is the head of this record at this place. The place is part of the sum: bytes that were written elsewhere
    /// are no record here.
    pub(super) fn fits(self, segment: SegmentNumber, offset: u64, body: &[u8]) -> bool {
        body.len() == self.bytes as usize && self.sum == sum(segment, offset, self.bytes, self.write, body)
    }
}

/// Writes a record at `offset`, as part of a write that began at `write`.
pub(super) fn put(into: &mut Vec<u8>, segment: SegmentNumber, offset: u64, write: u64, body: &[u8]) {
    // The log's limits keep records below this.
    let bytes = u32::try_from(body.len()).unwrap_or(u32::MAX);
    into.extend_from_slice(&bytes.to_le_bytes());
    into.extend_from_slice(&sum(segment, offset, bytes, write, body).to_le_bytes());
    into.extend_from_slice(&write.to_le_bytes());
    into.extend_from_slice(body);
}

fn sum(segment: SegmentNumber, offset: u64, bytes: u32, write: u64, body: &[u8]) -> u32 {
    let mut place = [0; 24];
    place[..4].copy_from_slice(&segment.number().to_le_bytes());
    place[4..12].copy_from_slice(&offset.to_le_bytes());
    place[12..16].copy_from_slice(&bytes.to_le_bytes());
    place[16..].copy_from_slice(&write.to_le_bytes());
    crc32c::crc32c_append(crc32c::crc32c(&place), body)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|four| four.try_into().ok()).map_or(0, u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..at + 8).and_then(|eight| eight.try_into().ok()).map_or(0, u64::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn segment(number: u32) -> SegmentNumber {
        SegmentNumber::new(number).unwrap()
    }

    proptest! {
        #[test]
        fn a_header_is_read_back_and_no_other(number in 1..=SegmentNumber::MAX, records_before: u64, flip in 0..HEADER * 8) {
            let header = Header { segment: segment(number), records_before };
            let mut bytes = header.write();
            prop_assert_eq!(Header::read(&bytes), Ok(header));
            bytes[flip / 8] ^= 1 << (flip % 8);
            prop_assert!(Header::read(&bytes).is_err());
            prop_assert!(Header::read(&bytes[..HEADER - 1]).is_err());
        }

        #[test]
        fn a_record_is_itself_at_its_place_only(
            body in proptest::collection::vec(any::<u8>(), 1..64), offset: u64, write: u64, flip: prop::sample::Index,
        ) {
            let mut bytes = Vec::new();
            put(&mut bytes, segment(7), offset, write, &body);
            let head = Head::read(&bytes).unwrap();
            prop_assert_eq!((head.bytes as usize, head.write), (body.len(), write));
            prop_assert!(head.fits(segment(7), offset, &bytes[HEAD..]));
            prop_assert!(!head.fits(segment(8), offset, &bytes[HEAD..]));
            prop_assert!(!head.fits(segment(7), offset ^ 1, &bytes[HEAD..]));
            let flip = flip.index(bytes.len() * 8);
            bytes[flip / 8] ^= 1 << (flip % 8);
            prop_assert!(!Head::read(&bytes).unwrap().fits(segment(7), offset, &bytes[HEAD..]));
        }
    }

    #[test]
    fn a_stretch_of_zeros_is_no_record() {
        assert!(!Head::read(&[0; HEAD]).unwrap().fits(segment(1), 32, &[]));
    }
}
