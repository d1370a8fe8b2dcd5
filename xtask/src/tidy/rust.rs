//! What every Rust file keeps to, beyond what rustc, rustfmt and clippy see.

use proc_macro2::{Group, TokenStream, TokenTree};

use crate::finding::Finding;
use crate::source::Source;
use crate::workspace::TextFile;

/// A file that is longer has more than one idea.
const MAX_LINES: usize = 700;

/// Every violation in one `.rs` file.
pub(super) fn check(file: &TextFile) -> Vec<Finding> {
    let mut findings = Vec::new();
    if !file.text.starts_with("//! ") {
        findings.push(Finding::at(&file.path, 1, "open the file with one `//!` line that says its idea"));
    }
    let lines = file.text.lines().count();
    if lines > MAX_LINES {
        let message = format!("has {lines} lines, more than {MAX_LINES}: split it by its ideas");
        findings.push(Finding::new(&file.path, message));
    }
    match Source::parse(&file.text) {
        Ok(source) => {
            source.each_run(&mut |tokens| check_run(file, &source, tokens, &mut findings));
        }
        Err(error) => findings.push(Finding::new(&file.path, error.to_string())),
    }
    match syn::parse_file(&file.text) {
        Ok(parsed) => {
            check_items(file, &parsed.items, &mut findings);
            if file.path.ends_with("/src/lib.rs") {
                check_table_of_contents(file, &parsed.items, &mut findings);
            }
        }
        Err(error) => findings.push(Finding::at(&file.path, error.span().start().line, error.to_string())),
    }
    findings
}

/// Lint overrides without a reason, and getters that say `get_`.
fn check_run(file: &TextFile, source: &Source, tokens: &[TokenTree], findings: &mut Vec<Finding>) {
    for (at, token) in tokens.iter().enumerate() {
        let line = token.span().start().line;
        if attribute(&tokens[at..]).is_some_and(|group| overrides_without_reason(&group.stream())) {
            let message = "say why: `#[expect(lint, reason = \"…\")]`";
            findings.push(Finding::at(&file.path, line, message));
        }
        if let (TokenTree::Ident(keyword), Some(TokenTree::Ident(name))) = (token, tokens.get(at + 1))
            && keyword == "fn"
            && name.to_string().starts_with("get_")
            && !source.is_test_line(line)
        {
            findings.push(Finding::at(
                &file.path,
                line,
                format!("`{name}`: name what it gives, without `get_`"),
            ));
        }
    }
}

/// The `[…]` of the `#[…]` or `#![…]` that `tokens` begin with.
fn attribute(tokens: &[TokenTree]) -> Option<&Group> {
    let punct =
        |at: usize, is: char| matches!(tokens.get(at), Some(TokenTree::Punct(p)) if p.as_char() == is);
    let at = if punct(1, '!') { 2 } else { 1 };
    match tokens.get(at) {
        Some(TokenTree::Group(group)) if punct(0, '#') => Some(group),
        Some(_) | None => None,
    }
}

/// Whether an attribute holds `allow(…)` or `expect(…)` without `reason`, itself or under a `cfg_attr`.
fn overrides_without_reason(inside: &TokenStream) -> bool {
    let tokens: Vec<_> = inside.clone().into_iter().collect();
    tokens.windows(2).any(|pair| {
        let (TokenTree::Ident(name), TokenTree::Group(group)) = (&pair[0], &pair[1]) else { return false };
        let says_why = |token: TokenTree| matches!(token, TokenTree::Ident(ident) if ident == "reason");
        match name.to_string().as_str() {
            "allow" | "expect" => !group.stream().into_iter().any(says_why),
            "cfg_attr" => overrides_without_reason(&group.stream()),
            _ => false,
        }
    })
}

