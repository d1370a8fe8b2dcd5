//! The events of a session as a stream of server-sent events, which a reader can take up again (C12.1).

use thiserror::Error;

use crate::{Event, InvalidDocument, Sequence, WireLimits};

/// A comment that keeps a quiet connection open.
pub const KEEP_ALIVE: &str = ": keep-alive\n\n";

/// An event as a frame: its place as `id`, its name as `event`, the document on one line as `data`.
pub fn frame(event: &Event) -> String {
    // JSON on one line holds no line break, so the document is one `data` line.
    format!("id: {}\nevent: {}\ndata: {}\n\n", event.sequence, event.name(), event.write())
}

/// Reads frames however the bytes are cut. Holds one line and one event at most, within bounds.
#[derive(Debug)]
pub struct SseReader {
    limits: WireLimits,
    line: Vec<u8>,
    data: Option<Vec<u8>>,
    id: Option<String>,
    after_cr: bool,
    first_line: bool,
}

/// A stream that cannot be read on.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a frame is too long, holds no event, or another than it says")]
pub enum SseError {
    /// A line or a frame is longer than an event may be.
    #[error("a line or event of the stream has more than {max} bytes")]
    TooLong {
        /// Bytes allowed.
        max: usize,
    },
    /// The data of a frame is no event.
    #[error(transparent)]
    Event(#[from] InvalidDocument),
    /// The id of a frame is not its event's.
    #[error("the stream gives event {sequence} another id: a reader could not take it up again")]
    OtherId {
        /// The event's place.
        sequence: Sequence,
    },
}

impl SseReader {
    /// A reader of a stream that has just begun.
    pub fn new(limits: WireLimits) -> Self {
        Self { limits, line: Vec::new(), data: None, id: None, after_cr: false, first_line: true }
    }

    /// Reads `bytes`, and adds the events that they complete to `events`: as many as stand in them.
    ///
    /// # Errors
    ///
    /// [`SseError`] if the stream is not one of events; those before the fault have been added.
    pub fn push(&mut self, mut bytes: &[u8], events: &mut Vec<Event>) -> Result<(), SseError> {
        while let Some(&first) = bytes.first() {
            if std::mem::take(&mut self.after_cr) && first == b'\n' {
                bytes = &bytes[1..];
                continue;
            }
            let end = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
            let part = &bytes[..end.unwrap_or(bytes.len())];
            self.fits(self.line.len() + part.len())?;
            self.line.extend_from_slice(part);
            let Some(end) = end else { return Ok(()) };
            self.after_cr = bytes[end] == b'\r';
            bytes = &bytes[end + 1..];
            if let Some(event) = self.end_line()? {
                events.push(event);
            }
        }
        Ok(())
    }

    fn fits(&self, bytes: usize) -> Result<(), SseError> {
        // The name of the field and the space before it.
        let max = self.limits.max_event_bytes + 8;
        if bytes <= max { Ok(()) } else { Err(SseError::TooLong { max }) }
    }

    /// Ends a line; gives the event that it ends.
    fn end_line(&mut self) -> Result<Option<Event>, SseError> {
        let line = std::mem::take(&mut self.line);
        let first = std::mem::take(&mut self.first_line);
        let line = if first { line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&line) } else { &line[..] };
        if line.is_empty() {
            return self.end_frame();
        }
        let colon = line.iter().position(|&byte| byte == b':').unwrap_or(line.len());
        let (field, value) = (&line[..colon], line.get(colon + 1..).unwrap_or_default());
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match field {
            b"data" => {
                let so_far = self.data.as_ref().map_or(0, |data| data.len() + 1);
                self.fits(so_far + value.len())?;
                match &mut self.data {
                    Some(data) => {
                        data.push(b'\n');
                        data.extend_from_slice(value);
                    }
                    None => self.data = Some(value.to_owned()),
                }
            }
            // One that is no number is another than the event's, which the frame's end tells.
            b"id" => self.id = Some(String::from_utf8_lossy(&value[..value.len().min(32)]).into_owned()),
            // The name stands in the document as well; comments and waits say nothing of the session.
            _ => {}
        }
        Ok(None)
    }

    fn end_frame(&mut self) -> Result<Option<Event>, SseError> {
        let id = self.id.take();
        let Some(data) = self.data.take() else { return Ok(None) };
        let event = Event::read(&data, &self.limits)?;
        match id {
            Some(id) if id != event.sequence.to_string() => {
                Err(SseError::OtherId { sequence: event.sequence })
            }
            Some(_) | None => Ok(Some(event)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stream() -> (Vec<Event>, String) {
        let lines = include_str!("../examples/events.jsonl").lines();
        let events: Vec<Event> =
            lines.map(|line| Event::read(line.as_bytes(), &WireLimits::default()).unwrap()).collect();
        let text = events.iter().map(|event| frame(event) + KEEP_ALIVE).collect();
        (events, text)
    }

    fn read<'b>(chunks: impl IntoIterator<Item = &'b [u8]>) -> Result<Vec<Event>, SseError> {
        let mut reader = SseReader::new(WireLimits::default());
        let mut events = Vec::new();
        chunks.into_iter().try_for_each(|chunk| reader.push(chunk, &mut events)).map(|()| events)
    }

    proptest! {
        // shows C12.1
        #[test]
        fn what_was_framed_is_read_however_it_is_cut(size in 1_usize..400, ends in "(\n|\r|\r\n)") {
            let (events, text) = stream();
            let text = text.replace('\n', &ends);
            prop_assert_eq!(read(text.as_bytes().chunks(size)), Ok(events));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), size in 1_usize..50) {
            drop(read(bytes.chunks(size)));
        }

        #[test]
        fn no_frame_makes_it_panic(lines in prop::collection::vec("(data|id|event|:)?:? ?(\\{\"type\": \"[a-z.]{0,9}\"\\}|[0-9]{0,20}|.{0,9})", 0..12)) {
            drop(read([lines.join("\n").as_bytes(), b"\n\n"]));
        }
    }

    #[test]
    fn a_frame_is_no_longer_than_an_event_may_be() {
        let limits = WireLimits { max_event_bytes: 20, ..WireLimits::default() };
        let mut reader = SseReader::new(limits);
        assert_eq!(reader.push(&[b'x'; 29], &mut Vec::new()), Err(SseError::TooLong { max: 28 }));
    }

    #[test]
    fn an_id_that_is_not_the_events_would_lose_some() {
        let (_, text) = stream();
        let moved = text.replacen("id: 1\n", "id: 2\n", 1);
        assert_eq!(read([moved.as_bytes()]), Err(SseError::OtherId { sequence: Sequence::FIRST }));
    }
}
