//! The text of a graph as a source of excerpts, whatever its size: one index of lines, and windows into them.

use miette::{MietteError, MietteSpanContents, SourceCode, SourceSpan, SpanContents};

use crate::screen;

/// Bytes of a line that is shown whole. Graphs written by programs are one long line.
const MAX_LINE: usize = 200;
/// Bytes shown of a longer line before a place, and after it.
const AROUND: usize = 48;

/// A named text.
#[derive(Debug)]
pub(crate) struct Document {
    name: String,
    text: String,
    // Invariant: the first byte of each line, ascending; the first is 0.
    lines: Vec<usize>,
}

impl Document {
    /// A text and where it came from. What follows the first byte that is no UTF-8 is left out.
    pub(crate) fn new(name: String, bytes: Vec<u8>) -> Self {
        let mut text = String::from_utf8(bytes).unwrap_or_else(|error| {
            let sound = error.utf8_error().valid_up_to();
            let mut bytes = error.into_bytes();
            bytes.truncate(sound);
            String::from_utf8(bytes).unwrap_or_default()
        });
        if text.contains(screen::is_hidden) {
            // Of the same length, so that every place stays where it is.
            text = text.chars().fold(String::with_capacity(text.len()), |mut text, char| {
                match char {
                    '\n' | '\r' | '\t' => text.push(char),
                    hidden if screen::is_hidden(hidden) => {
                        text.extend(std::iter::repeat_n('?', hidden.len_utf8()))
                    }
                    shown => text.push(shown),
                }
                text
            });
        }
        let lines = std::iter::once(0)
            .chain(text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1))
            .collect();
        Self { name, text, lines }
    }

    /// Whether two places can be shown in one excerpt.
    pub(crate) fn are_near(&self, a: usize, b: usize) -> bool {
        self.line_of(a) != self.line_of(b) || a.abs_diff(b) <= AROUND
    }

    /// A place to underline: what of `length` bytes at `offset` stands on the first line, and not too much of it.
    pub(crate) fn place(&self, offset: usize, length: usize) -> SourceSpan {
        let offset = self.boundary(offset);
        let mut end = offset.saturating_add(length).min(self.line_end(self.line_of(offset)));
        end = self.boundary(end.min(offset + MAX_LINE / 2)).max(offset);
        (offset, end - offset).into()
    }

    fn line_of(&self, offset: usize) -> usize {
        self.lines.partition_point(|&start| start <= offset).saturating_sub(1)
    }

    fn line_end(&self, line: usize) -> usize {
        let end = self.lines.get(line + 1).map_or(self.text.len(), |next| next - 1);
        if end > 0 && self.text.as_bytes().get(end - 1) == Some(&b'\r') { end - 1 } else { end }
    }

    fn is_short(&self, line: usize) -> bool {
        self.line_end(line).saturating_sub(self.lines[line]) <= MAX_LINE
    }

    /// The last place up to `offset` where a character starts.
    fn boundary(&self, offset: usize) -> usize {
        let offset = offset.min(self.text.len());
        (0..=offset).rev().find(|&at| self.text.is_char_boundary(at)).unwrap_or(0)
    }
}

impl SourceCode for Document {
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        before: usize,
        after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let (from, to) = (span.offset(), span.offset().saturating_add(span.len()));
        if to > self.text.len() {
            return Err(MietteError::OutOfBounds);
        }
        let (first, last) = (self.line_of(from), self.line_of(to));
        // Lines around it are shown as far as they and it are short.
        let (mut top, mut bottom) = (first, last);
        while top > 0 && first - top < before && self.is_short(top) && self.is_short(top - 1) {
            top -= 1;
        }
        while bottom + 1 < self.lines.len()
            && bottom - last < after
            && self.is_short(bottom)
            && self.is_short(bottom + 1)
        {
            bottom += 1;
        }
        let start = match before {
            0 => from,
            _ if self.is_short(first) => self.lines[top],
            _ => self.lines[first].max(from.saturating_sub(AROUND)),
        };
        let end = self.line_end(bottom).max(to);
        let end = if self.is_short(last) { end } else { end.min(to + AROUND) };
        let start = self.boundary(start);
        let end = self.boundary(end).max(start);
        let line = self.line_of(start);
        let column = self.text[self.lines[line]..start].chars().count();
        Ok(Box::new(MietteSpanContents::new_named(
            self.name.clone(),
            &self.text.as_bytes()[start..end],
            (start, end - start).into(),
            line,
            column,
            self.line_of(end) - line + 1,
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(text: &str, at: usize, length: usize) -> (String, usize, usize) {
        let document = Document::new(String::from("g.json"), text.as_bytes().to_vec());
        let contents = document.read_span(&(at, length).into(), 1, 1).unwrap();
        (String::from_utf8(contents.data().to_vec()).unwrap(), contents.line(), contents.column())
    }

    #[test]
    fn an_excerpt_is_the_lines_around_a_place() {
        assert_eq!(window("a\nb\nc\nd\ne", 4, 1), (String::from("b\nc\nd"), 1, 0));
        assert_eq!(window("a\r\nb\r\nc", 3, 1), (String::from("a\r\nb\r\nc"), 0, 0));
        assert_eq!(window("", 0, 0), (String::new(), 0, 0));
    }

    #[test]
    fn an_endless_line_is_shown_in_part() {
        let text = "é".repeat(10_000);
        let (shown, line, column) = window(&text, 5_000, 2);
        assert!(shown.len() <= 2 * AROUND + 4, "{}", shown.len());
        assert_eq!((line, column), (0, 2_476));
    }

    #[test]
    fn an_endless_line_beside_a_short_one_is_left_out() {
        let long = "x".repeat(10_000);
        assert_eq!(window(&format!("{long}\nab\nc"), 10_001, 2).0, "ab\nc");
        assert_eq!(window(&format!("a\nb\n{long}"), 2, 1).0, "a\nb");
    }

    #[test]
    fn what_would_command_a_terminal_is_shown_as_question_marks() {
        let document = Document::new(String::new(), "a\u{1b}[2J\u{9b}\u{202e}\tb\n\0".into());
        assert_eq!(document.text, "a?[2J?????\tb\n?");
    }

    #[test]
    fn what_is_underlined_ends_with_its_line() {
        let document = Document::new(String::from("g.json"), b"{\n  \"a\": {\n 1}\n}".to_vec());
        assert_eq!(document.place(9, 5), (9, 1).into());
        assert_eq!(document.place(900, 5), (16, 0).into());
        assert!(document.read_span(&(900, 1).into(), 1, 1).is_err());
    }

    #[test]
    fn what_follows_a_byte_that_is_no_text_is_left_out() {
        let document = Document::new(String::from("g.json"), b"{\"a\": \xff}".to_vec());
        assert_eq!(document.text, "{\"a\": ");
    }
}
