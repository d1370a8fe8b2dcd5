//! `template`: a text with places filled from the input.

use kora_ir::PromptTemplate;
use serde_json::{Map, Value, json};

use crate::built_in::{BuiltIn, Run, about};
use crate::fields::Fields;
use crate::number::Num;
use crate::order::sorted;
use crate::pointer::Pointer;
use crate::{Example, Limit, Meter, OperationError, OperationLimits};

pub(super) fn operation(limits: &OperationLimits) -> BuiltIn {
    let about = about(
        "template",
        "Fills the placeholders of `text`, `{{/json/pointer}}`, from the input, as in the prompt of a model task: strings \
         as they are, everything else as compact JSON with sorted members. `{{}}` is the whole input, `{{{{` a literal `{{`.",
        json!({
            "type": "object",
            "properties": {"text": {"type": "string", "description": "The text with its placeholders."}},
            "required": ["text"],
            "additionalProperties": false
        }),
        Example {
            args: json!({"text": "Dear {{/name}}, you have {{/count}} messages."}),
            input: json!({"name": "Ada", "count": 2}),
            output: json!("Dear Ada, you have 2 messages."),
        },
    );
    BuiltIn::new(about, prepare, limits)
}

fn prepare(fields: &Fields<'_>, limits: &OperationLimits) -> Result<Run, OperationError> {
    let source = fields.required_text("text")?;
    if source.len() as u64 > limits.max_expression_bytes {
        return Err(OperationError::limit(Limit::ExpressionBytes, limits.max_expression_bytes)
            .at(fields.place("text")));
    }
    let template = PromptTemplate::parse(source).map_err(|error| {
        OperationError::invalid_args(fields.place("text"), error.to_string())
            .mend("write a placeholder like `{{/name}}`, and a literal `{{` as `{{{{`")
    })?;
    let pointers = template
        .pointers()
        .map(|pointer| Pointer::parse(pointer, || fields.place("text")))
        .collect::<Result<Vec<_>, _>>()?;
    let text_bytes = source.len() as u64;
    Ok(Box::new(move |call, meter| {
        meter.build(text_bytes)?;
        let mut canonical = true;
        for pointer in &pointers {
            let value = pointer.find_input(call.input)?;
            charge(value, meter)?;
            canonical &= value.is_string();
        }
        let filled = if canonical {
            template.fill(call.input)
        } else {
            charge(call.input, meter)?;
            template.fill(&canonical_form(call.input))
        };
        filled.map(Value::String).map_err(|error| OperationError::failed(error.to_string()))
    }))
}

/// Charges the text of a value before it is written.
fn charge(value: &Value, meter: &mut Meter) -> Result<(), OperationError> {
    match value {
        // A number has at most 24 characters, and so has a word.
        Value::Null | Value::Bool(_) | Value::Number(_) => meter.build(24),
        // A control character takes six bytes.
        Value::String(text) => meter.build(2 + text.len() as u64 * 6),
        Value::Array(items) => {
            meter.build(2 + items.len() as u64)?;
            items.iter().try_for_each(|item| charge(item, meter))
        }
        Value::Object(members) => members.iter().try_for_each(|(key, member)| {
            meter.build(4 + key.len() as u64 * 6)?;
            charge(member, meter)
        }),
    }
}

/// The same value with sorted members and every number in one spelling: what a graph's digest knows of it (I1).
fn canonical_form(value: &Value) -> Value {
    match value {
        Value::Number(number) => match Num::of(number) {
            Num::Whole(whole) => Value::from(whole),
            Num::Real(real) => Value::from(real),
        },
        Value::Array(items) => items.iter().map(canonical_form).collect(),
        Value::Object(members) => Value::Object(
            sorted(members)
                .into_iter()
                .map(|(key, member)| (key.to_owned(), canonical_form(member)))
                .collect::<Map<_, _>>(),
        ),
        Value::Null | Value::Bool(_) | Value::String(_) => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use crate::library::testing::{check, told};
    use serde_json::json;

    #[test]
    fn what_is_filled_in_is_data_and_canonical() {
        check(
            "template",
            json!({"text": "{{/a}} {{/b}} {{{{/a}}"}),
            json!({"a": "{{/b}}", "b": {"z": 1.0, "a": [true, null, "\"", 0.5]}}),
            json!("{{/b}} {\"a\":[true,null,\"\\\"\",0.5],\"z\":1} {{/a}}"),
        );
    }

    #[test]
    fn broken_templates_are_told() {
        insta::assert_snapshot!(told(
            "template",
            &[
                (json!({"text": "Dear {{/name"}), json!({"name": "Ada"})),
                (json!({"text": "Dear {{name}}"}), json!({"name": "Ada"})),
                (json!({"text": "Dear {{/nom}}"}), json!({"name": "Ada"})),
                (json!({"text": {"$from": "writer"}}), json!({})),
                (json!({"text": "{{/~5}}"}), json!({})),
            ]
        ));
    }
}
