//! What a server says about an error: what may be searched, and the code word that may be shown.

use serde_json::Value;

/// Bytes of an error's text that are searched: the reason comes first, and what comes after may be the prompt.
const MAX_SEARCHED: usize = 2048;

/// Faults of one request that are read, where a server lists them.
const MAX_FAULTS: usize = 16;

/// The words of a server's error.
#[derive(Debug, Default)]
pub(super) struct Words {
    // Invariant: lower case.
    text: String,
    pub(super) code: Option<String>,
}

impl Words {
    pub(super) fn of_body(body: &[u8]) -> Self {
        match serde_json::from_slice::<Value>(body) {
            Ok(value) => Self::of_value(value.get("error").unwrap_or(&value)),
            Err(_) => {
                let mut words = Self::default();
                words.add(&String::from_utf8_lossy(body));
                words
            }
        }
    }

    pub(super) fn of_value(error: &Value) -> Self {
        let code = ["code", "type"].iter().find_map(|&field| match error.get(field)? {
            Value::String(text) => code_word(text).map(str::to_owned),
            Value::Number(number) => number.as_u64().map(|number| number.to_string()),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
        });
        let mut words = Self { text: String::new(), code };
        words.read(error);
        words
    }

    pub(super) fn has(&self, any: &[&str]) -> bool {
        any.iter().any(|word| self.text.contains(word))
    }

    /// Reads the fields that say what is wrong, and none that repeats the request: a prompt about context windows is
    /// no overflow.
    fn read(&mut self, error: &Value) {
        match error {
            Value::String(text) => self.add(text),
            Value::Object(fields) => {
                for field in ["code", "type", "error_type", "param", "message", "msg", "error"] {
                    if let Some(Value::String(text)) = fields.get(field) {
                        self.add(text);
                    }
                }
                match fields.get("detail") {
                    Some(Value::Array(faults)) => {
                        for fault in faults.iter().take(MAX_FAULTS) {
                            self.read_fault(fault);
                        }
                    }
                    Some(Value::String(text)) => self.add(text),
                    Some(_) | None => {}
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => {}
        }
    }

    /// One of a list of faults: the field that it is about, and what is wrong with it.
    fn read_fault(&mut self, fault: &Value) {
        for part in fault.get("loc").and_then(Value::as_array).into_iter().flatten().take(MAX_FAULTS) {
            if let Value::String(part) = part {
                self.add(part);
            }
        }
        for field in ["type", "msg"] {
            if let Some(Value::String(text)) = fault.get(field) {
                self.add(text);
            }
        }
    }

    fn add(&mut self, text: &str) {
        let end = (0..=text.len().min(MAX_SEARCHED)).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
        self.text.push_str(&text[..end].to_lowercase());
        // Words do not go on from one field to the next.
        self.text.push('\n');
    }
}

/// `text` if it is a name or a code word, and so cannot carry a prompt.
pub(super) fn code_word(text: &str) -> Option<&str> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.:/@+".contains(&byte);
    (!text.is_empty() && text.len() <= 80 && text.bytes().all(fits)).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &str, word: &str, expected: bool) {
        assert_eq!(Words::of_body(body.as_bytes()).has(&[word]), expected, "{body}");
    }

    #[test]
    fn what_repeats_the_request_is_not_read() {
        check(r#"{"error":{"message":"no","body":"my context window"}}"#, "context window", false);
        check(
            r#"{"detail":[{"loc":["body","n"],"msg":"Bad","input":{"messages":"context window"}}]}"#,
            "context window",
            false,
        );
        let long = format!(r#"{{"error":{{"message":"bad request: {} context window"}}}}"#, "x".repeat(2048));
        check(&long, "context window", false);
    }

    #[test]
    fn words_are_read_wherever_servers_put_them() {
        check("The CONTEXT window is full", "context window", true);
        check(r#""the context window is full""#, "context window", true);
        check(r#"{"error":"the context window is full"}"#, "context window", true);
        check(r#"{"object":"error","message":"the context window is full"}"#, "context window", true);
        check(r#"{"detail":"the context window is full"}"#, "context window", true);
        check(
            r#"{"detail":[{"loc":["body","response_format","type"],"msg":"Bad"}]}"#,
            "response_format",
            true,
        );
        check(r#"{"error":[1,{"message":"context window"}]}"#, "context window", false);
    }

    #[test]
    fn characters_are_not_cut_in_the_middle() {
        check(&format!("x{}", "é".repeat(2000)), "é", true);
    }
}
