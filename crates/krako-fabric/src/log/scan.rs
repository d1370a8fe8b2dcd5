//! Reads a log from its first byte to its last, and tells a crash from damage.

use super::frame::{BadHeader, HEAD, HEADER, Head, Header, VERSION};
use super::index::{Index, Place};
use super::record::Record;
use super::storage::{failed, read_all};
use super::{Cut, LogError, ReadSegments, Segment, SegmentNumber};

/// Bytes that are read at once.
const WINDOW: usize = 1 << 20;

/// What came of reading a log.
#[derive(Debug)]
pub(super) struct Scanned {
    pub(super) index: Index,
    /// Where the next record goes. `None` before the first segment.
    pub(super) end: Option<Segment>,
    /// Whether the last segment's header is there; a crash may have left less.
    pub(super) headed: bool,
    pub(super) cut: Option<Cut>,
}

/// Reads every record in order, and gives each to `see` once the index has taken it.
pub(super) async fn scan(
    storage: &dyn ReadSegments,
    mut see: impl FnMut(Record) + Send,
) -> Result<Scanned, LogError> {
    let segments = storage.list().await;
    let segments =
        segments.map_err(|source| failed(storage, SegmentNumber::FIRST, "listing the segments", source))?;
    let mut scanned = Scanned { index: Index::default(), end: None, headed: true, cut: None };
    for (nth, segment) in segments.iter().enumerate() {
        let is_last = nth + 1 == segments.len();
        let expected = u32::try_from(nth + 1).ok().and_then(SegmentNumber::new);
        if expected != Some(segment.number) {
            let missing = expected.unwrap_or(SegmentNumber::FIRST);
            let what = format!("this segment is missing, and {} is there", segment.number);
            return Err(LogError::Damaged { file: storage.path(missing), offset: 0, what });
        }
        one(storage, *segment, is_last, &mut scanned, &mut see).await?;
    }
    Ok(scanned)
}

async fn one(
    storage: &dyn ReadSegments,
    segment: Segment,
    is_last: bool,
    scanned: &mut Scanned,
    see: &mut (impl FnMut(Record) + Send),
) -> Result<(), LogError> {
    let number = segment.number;
    let damaged =
        |offset, what: &str| LogError::Damaged { file: storage.path(number), offset, what: what.to_owned() };
    let header = read_all(storage, number, 0, HEADER).await?;
    match Header::read(&header) {
        Ok(header) if header.segment != number => {
            return Err(damaged(12, &format!("its header says that it is {}", header.segment)));
        }
        Ok(header) if header.records_before != scanned.index.records => {
            let (said, found) = (header.records_before, scanned.index.records);
            let what =
                format!("{said} records come before it, and there are {found}: a segment lost its end");
            return Err(damaged(16, &what));
        }
        Ok(_) => {}
        Err(BadHeader::Version(found)) if segment.bytes > HEADER as u64 || !is_last => {
            return Err(LogError::Version { file: storage.path(number), found, known: VERSION });
        }
        // A header is durable before anything is written behind it: this one never was, so nothing is lost.
        Err(bad) if is_last && segment.bytes <= HEADER as u64 => {
            let what = match bad {
                BadHeader::Damaged(what) => what,
                BadHeader::Version(_) => "the header is not whole",
            };
            let (file, bytes) = (storage.path(number), segment.bytes);
            scanned.cut = Some(Cut { file, offset: 0, bytes, what: what.to_owned() });
            scanned.end = Some(Segment { number, bytes: 0 });
            scanned.headed = false;
            return Ok(());
        }
        Err(BadHeader::Damaged(what)) => return Err(damaged(0, what)),
        Err(BadHeader::Version(found)) => {
            return Err(LogError::Version { file: storage.path(number), found, known: VERSION });
        }
    }
    let mut window = Window { storage, segment, from: 0, bytes: Vec::new() };
    let mut offset = HEADER as u64;
    while offset < segment.bytes {
        let body = match window.record(offset).await? {
            Ok((_, body)) => body,
            Err(what) => {
                if !is_last {
                    return Err(damaged(offset, what));
                }
                if let Some(later) = window.later(offset).await? {
                    let what = format!("{what}, and a record that was written later stands at byte {later}");
                    return Err(damaged(offset, &what));
                }
                let (file, bytes) = (storage.path(number), segment.bytes - offset);
                scanned.cut = Some(Cut { file, offset, bytes, what: what.to_owned() });
                break;
            }
        };
        // A head says it in 32 bits.
        let bytes = u32::try_from(body.len()).unwrap_or(u32::MAX);
        let record = Record::read(body).map_err(|what| damaged(offset, &what))?;
        let place = Place { segment: number, offset, bytes };
        scanned.index.take(place, &record).map_err(|what| damaged(offset, &what))?;
        see(record);
        offset += (HEAD as u64) + u64::from(bytes);
    }
    scanned.index.bytes += offset;
    scanned.end = Some(Segment { number, bytes: offset });
    Ok(())
}

