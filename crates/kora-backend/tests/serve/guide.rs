//! The guide's request runs, and its conversation is one that can be had.

use serde_json::Value;

use crate::http::{Server, answer};
use crate::stdio::Conversation;

const GUIDE: &str = include_str!("../../../../docs/guides/serve.md");

/// What stands in the guide's only block of this language.
fn block(language: &str) -> &'static str {
    let fence = format!("\n```{language}\n");
    let mut blocks = GUIDE.split(&fence).skip(1);
    let (block, None) = (blocks.next().unwrap(), blocks.next()) else {
        panic!("more than one of {language}")
    };
    block.split("\n```").next().unwrap()
}

#[test]
fn its_request_runs() {
    let request: Value = serde_json::from_str(block("json")).unwrap();
    let server = Server::start(&[]);
    let result = answer(server.post(&request));
    assert_eq!(result["final_output"], serde_json::json!({"total": 7}), "{result}");
    assert_eq!(result["execution_metadata"]["run_id"], "run-1");
}

#[test]
fn its_conversation_can_be_had() {
    let mut conversation = Conversation::start(&[]);
    let lines: Vec<&str> = block("text").lines().collect();
    assert_eq!(lines.len(), 14);
    for pair in lines.chunks(2) {
        let told = |line: &str, arrow: &str| -> Value {
            serde_json::from_str(line.strip_prefix(arrow).unwrap_or_else(|| panic!("no {arrow}: {line}")))
                .unwrap()
        };
        let (request, shown) = (told(pair[0], "→ "), told(pair[1], "← "));
        let said = conversation.ask(&request);
        for (field, value) in shown.as_object().unwrap() {
            let said = &said[field];
            assert!(!said.is_null(), "{pair:?}: {said}");
            for (name, shown) in value.as_object().into_iter().flatten() {
                // Texts are shown up to their dots, and numbers are of another machine.
                let agrees = match (shown.as_str(), said[name].as_str()) {
                    (Some(shown), Some(said)) => said.starts_with(shown.split('…').next().unwrap()),
                    _ => said[name].is_number() == shown.is_number(),
                };
                assert!(agrees, "{pair:?}: {said}");
            }
        }
    }
    assert_eq!(conversation.end(), Some(0));
}
