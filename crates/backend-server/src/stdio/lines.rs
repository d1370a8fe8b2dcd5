//! Lines of a bounded length from a stream of bytes.

use std::io;
use std::mem;

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};

/// Bytes that are read at once.
const CHUNK: usize = 64 << 10;

/// A line without its end.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Line {
    Whole(Vec<u8>),
    /// Its bytes were thrown away as they came.
    TooLong {
        /// In bytes.
        limit: usize,
    },
}

/// Reads lines, and holds no more of one than its limit.
#[derive(Debug)]
pub(super) struct Lines<R> {
    input: BufReader<R>,
    limit: usize,
    line: Vec<u8>,
    // Invariant: then `line` is empty.
    too_long: bool,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    pub(super) fn new(input: R, limit: usize) -> Self {
        Self { input: BufReader::with_capacity(CHUNK, input), limit, line: Vec::new(), too_long: false }
    }

    /// The next line; none at the end. A last line needs no end.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub(super) async fn next(&mut self) -> io::Result<Option<Line>> {
        loop {
            let chunk = self.input.fill_buf().await?;
            if chunk.is_empty() {
                let unfinished = self.too_long || !self.line.is_empty();
                return Ok(unfinished.then(|| self.take()));
            }
            let end = chunk.iter().position(|byte| *byte == b'\n');
            let part = &chunk[..end.unwrap_or(chunk.len())];
            let used = end.map_or(chunk.len(), |end| end + 1);
            if !self.too_long && self.line.len() + part.len() <= self.limit {
                self.line.extend_from_slice(part);
            } else {
                self.too_long = true;
                self.line = Vec::new();
            }
            self.input.consume(used);
            if end.is_some() {
                return Ok(Some(self.take()));
            }
        }
    }

    fn take(&mut self) -> Line {
        if mem::take(&mut self.too_long) {
            Line::TooLong { limit: self.limit }
        } else {
            Line::Whole(mem::take(&mut self.line))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(input: &[u8], limit: usize) -> Vec<String> {
        let mut lines = Lines::new(input, limit);
        let mut read = Vec::new();
        while let Some(line) = lines.next().await.unwrap() {
            read.push(match line {
                Line::Whole(bytes) => String::from_utf8(bytes).unwrap(),
                Line::TooLong { limit } => format!("more than {limit}"),
            });
        }
        read
    }

    #[tokio::test]
    async fn a_line_that_is_too_long_is_passed_over_and_the_next_is_read() {
        assert_eq!(read(b"abc\n\nabcd\nab", 3).await, ["abc", "", "more than 3", "ab"]);
        assert_eq!(read(b"abcd", 3).await, ["more than 3"]);
        assert_eq!(read(b"", 3).await, Vec::<String>::new());
    }

    #[tokio::test]
    async fn a_line_may_be_longer_than_what_is_read_at_once() {
        let long = "x".repeat(3 * CHUNK);
        assert_eq!(read(format!("{long}\ny\n").as_bytes(), 3 * CHUNK).await, [&long, "y"]);
        assert_eq!(read(format!("{long}\ny\n").as_bytes(), 3 * CHUNK - 1).await[1], "y");
    }
}