/// Public traits whose methods have a body: that would be semantics which no implementor chose.
fn check_items(file: &TextFile, items: &[syn::Item], findings: &mut Vec<Finding>) {
    for item in items {
        if let syn::Item::Trait(item) = item {
            let is_public = matches!(item.vis, syn::Visibility::Public(_));
            for member in &item.items {
                if let (true, syn::TraitItem::Fn(method)) = (is_public, member)
                    && method.default.is_some()
                {
                    let name = &method.sig.ident;
                    let message =
                        format!("`{}::{name}` has a default body: let each implementor choose", item.ident);
                    findings.push(Finding::at(&file.path, name.span().start().line, message));
                }
            }
        } else if let syn::Item::Mod(syn::ItemMod { content: Some((_, items)), .. }) = item {
            check_items(file, items, findings);
        }
    }
}

/// A `lib.rs` is a table of contents: docs, modules, re-exports.
fn check_table_of_contents(file: &TextFile, items: &[syn::Item], findings: &mut Vec<Finding>) {
    for item in items {
        let is_entry = matches!(item, syn::Item::Use(_) | syn::Item::ExternCrate(_))
            || matches!(item, syn::Item::Mod(module) if module.content.is_none());
        if !is_entry {
            let message = "holds more than docs, modules and re-exports: give it a file of its own";
            findings.push(Finding::new(&file.path, message));
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::sample;

    fn check_says(path: &str, text: &str, expected: &[&str]) {
        let findings: Vec<String> = check(&sample(path, text)).iter().map(ToString::to_string).collect();
        assert_eq!(findings.len(), expected.len(), "{text}: {findings:#?}");
        for (finding, expected) in findings.iter().zip(expected) {
            assert!(finding.contains(expected), "{finding:?} does not contain {expected:?}");
        }
    }

    #[test]
    fn a_file_without_its_idea_is_found() {
        check_says("a.rs", "//! Idea.\nfn f() {}\n", &[]);
        check_says("a.rs", "fn f() {}\n", &["a.rs:1: open the file with"]);
    }

    #[test]
    fn a_file_that_is_too_long_is_found() {
        check_says("a.rs", &format!("//! Idea.\n{}", "\n".repeat(MAX_LINES)), &["has 701 lines"]);
        check_says("a.rs", &format!("//! Idea.\n{}", "\n".repeat(MAX_LINES - 1)), &[]);
    }

    #[test]
    fn a_lint_override_says_why() {
        check_says("a.rs", "//! Idea.\n#[allow(dead_code)]\nfn f() {}\n", &["a.rs:2: say why"]);
        check_says("a.rs", "//! Idea.\n#![expect(dead_code)]\nfn f() {}\n", &["a.rs:2: say why"]);
        check_says(
            "a.rs",
            "//! Idea.\n#[cfg_attr(test, allow(dead_code))]\nfn f() {}\n",
            &["a.rs:2: say why"],
        );
        check_says("a.rs", "//! Idea.\n#[expect(dead_code, reason = \"later\")]\nfn f() {}\n", &[]);
    }

    #[test]
    fn a_default_body_in_a_public_trait_is_found() {
        check_says(
            "a.rs",
            "//! I.\npub trait T { fn f(&self) {} }\n",
            &["a.rs:2: `T::f` has a default body"],
        );
        check_says("a.rs", "//! I.\ntrait T { fn f(&self) {} }\npub trait U { fn f(&self); }\n", &[]);
    }

    #[test]
    fn a_getter_that_says_get_is_found() {
        check_says("a.rs", "//! I.\nimpl S { fn get_x(&self) {} }\n", &["`get_x`: name what it gives"]);
    }

    #[test]
    fn a_library_root_is_a_table_of_contents() {
        check_says("crates/a/src/lib.rs", "//! I.\nmod b;\npub use crate::b::C;\n", &[]);
        check_says("crates/a/src/lib.rs", "//! I.\nmod b;\nfn f() {}\n", &["holds more than docs"]);
    }

    #[test]
    fn what_is_not_rust_is_a_finding_not_a_panic() {
        check_says("a.rs", "//! I.\nfn f( {", &["not Rust", "a.rs:2"]);
    }
}
