//! Server-sent events, read incrementally within bounds.
//!
//! Own code because the bounds are the point: no crate at hand limits the length of a line and of an event.

use thiserror::Error;

/// Splits a byte stream into the data of its events, however the bytes are cut.
#[derive(Debug)]
pub(super) struct SseParser {
    max_bytes: usize,
    // Invariant: no line break inside, at most `max_bytes`.
    line: Vec<u8>,
    // Invariant: at most `max_bytes`. `None` if the event has no data line yet.
    data: Option<String>,
    after_cr: bool,
    first_line: bool,
}

/// What is wrong with a stream of events.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub(super) enum SseError {
    #[error("a line or event of the stream is longer than {max_bytes} bytes")]
    TooLong { max_bytes: usize },
    #[error("the stream is not UTF-8")]
    NotUtf8,
}

impl SseParser {
    pub(super) fn new(max_bytes: usize) -> Self {
        Self { max_bytes, line: Vec::new(), data: None, after_cr: false, first_line: true }
    }

    /// Reads `bytes`, and hands the data of each event that they complete to `event`, until that fails.
    pub(super) fn push<E: From<SseError>>(
        &mut self,
        mut bytes: &[u8],
        mut event: impl FnMut(&str) -> Result<(), E>,
    ) -> Result<(), E> {
        while !bytes.is_empty() {
            if std::mem::take(&mut self.after_cr) && bytes[0] == b'\n' {
                bytes = &bytes[1..];
                continue;
            }
            let end = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
            let part = &bytes[..end.unwrap_or(bytes.len())];
            if self.line.len() + part.len() > self.max_bytes {
                return Err(SseError::TooLong { max_bytes: self.max_bytes }.into());
            }
            self.line.extend_from_slice(part);
            let Some(end) = end else { return Ok(()) };
            self.after_cr = bytes[end] == b'\r';
            bytes = &bytes[end + 1..];
            if let Some(data) = self.end_line()? {
                event(&data)?;
            }
        }
        Ok(())
    }

    /// Ends a line; gives the data of the event that it ends.
    fn end_line(&mut self) -> Result<Option<String>, SseError> {
        let line = std::str::from_utf8(&self.line).map_err(|_| SseError::NotUtf8)?;
        let first = std::mem::take(&mut self.first_line);
        let line = if first { line.strip_prefix('\u{feff}').unwrap_or(line) } else { line };
        if line.is_empty() {
            self.line.clear();
            return Ok(self.data.take());
        }
        // Only data matters here; comments, names, ids and reconnection times do not.
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        if field == "data" {
            let value = value.strip_prefix(' ').unwrap_or(value);
            let so_far = self.data.as_ref().map_or(0, |data| data.len() + 1);
            if so_far + value.len() > self.max_bytes {
                return Err(SseError::TooLong { max_bytes: self.max_bytes });
            }
            match &mut self.data {
                Some(data) => {
                    data.push('\n');
                    data.push_str(value);
                }
                None => self.data = Some(value.to_owned()),
            }
        }
        self.line.clear();
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read<'a>(
        chunks: impl IntoIterator<Item = &'a [u8]>,
        max_bytes: usize,
    ) -> Result<Vec<String>, SseError> {
        let mut parser = SseParser::new(max_bytes);
        let mut events = Vec::new();
        for chunk in chunks {
            parser.push(chunk, |data| {
                events.push(data.to_owned());
                Ok::<_, SseError>(())
            })?;
        }
        Ok(events)
    }

    #[test]
    fn events_are_read_with_every_line_end_and_field() {
        let text = "\u{feff}data: a\n\n: comment\r\ndata:b\r\ndata: c\rid: 7\r\revent: x\n\nretry: 5\ndata\n\ndata:  d\n\n";
        assert_eq!(read([text.as_bytes()], 100).unwrap(), ["a", "b\nc", "", " d"]);
    }

    #[test]
    fn an_event_that_is_not_ended_is_not_one() {
        assert_eq!(read([&b"data: a\n\ndata: b\n"[..]], 100).unwrap(), ["a"]);
    }

    #[test]
    fn lines_and_events_are_bounded() {
        assert_eq!(read([&[b'x'; 11][..]], 10), Err(SseError::TooLong { max_bytes: 10 }));
        assert_eq!(read([&b"data:12345\ndata:67890\n\n"[..]], 10), Err(SseError::TooLong { max_bytes: 10 }));
        assert_eq!(read([&b"data:\xff\n\n"[..]], 10), Err(SseError::NotUtf8));
    }

    proptest! {
        #[test]
        fn how_the_bytes_are_cut_makes_no_difference(
            text in "(data: ?[aé\u{1F600}:]{0,4}|:x|id: 1|\u{feff}|)(\r|\n|\r\n|\n\n){1,2}(data:z(\n|\r\n|\r)){0,2}.{0,8}",
            repeat in 1_usize..4,
            size in 1_usize..9,
        ) {
            let bytes = text.repeat(repeat).into_bytes();
            let whole = read([&bytes[..]], 1000);
            prop_assert_eq!(&read(bytes.chunks(size), 1000), &whole);
            prop_assert_eq!(&read(bytes.chunks(1), 1000), &whole);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), max in 0_usize..50) {
            drop(read(bytes.chunks(7), max));
        }
    }
}
