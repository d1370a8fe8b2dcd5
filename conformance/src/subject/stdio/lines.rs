//! Lines of a bounded length from a stream of bytes.

use std::io;

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};

/// Reads lines, and holds no more of one than its limit.
pub(super) struct Lines<R> {
    input: BufReader<R>,
    max_bytes: usize,
}

/// A line without its end.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Line {
    Whole(Vec<u8>),
    /// Its first bytes; the others were thrown away as they came.
    Cut(Vec<u8>),
}

impl<R: AsyncRead + Unpin> Lines<R> {
    pub(super) fn new(input: R, max_bytes: usize) -> Self {
        Self { input: BufReader::new(input), max_bytes }
    }

    /// The next line; none at the end. A last line needs no end. Not to be dropped before it is done.
    pub(super) async fn next(&mut self) -> io::Result<Option<Line>> {
        let (mut line, mut is_cut, mut is_any) = (Vec::new(), false, false);
        loop {
            let chunk = self.input.fill_buf().await?;
            let at_end = chunk.is_empty();
            is_any |= !at_end;
            let end = chunk.iter().position(|byte| *byte == b'\n');
            let part = &chunk[..end.unwrap_or(chunk.len())];
            let room = self.max_bytes - line.len();
            is_cut |= part.len() > room;
            line.extend_from_slice(&part[..part.len().min(room)]);
            let used = end.map_or(chunk.len(), |end| end + 1);
            self.input.consume(used);
            if at_end && !is_any {
                return Ok(None);
            }
            if at_end || end.is_some() {
                return Ok(Some(if is_cut { Line::Cut(line) } else { Line::Whole(line) }));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_line_that_is_too_long_is_cut_and_the_next_is_read() {
        let mut lines = Lines::new(&b"abc\n\nabcd\nab"[..], 3);
        let mut all = Vec::new();
        while let Some(line) = lines.next().await.unwrap() {
            all.push(line);
        }
        let whole = |text: &str| Line::Whole(text.into());
        assert_eq!(all, [whole("abc"), whole(""), Line::Cut("abc".into()), whole("ab")]);
    }
}
