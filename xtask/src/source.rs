//! A Rust file as tokens and comments: what it says, which lines are tests, and what those are called.
//!
//! Tokens, not a syntax tree, because `proptest!` and its like hide functions inside macro calls.

mod paths;
mod tests_in;

use std::ops::{Range, RangeInclusive};
use std::str::FromStr as _;

use proc_macro2::{TokenStream, TokenTree};

pub(crate) use self::tests_in::TestFn;

/// A file, taken apart once.
#[derive(Debug)]
pub(crate) struct Source {
    tokens: Vec<TokenTree>,
    comments: Vec<Comment>,
    tests: Vec<TestFn>,
    test_lines: Vec<RangeInclusive<usize>>,
}

/// A `//` comment, doc comments included. Block comments are not looked into.
#[derive(Debug, Clone)]
pub(crate) struct Comment {
    /// Counts from one.
    pub(crate) line: usize,
    /// With its slashes.
    pub(crate) text: String,
    /// Whether nothing but white space stands before it.
    alone: bool,
}

impl Source {
    /// Takes `text` apart.
    ///
    /// # Errors
    ///
    /// Returns the lexer's complaint if it is not Rust.
    pub(crate) fn parse(text: &str) -> anyhow::Result<Self> {
        let tokens: Vec<TokenTree> = TokenStream::from_str(text)
            .map_err(|error| anyhow::anyhow!("not Rust, line {}: {error}", error.span().start().line))?
            .into_iter()
            .collect();
        let mut literals = Vec::new();
        literal_ranges(&tokens, text, &mut literals);
        let comments = comments(text, &literals);
        let (tests, test_lines) = tests_in::find(&tokens, &comments);
        Ok(Self { tokens, comments, tests, test_lines })
    }

    /// Every `//` comment, in order.
    pub(crate) fn comments(&self) -> &[Comment] {
        &self.comments
    }

    /// Every test that runs by default: functions under an attribute that ends in `test`, wherever they stand.
    pub(crate) fn tests(&self) -> &[TestFn] {
        &self.tests
    }

    /// Whether `line` belongs to a test or to something that exists for tests only.
    pub(crate) fn is_test_line(&self, line: usize) -> bool {
        self.test_lines.iter().any(|lines| lines.contains(&line))
    }

    /// Every path that the file names, uses spelled out in full: (line, `std::time::Instant`).
    pub(crate) fn paths(&self) -> Vec<(usize, String)> {
        paths::collect(&self.tokens)
    }

    /// Calls `see` with every run of tokens: the file itself, then the inside of each bracket.
    pub(crate) fn each_run(&self, see: &mut impl FnMut(&[TokenTree])) {
        fn walk(tokens: &[TokenTree], see: &mut impl FnMut(&[TokenTree])) {
            see(tokens);
            for token in tokens {
                if let TokenTree::Group(group) = token {
                    walk(&group.stream().into_iter().collect::<Vec<_>>(), see);
                }
            }
        }
        walk(&self.tokens, see);
    }
}

/// Whether the file at `path` is test code as a whole: `tests.rs` beside what it tests, or below `tests/`.
pub(crate) fn is_test_file(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.contains("/tests/")
}

/// Where string and character literals stand: a `//` in one of them is no comment.
fn literal_ranges(tokens: &[TokenTree], text: &str, found: &mut Vec<Range<usize>>) {
    for token in tokens {
        if let TokenTree::Group(group) = token {
            literal_ranges(&group.stream().into_iter().collect::<Vec<_>>(), text, found);
        } else if let TokenTree::Literal(literal) = token {
            let range = byte_range(text, literal.span());
            // The lexer turns a doc comment into a literal that stands where the comment does.
            if !text[range.clone()].starts_with('/') {
                found.push(range);
            }
        }
    }
}

/// A span's bytes. The lexer counts in characters, and lines from one.
fn byte_range(text: &str, span: proc_macro2::Span) -> Range<usize> {
    let range = span.byte_range();
    // A doc comment's own tokens may carry positions that split a character: fall back to nothing.
    if text.is_char_boundary(range.start) && text.is_char_boundary(range.end) { range } else { 0..0 }
}

fn comments(text: &str, literals: &[Range<usize>]) -> Vec<Comment> {
    let mut found = Vec::new();
    let mut start = 0;
    for (index, line) in text.split_inclusive('\n').enumerate() {
        let is_code = |at: usize| literals.iter().any(|literal| literal.contains(&(start + at)));
        if let Some((at, _)) = line.match_indices("//").find(|(at, _)| !is_code(*at)) {
            found.push(Comment {
                line: index + 1,
                text: line[at..].trim_end().to_owned(),
                alone: line[..at].trim().is_empty(),
            });
        }
        start += line.len();
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_is_found_and_slashes_in_a_string_are_not_one() {
        let source = Source::parse(
            "//! File.\nfn f() { g(\"https://example.org // C9.9\"); } // after é\n/// Döc.\nstruct S;\n",
        )
        .unwrap();
        let comments: Vec<_> = source.comments().iter().map(|c| (c.line, c.text.as_str())).collect();
        assert_eq!(comments, [(1, "//! File."), (2, "// after é"), (3, "/// Döc.")]);
    }

    #[test]
    fn what_is_not_rust_is_an_error_not_a_panic() {
        assert!(Source::parse("fn f( {").is_err());
        assert!(Source::parse("\"open").is_err());
        assert!(Source::parse("").is_ok());
    }
}