/// Reads the record at a place that the index knows.
pub(super) async fn record_at(storage: &dyn ReadSegments, place: Place) -> Result<Record, LogError> {
    let bytes = read_all(storage, place.segment, place.offset, HEAD + place.bytes as usize).await?;
    let damaged =
        |what: String| LogError::Damaged { file: storage.path(place.segment), offset: place.offset, what };
    let body = bytes.get(HEAD..).unwrap_or_default();
    match Head::read(&bytes) {
        Some(head) if head.fits(place.segment, place.offset, body) => Record::read(body).map_err(damaged),
        Some(_) | None => Err(damaged("what was a record when the log was opened is none now".to_owned())),
    }
}

/// A stretch of a segment that moves forward.
struct Window<'s> {
    storage: &'s dyn ReadSegments,
    segment: Segment,
    from: u64,
    bytes: Vec<u8>,
}

impl Window<'_> {
    /// Bytes from `offset`, as many as asked for, or fewer at the segment's end.
    async fn at(&mut self, offset: u64, bytes: usize) -> Result<&[u8], LogError> {
        let there = self.segment.bytes.saturating_sub(offset);
        let bytes = usize::try_from(there).unwrap_or(usize::MAX).min(bytes);
        let end = offset + bytes as u64;
        if offset < self.from || end > self.from + self.bytes.len() as u64 {
            self.bytes = read_all(self.storage, self.segment.number, offset, bytes.max(WINDOW)).await?;
            self.from = offset;
        }
        let start = usize::try_from(offset - self.from).unwrap_or(usize::MAX);
        let end = (start + bytes).min(self.bytes.len());
        Ok(self.bytes.get(start..end).unwrap_or_default())
    }

    /// The record at `offset`, or what is wrong with it.
    async fn record(&mut self, offset: u64) -> Result<Result<(Head, &[u8]), &'static str>, LogError> {
        let (number, left) = (self.segment.number, self.segment.bytes - offset);
        let Some(head) = Head::read(self.at(offset, HEAD).await?) else {
            return Ok(Err("a record is cut short"));
        };
        if head.bytes == 0 {
            return Ok(Err("there is no record"));
        }
        if HEAD as u64 + u64::from(head.bytes) > left {
            return Ok(Err("a record is cut short"));
        }
        let bytes = self.at(offset, HEAD + head.bytes as usize).await?;
        let body = bytes.get(HEAD..).unwrap_or_default();
        Ok(if head.fits(number, offset, body) {
            Ok((head, body))
        } else {
            Err("a record's checksum does not fit")
        })
    }

    /// Looks behind a record that cannot be read for one of a later write: then it was durable, and is lost.
    async fn later(&mut self, lost: u64) -> Result<Option<u64>, LogError> {
        let mut offset = lost + 1;
        while offset + (HEAD as u64) < self.segment.bytes {
            let found = likely(self.at(offset, WINDOW).await?, offset, lost);
            // A window holds a whole head at least, as far as the segment goes.
            let Ok(at) = found.map_err(|seen| offset += seen) else { continue };
            if self.record(at).await?.is_ok() {
                return Ok(Some(at));
            }
            offset = at + 1;
        }
        Ok(None)
    }
}

/// The first place in these bytes, which begin at `offset`, where the head of a record that was written after `lost` may be;
/// or how many places there are none.
fn likely(bytes: &[u8], offset: u64, lost: u64) -> Result<u64, u64> {
    let places = bytes.len().saturating_sub(HEAD - 1);
    let found = (0..places).find(|&at| {
        let head = bytes.get(at..).and_then(Head::read);
        // True of hardly anything that is no head.
        head.is_some_and(|head| head.write > lost && head.write <= offset + at as u64 && head.bytes > 0)
    });
    found.map(|at| offset + at as u64).ok_or(places.max(1) as u64)
}
