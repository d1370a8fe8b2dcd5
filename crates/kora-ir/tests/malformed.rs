//! Malformed graphs: each is refused for its fault, and says what, where and how to mend it.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on says so")]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;

use kora_ir::{CheckedGraph, InvalidGraph, Limits, Span, ViolationCode};

/// Name without ending, and content.
fn fixtures() -> Vec<(String, Vec<u8>)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/malformed");
    let mut fixtures: Vec<(String, Vec<u8>)> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "json"))
        .map(|path| (path.file_stem().unwrap().to_str().unwrap().to_owned(), std::fs::read(path).unwrap()))
        .collect();
    fixtures.sort();
    fixtures
}

/// The code that a file is named after.
fn code_of(name: &str) -> ViolationCode {
    let named = ViolationCode::ALL.iter().copied().filter(|code| name.starts_with(&code.to_string()));
    named.max_by_key(|code| code.to_string().len()).unwrap_or_else(|| panic!("`{name}` starts with no code"))
}

/// Bounds small enough for small files.
fn limits_of(name: &str) -> Limits {
    let limits = Limits::default();
    match name {
        "document-too-large-for-its-limit" => Limits { max_graph_bytes: 1000, ..limits },
        "too-many-tasks" => Limits { max_tasks: 4, ..limits },
        "too-many-dependencies" => Limits { max_fan_in: 2, ..limits },
        "payload-too-large-input" => Limits { max_input_bytes: 400, ..limits },
        "payload-too-large-prompt" => Limits { max_prompt_bytes: 300, ..limits },
        "schema-too-large" => Limits { max_schema_bytes: 400, ..limits },
        "too-many-schemas" => Limits { max_schemas: 3, ..limits },
        _ => limits,
    }
}

fn refused(name: &str, bytes: &[u8]) -> InvalidGraph {
    match CheckedGraph::parse_bytes(bytes, &limits_of(name)) {
        Ok(_) => panic!("`{name}` was accepted"),
        Err(refused) => refused,
    }
}

fn rendered(refused: &InvalidGraph) -> String {
    let place = |pointer: &str, span: Option<Span>| {
        let span =
            span.map_or_else(String::new, |span| format!(" {}:{}+{}", span.line, span.column, span.length));
        format!("{}{span}", if pointer.is_empty() { "/" } else { pointer })
    };
    let mut text = String::new();
    for violation in &refused.violations {
        let at = place(&violation.pointer, violation.span);
        writeln!(text, "{} at {at}\n  {}", violation.code, violation.message).unwrap();
        for (pointer, span) in &violation.related {
            writeln!(text, "  see {}", place(pointer, *span)).unwrap();
        }
        if let Some(help) = &violation.help {
            writeln!(text, "  help: {help}").unwrap();
        }
    }
    if refused.omitted > 0 {
        writeln!(text, "and {} more", refused.omitted).unwrap();
    }
    text
}

// shows C3.2, C10.3, C11.2, C7.1
#[test]
fn every_malformed_graph_is_refused_for_its_fault() {
    for (name, bytes) in fixtures() {
        let refused = refused(&name, &bytes);
        let code = code_of(&name);
        assert!(
            refused.violations.iter().any(|violation| violation.code == code),
            "{name}:\n{}",
            rendered(&refused)
        );
        insta::assert_snapshot!(format!("{name}"), rendered(&refused));
    }
}

