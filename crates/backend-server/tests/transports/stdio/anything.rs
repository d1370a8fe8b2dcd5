//! Whatever a caller writes, each of its lines has one answer.

use backend_server::{StdioLimits, serve_stdio};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::Value;

use super::caller::is_answer;
use crate::puppet::{local, served};

/// Lines of noise, and lines that are nearly requests.
fn line() -> impl Strategy<Value = Vec<u8>> {
    let noise = vec(any::<u8>().prop_filter("a line has one end", |byte| *byte != b'\n'), 0..80);
    let id = prop_oneof![
        "[0-9]{1,18}",
        Just(String::from("null")),
        Just(String::from("\"1\"")),
        Just(String::from("-1"))
    ];
    let verb = prop_oneof!["hello", "health_check", "execute_taskgraph", "cancel", "begin", "\\PC{0,9}"];
    let field = prop_oneof!["protocol", "models", "taskgraph", "execution_context", "target", "id"];
    let value = prop_oneof!["[0-9]", "\"1[.]0\"", "\"2[.]0\"", "\\{\\}", "\\[\\]", "\\[{1,200}", "\\PC{0,9}"];
    let nearly = (id, verb, field, value).prop_map(|(id, verb, field, value)| {
        format!("{{\"id\": {id}, \"verb\": \"{verb}\", \"{field}\": {value}}}").into_bytes()
    });
    prop_oneof![noise, nearly]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn every_line_is_answered_once_whatever_it_holds(lines in vec(line(), 0..20)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let mut input = Vec::new();
        for line in &lines {
            input.extend_from_slice(line);
            input.push(b'\n');
        }
        let limits = StdioLimits { max_line_bytes: 150, ..StdioLimits::default() };
        let mut output = Vec::new();
        let ended = serve_stdio(&input[..], &mut output, limits, |_| Ok(served(local())));
        runtime.block_on(ended).unwrap();
        let output = String::from_utf8(output).unwrap();
        prop_assert_eq!(output.lines().count(), lines.len(), "{}", output);
        for line in output.lines() {
            let answer: Value = serde_json::from_str(line).unwrap();
            prop_assert!(is_answer(&answer), "{}", answer);
        }
    }
}
