//! Any bytes at all: they are refused with places that exist, or they are a graph that keeps its promises.
#![no_main]

use kora_ir::{CheckedGraph, Limits, ViolationCode};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let limits = Limits::default();
    match CheckedGraph::parse_bytes(bytes, &limits) {
        Err(refused) => {
            assert!(!refused.violations.is_empty());
            // The reader's tokens are not serde_json's: both must agree about what is JSON.
            let is_json = serde_json::from_slice::<serde_json::Value>(bytes).is_ok();
            let called_broken =
                refused.violations.iter().any(|violation| violation.code == ViolationCode::Syntax);
            assert!(!(is_json && called_broken), "{:?}", refused.violations);
            for violation in &refused.violations {
                let span = violation.span.expect("what came as text has a place in it");
                assert!(span.offset + span.length <= bytes.len());
            }
        }
        Ok(graph) => {
            assert!(serde_json::from_slice::<serde_json::Value>(bytes).is_ok());
            for (index, task) in graph.iter() {
                assert!(task.dependencies.iter().all(|&dependency| dependency < index));
                assert!(task.escalation.iter().all(|edge| index < edge.to));
            }
            let _ = graph.warnings();
            let normal = graph.to_document();
            let again = CheckedGraph::from_value(&normal, &limits).expect("a normal form is valid");
            assert_eq!(again.to_document(), normal);
            let source = std::str::from_utf8(bytes).expect("it was parsed");
            let same = CheckedGraph::parse(source, &limits).expect("it was parsed");
            assert_eq!(same.digest(), graph.digest());
        }
    }
});