#[test]
fn every_code_has_a_malformed_graph() {
    let shown: BTreeSet<ViolationCode> = fixtures().iter().map(|(name, _)| code_of(name)).collect();
    let missing: Vec<&ViolationCode> =
        ViolationCode::ALL.iter().filter(|code| !shown.contains(code)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn a_version_mismatch_has_a_word_of_its_own() {
    for (name, bytes) in fixtures() {
        let is_mismatch = refused(&name, &bytes).is_version_mismatch();
        assert_eq!(is_mismatch, name.starts_with("version-mismatch"), "{name}");
    }
}

// shows C3.2
#[test]
fn places_are_within_the_text() {
    for (name, bytes) in fixtures() {
        for violation in refused(&name, &bytes).violations {
            let span = violation.span.unwrap_or_else(|| panic!("{name}: {violation}"));
            assert!(span.offset + span.length <= bytes.len(), "{name}: {span:?}");
        }
    }
}

#[test]
fn a_torn_document_is_refused_wherever_it_is_torn() {
    let sound = include_bytes!("../../../fixtures/v0_1/direct-vs-kora.json");
    let end = sound.iter().rposition(|&byte| byte == b'}').unwrap();
    for length in 0..end {
        let refused = CheckedGraph::parse_bytes(&sound[..length], &Limits::default()).unwrap_err();
        assert!(
            refused.violations.iter().any(|violation| violation.code == ViolationCode::Syntax),
            "{length}"
        );
    }
}

#[test]
fn a_graph_built_in_memory_is_refused_without_places_in_a_text() {
    let mut document: serde_json::Value =
        serde_json::from_slice(include_bytes!("../../../fixtures/v0_1/hello-kora.json")).unwrap();
    document["root"] = serde_json::json!("absent");
    let refused = CheckedGraph::from_value(&document, &Limits::default()).unwrap_err();
    assert_eq!(refused.to_string(), "/root: the root `absent` is no task of the graph");
    let deep = (0..5000).fold(serde_json::json!(1), |inner, _| serde_json::Value::Array(vec![inner]));
    let refused = CheckedGraph::from_value(&deep, &Limits::default()).unwrap_err();
    assert_eq!(refused.violations[0].code, ViolationCode::JsonTooDeep);
    // Dropping a value recurses; this one is taken apart first.
    let mut rest = deep;
    while let serde_json::Value::Array(mut items) = rest {
        rest = items.pop().unwrap();
    }
}

#[test]
fn only_so_many_violations_are_listed_and_the_others_are_counted() {
    let fields: Vec<String> = (0..1000).map(|nth| format!("\"x{nth}\":0")).collect();
    let text = format!("{{\"kora_version\":\"1.0.0\",{}}}", fields.join(","));
    let refused =
        CheckedGraph::parse(&text, &Limits { max_violations: 10, ..Limits::default() }).unwrap_err();
    assert_eq!((refused.violations.len(), refused.omitted), (10, 993));
}

// Nothing hostile takes longer than its size deserves: each of these is a few megabytes.
#[test]
fn large_and_hostile_documents_are_refused_promptly() {
    let task = |id: usize, dependencies: &str| {
        format!(
            r#"{{"version":"1.0","id":"t{id}","type":"deterministic","dependencies":[{dependencies}],"input":{{}},"run":{{"operation":"o"}},"schema":true}}"#
        )
    };
    let graph = |tasks: Vec<String>| {
        format!(r#"{{"kora_version":"1.0.0","graph_id":"g","root":"t0","tasks":[{}]}}"#, tasks.join(","))
    };
    let count = 20_000;
    let unknown_ids = graph((0..count).map(|id| task(id, &format!("\"tx{id}\""))).collect());
    let one_ring = graph((0..count).map(|id| task(id, &format!("\"t{}\"", (id + 1) % count))).collect());
    let pairs = graph((0..count).map(|id| task(id, &format!("\"t{}\"", id ^ 1))).collect());
    let many_keys: Vec<String> = (0..200_000).map(|key| format!("\"dependencie{key}\":0")).collect();
    let unknown_fields = format!("{{\"kora_version\":\"1.0.0\",{}}}", many_keys.join(","));
    let repeated =
        format!("{{\"kora_version\":\"1.0.0\",{}}}", "\"root\":\"t\",".repeat(200_000) + "\"root\":\"t\"");
    let escaped = format!("{{\"kora_version\":\"1.0.0\",\"{}\":0}}", "\\\"".repeat(1_000_000));
    let long_names: Vec<String> = (0..7_000).map(|nth| format!("\"p{nth}\":{{}}")).collect();
    let long_path = format!(
        "{{\"properties\":{{\"{}\":{{\"properties\":{{{}}}}}}}}}",
        "x".repeat(150_000),
        long_names.join(",")
    );
    let costly = graph(vec![task(0, "").replace("\"schema\":true", &format!("\"schema\":{long_path}"))]);
    for text in [unknown_ids, one_ring, pairs, unknown_fields, repeated, escaped, costly] {
        let started = std::time::Instant::now();
        let refused = CheckedGraph::parse(&text, &Limits::default()).unwrap_err();
        assert!(started.elapsed().as_secs() < 20, "{:?} for {}", started.elapsed(), refused.violations[0]);
    }
}
