//! The page of all operations, for `docs/operations.md`.

use std::fmt::Write as _;

use serde_json::Value;

use crate::order::sorted;
use crate::{Operation, OperationRegistry};

/// The page of all standard operations, in Markdown; `cargo xtask bless` writes it to `docs/operations.md`.
#[must_use]
pub fn reference_page() -> String {
    let mut page = String::from(
        "<!-- Generated from the operations themselves by `cargo xtask bless`. -->\n\n\
         # Operations\n\n\
         What a deterministic or aggregation task can do: `\"run\": {\"operation\": name, \"args\": {…}}`. \
         Each is pure, ends on every input, and is bounded in steps and bytes. \
         Data comes from the task's `input`; `args` say what to do with it and are checked before anything runs. \
         Arguments that may hold references (`{\"$from\": …}`) say so.\n",
    );
    for operation in OperationRegistry::standard().operations() {
        section(&mut page, operation.as_ref());
    }
    page
}

fn section(page: &mut String, operation: &dyn Operation) {
    let _ = write!(page, "\n## `{}`\n\n{}\n", operation.name(), operation.summary());
    let schema = operation.args_schema();
    if let Some(properties) = schema["properties"].as_object().filter(|properties| !properties.is_empty()) {
        page.push_str("\n| argument | takes | meaning |\n|---|---|---|\n");
        let required =
            |name: &str| schema["required"].as_array().is_some_and(|all| all.iter().any(|it| it == name));
        for (name, property) in properties {
            let _ = writeln!(
                page,
                "| `{name}`{} | {} | {} |",
                if required(name) { "" } else { " (optional)" },
                takes(property),
                property["description"].as_str().unwrap_or_default()
            );
        }
    }
    let example = operation.example();
    let _ = write!(
        page,
        "\n```json\n{{\"operation\": \"{}\", \"args\": {}}}\n```\n\nOf the input `{}` it makes `{}`.\n",
        operation.name(),
        compact(&example.args),
        compact(&example.input),
        compact(&example.output)
    );
}

/// What an argument may be, in a few words.
fn takes(property: &Value) -> String {
    let mut takes =
        match (property["enum"].as_array(), property["type"].as_str(), property["format"].as_str()) {
            (Some(words), _, _) => {
                words.iter().map(|word| format!("`{}`", compact(word))).collect::<Vec<_>>().join(", ")
            }
            (None, _, Some("json-pointer")) => "JSON pointer".to_owned(),
            (None, _, Some("regex")) => "regular expression".to_owned(),
            (None, Some("array"), _) => format!("array of: {}", takes(&property["items"])),
            (None, Some(name), _) => name.to_owned(),
            (None, None, _) => "any value".to_owned(),
        };
    if let Value::Object(members) = &property["properties"] {
        let members: Vec<String> = sorted(members).into_iter().map(|(name, _)| format!("`{name}`")).collect();
        let _ = write!(takes, " with {}", members.join(", "));
    }
    if !property["default"].is_null() {
        let _ = write!(takes, "; default `{}`", compact(&property["default"]));
    }
    takes
}

/// Compact JSON with a space after colons and commas, like the rest of the documentation.
fn compact(value: &Value) -> String {
    match value {
        Value::Array(items) => format!("[{}]", items.iter().map(compact).collect::<Vec<_>>().join(", ")),
        Value::Object(members) => {
            let members: Vec<String> =
                members.iter().map(|(key, member)| format!("\"{key}\": {}", compact(member))).collect();
            format!("{{{}}}", members.join(", "))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Meter, OperationCall};

    #[test]
    fn the_page_tells_every_operation() {
        insta::assert_snapshot!(reference_page());
    }

    #[test]
    fn every_example_is_true() {
        let registry = OperationRegistry::standard();
        for operation in registry.operations() {
            let example = operation.example();
            let prepared = registry.prepare(operation.name(), &example.args).unwrap();
            let call = OperationCall { args: &example.args, input: &example.input, attempt: 1 };
            let output = prepared.run(&call, &mut Meter::new(registry.limits())).unwrap();
            assert_eq!(output, example.output, "{}", operation.name());
        }
    }
}
