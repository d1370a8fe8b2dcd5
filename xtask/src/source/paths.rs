//! The paths that a file names, with `use` groups spelled out.

use proc_macro2::{Delimiter, TokenTree};

/// Every path in `tokens`, macro arguments included: `use std::{time::Instant}` gives `std::time::Instant`.
pub(super) fn collect(tokens: &[TokenTree]) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    walk(tokens, "", &mut found);
    found
}

fn walk(tokens: &[TokenTree], prefix: &str, found: &mut Vec<(usize, String)>) {
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        at += 1;
        if let TokenTree::Group(group) = token {
            walk(&group.stream().into_iter().collect::<Vec<_>>(), "", found);
        } else if let TokenTree::Ident(first) = token {
            let line = first.span().start().line;
            let mut path = prefix.to_owned();
            // `std::time::{self}` names the module.
            if first != "self" || prefix.is_empty() {
                path.push_str(&first.to_string());
            }
            let mut grouped = false;
            while is_separator(tokens.get(at), tokens.get(at + 1)) {
                match tokens.get(at + 2) {
                    Some(TokenTree::Ident(next)) => path = format!("{path}::{next}"),
                    Some(TokenTree::Punct(star)) if star.as_char() == '*' => path.push_str("::*"),
                    Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
                        let inside: Vec<_> = group.stream().into_iter().collect();
                        walk(&inside, &format!("{path}::"), found);
                        grouped = true;
                    }
                    // A turbofish: what follows is paths of its own.
                    Some(TokenTree::Punct(_) | TokenTree::Group(_) | TokenTree::Literal(_)) | None => break,
                }
                at += 3;
            }
            if !grouped {
                found.push((line, path.trim_end_matches("::").to_owned()));
            }
        }
    }
}

fn is_separator(first: Option<&TokenTree>, second: Option<&TokenTree>) -> bool {
    let colon = |token: Option<&TokenTree>| matches!(token, Some(TokenTree::Punct(p)) if p.as_char() == ':');
    colon(first) && colon(second)
}

#[cfg(test)]
mod tests {
    use crate::source::Source;

    fn check(text: &str, expected: &str) {
        let paths = Source::parse(text).unwrap().paths();
        assert!(paths.iter().any(|(_, path)| path == expected), "{expected} not in {paths:?}");
    }

    #[test]
    fn a_path_is_found_however_it_is_written() {
        check("use std::time::Instant;", "std::time::Instant");
        check("use std::{fs, time::{Duration, Instant as Now}};", "std::time::Instant");
        check("use std::time::{self, Duration};", "std::time");
        check("use std::time::*;", "std::time::*");
        check("fn f() { let t = ::std::time::Instant::now(); }", "std::time::Instant::now");
        check("fn f() { println!(\"{:?}\", std::time::SystemTime::now()); }", "std::time::SystemTime::now");
        check("fn f(x: HashMap<u8, std::fs::File>) {}", "std::fs::File");
        check("fn f() { Vec::<std::net::TcpStream>::new(); }", "std::net::TcpStream");
    }

    #[test]
    fn a_path_knows_its_line() {
        let paths = Source::parse("\n\nuse std::{\n  fs,\n};").unwrap().paths();
        assert!(paths.contains(&(4, "std::fs".to_owned())), "{paths:?}");
    }
}
