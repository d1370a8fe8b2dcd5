//! The last of what a backend logged: enough to see why it ended, and no more.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

/// Lines that are kept.
const MAX_LINES: usize = 64;
/// Bytes that are kept of all of them.
const MAX_BYTES: usize = 16 << 10;

/// The last lines of a standard error.
#[derive(Debug, Default)]
pub(super) struct LogTail(Mutex<Tail>);

#[derive(Debug, Default)]
struct Tail {
    lines: VecDeque<String>,
    // Invariant: bytes of `lines`, line ends included.
    bytes: usize,
}

impl LogTail {
    /// The longest line that there is room for.
    pub(super) const MAX_LINE_BYTES: usize = 4 << 10;

    pub(super) fn push(&self, line: &[u8]) {
        let line = String::from_utf8_lossy(line).trim_end_matches('\r').to_owned();
        let mut tail = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tail.bytes += line.len() + 1;
        tail.lines.push_back(line);
        while (tail.lines.len() > MAX_LINES || tail.bytes > MAX_BYTES)
            && let Some(oldest) = tail.lines.pop_front()
        {
            tail.bytes -= oldest.len() + 1;
        }
    }

    /// The last `count` lines. `None` if nothing was logged.
    pub(super) fn last(&self, count: usize) -> Option<String> {
        let tail = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let first = tail.lines.len().saturating_sub(count);
        let lines: Vec<_> = tail.lines.iter().skip(first).map(String::as_str).collect();
        (!lines.is_empty()).then(|| lines.join("\n"))
    }

    /// All lines that are kept.
    pub(super) fn all(&self) -> Option<String> {
        self.last(MAX_LINES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_kept() {
        let tail = LogTail::default();
        assert_eq!(tail.all(), None);
        (0..1000).for_each(|n| tail.push(format!("line {n}\r").as_bytes()));
        let all = tail.all().unwrap();
        assert_eq!((all.lines().count(), all.lines().next()), (64, Some("line 936")));
        assert_eq!(tail.last(2).unwrap(), "line 998\nline 999");
    }

    #[test]
    fn long_lines_are_kept_within_bounds() {
        let tail = LogTail::default();
        (0..64).for_each(|_| tail.push(&[b'x'; LogTail::MAX_LINE_BYTES]));
        assert!(tail.all().unwrap().len() <= MAX_BYTES);
    }
}
