//! Finding the tests of a file, and the comments that belong to each.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use proc_macro2::{Delimiter, Group, TokenTree};

use super::Comment;

/// A test function, with the comments that tell what it shows.
#[derive(Debug, Clone)]
pub(crate) struct TestFn {
    pub(crate) name: String,
    /// Comments directly above it, its doc comment, and those that open its body.
    pub(crate) comments: Vec<String>,
}

/// The tests in `tokens` that run by default, and every line that exists for tests only.
pub(super) fn find(tokens: &[TokenTree], comments: &[Comment]) -> (Vec<TestFn>, Vec<RangeInclusive<usize>>) {
    let mut finder = Finder {
        comments: comments.iter().map(|comment| (comment.line, comment)).collect(),
        tests: Vec::new(),
        lines: Vec::new(),
    };
    finder.walk(tokens);
    (finder.tests, finder.lines)
}

struct Finder<'a> {
    comments: BTreeMap<usize, &'a Comment>,
    tests: Vec<TestFn>,
    lines: Vec<RangeInclusive<usize>>,
}

impl Finder<'_> {
    fn walk(&mut self, tokens: &[TokenTree]) {
        let mut at = 0;
        while let Some(token) = tokens.get(at) {
            if let Some((attributes, after)) = outer_attributes(tokens, at) {
                self.item(token.span().start().line, &attributes, &tokens[after..]);
                at = after;
                continue;
            }
            if let TokenTree::Group(group) = token {
                self.walk(&group.stream().into_iter().collect::<Vec<_>>());
            }
            at += 1;
        }
    }

    /// Notes the item that `rest` begins with, if it is a test or for tests.
    fn item(&mut self, first_line: usize, attributes: &[Group], rest: &[TokenTree]) {
        let is_test = attributes.iter().any(|attribute| path_of(attribute).ends_with("test"));
        if !is_test && !attributes.iter().any(is_cfg_test) {
            return;
        }
        let ends = |token: &&TokenTree| match token {
            TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
            TokenTree::Punct(punct) => punct.as_char() == ';',
            TokenTree::Ident(_) | TokenTree::Literal(_) => false,
        };
        let Some(end) = rest.iter().find(ends) else { return };
        self.lines.push(first_line..=end.span().end().line);

        let ignored = attributes.iter().any(|attribute| path_of(attribute) == "ignore");
        let is_fn = |token: &TokenTree| matches!(token, TokenTree::Ident(ident) if ident == "fn");
        let name = rest.iter().skip_while(|token| !is_fn(token)).nth(1);
        if let (true, false, Some(TokenTree::Ident(name)), TokenTree::Group(body)) =
            (is_test, ignored, name, end)
        {
            let comments = self.comments_of(first_line, body.span_open().start().line);
            self.tests.push(TestFn { name: name.to_string(), comments });
        }
    }

    /// The comments from those directly above `first` to those that open the body at `body`.
    fn comments_of(&self, first: usize, body: usize) -> Vec<String> {
        let alone = |line: usize| self.comments.get(&line).is_some_and(|comment| comment.alone);
        let start = (1..first).rev().take_while(|line| alone(*line)).last().unwrap_or(first);
        let end = (body + 1..).take_while(|line| alone(*line)).last().unwrap_or(body);
        self.comments.range(start..=end).map(|(_, comment)| comment.text.clone()).collect()
    }
}

/// The run of `#[…]` that starts at `at`, and the index of what they stand on.
fn outer_attributes(tokens: &[TokenTree], mut at: usize) -> Option<(Vec<Group>, usize)> {
    let mut attributes = Vec::new();
    while let (Some(TokenTree::Punct(hash)), Some(TokenTree::Group(group))) =
        (tokens.get(at), tokens.get(at + 1))
    {
        if hash.as_char() != '#' || group.delimiter() != Delimiter::Bracket {
            break;
        }
        attributes.push(group.clone());
        at += 2;
    }
    (!attributes.is_empty()).then_some((attributes, at))
}

/// `tokio::test` of `#[tokio::test(start_paused = true)]`; empty for what has no path.
pub(crate) fn path_of(attribute: &Group) -> String {
    let is_path = |token: &TokenTree| match token {
        TokenTree::Ident(_) => true,
        TokenTree::Punct(punct) => punct.as_char() == ':',
        TokenTree::Group(_) | TokenTree::Literal(_) => false,
    };
    attribute.stream().into_iter().take_while(is_path).map(|token| token.to_string()).collect()
}

/// Whether an item exists in tests only: `cfg(test)`, or `cfg(all(test, …))`.
///
/// `any(test, …)` does not count: what a feature can switch on is part of the product.
fn is_cfg_test(attribute: &Group) -> bool {
    let text: String = attribute.stream().into_iter().map(|token| token.to_string()).collect();
    let text: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    text == "cfg(test)" || text.starts_with("cfg(all(test,")
}

#[cfg(test)]
mod tests {
    use crate::source::Source;

    const FILE: &str = r#"//! File.

/// Not a test (C1.1).
fn product() {}

#[cfg(test)]
mod tests {
    // shows C7.3
    #[test]
    fn plain() {}

    /// Documented (C7.1).
    #[tokio::test(start_paused = true)]
    async fn of_a_runtime() {
        // shows C7.2
        // and C7.4
        let unrelated = 1; // C9.9
    }

    #[test]
    #[ignore = "slow"]
    fn ignored() {}

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(8))]
        // shows C6.1
        #[test]
        fn a_property(n in 0..3u8) { assert!(n < 3); }
    }
}

#[cfg(any(test, feature = "testing"))]
fn shared() {}
"#;

    #[test]
    fn tests_are_found_in_modules_and_in_macros_with_their_comments() {
        let source = Source::parse(FILE).unwrap();
        let found: Vec<_> = source.tests().iter().map(|t| (t.name.as_str(), t.comments.join(" "))).collect();
        // A module for tests is walked too, so the order is that of the file.
        assert_eq!(
            found,
            [
                ("plain", "// shows C7.3".to_owned()),
                ("of_a_runtime", "/// Documented (C7.1). // shows C7.2 // and C7.4".to_owned()),
                ("a_property", "// shows C6.1".to_owned()),
            ]
        );
    }

    #[test]
    fn what_a_feature_can_switch_on_is_no_test_code() {
        let source = Source::parse(FILE).unwrap();
        assert!(!source.is_test_line(3));
        assert!(source.is_test_line(7) && source.is_test_line(16));
        assert!(!source.is_test_line(34));
    }
}
