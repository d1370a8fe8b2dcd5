//! Replies as some mutants read them: too kindly, or too strictly.

use kora_ir::OutputSchema;
use serde_json::{Map, Number, Value, json};

use super::{Behaviour, Defect, json as strict};

/// The value that a reply is, as this backend reads it.
pub(super) fn read(does: Behaviour, reply: &str) -> Result<Value, String> {
    let kindly = KIND.iter().find(|(defect, _)| does.has(*defect));
    match kindly.and_then(|(_, read)| read(reply)) {
        Some(value) => Ok(value),
        None if does.has(Defect::WantsNoWhiteSpace) && reply.trim() != reply => {
            Err(String::from("there is white space around the reply"))
        }
        None => strict::parse(reply),
    }
}

/// What this backend makes of a value that the schema refuses, if anything.
pub(super) fn mended(does: Behaviour, value: &Value, schema: &OutputSchema) -> Option<Value> {
    if does.has(Defect::DropsExtraMembers) {
        return Some(known_only(value, schema.document()));
    }
    MENDINGS.iter().find(|(defect, _)| does.has(*defect)).map(|(_, mend)| mend(value))
}

/// Why this backend refuses a value that the schema admits, if it does.
pub(super) fn refused(does: Behaviour, value: &Value) -> Option<String> {
    if does.has(Defect::WantsObjects) && !value.is_object() {
        return Some(String::from("the output is no object"));
    }
    if does.has(Defect::WantsMembersInOrder) && !in_order(value) {
        return Some(String::from("the members of the output are in no order"));
    }
    None
}

type Reading = fn(&str) -> Option<Value>;

const KIND: &[(Defect, Reading)] = &[
    (Defect::FindsJsonInProse, |reply| {
        let (from, to) = (reply.find('{')?, reply.rfind('}')?);
        serde_json::from_str(reply.get(from..=to)?).ok()
    }),
    (Defect::OpensFences, |reply| {
        let inside = reply.trim().strip_prefix("```")?.strip_suffix("```")?;
        serde_json::from_str(inside.trim_start_matches("json")).ok()
    }),
    (Defect::MendsTruncatedJson, |reply| serde_json::from_str(&closed(reply)).ok()),
    (Defect::TakesTheFirstValue, |reply| {
        serde_json::Deserializer::from_str(reply).into_iter::<Value>().next()?.ok()
    }),
    (Defect::LastNameWins, |reply| serde_json::from_str(reply).ok()),
    (Defect::ReadsOtherSyntax, |reply| serde_json::from_str(&reply.replace('\'', "\"")).ok()),
    (Defect::EmptyIsNothing, EMPTY),
    (Defect::ReadsNotANumber, |reply| serde_json::from_str(&reply.replace("NaN", "0")).ok()),
];

/// An empty reply is null for a backend that does not care.
const EMPTY: Reading = |reply| reply.trim().is_empty().then_some(Value::Null);

type Mending = fn(&Value) -> Value;

const MENDINGS: &[(Defect, Mending)] = &[
    (Defect::UnwrapsTexts, |value| {
        let inside = value.as_str().and_then(|text| serde_json::from_str(text).ok());
        inside.unwrap_or_else(|| value.clone())
    }),
    (Defect::UnwrapsArrays, |value| {
        let items = value.as_array().filter(|items| items.len() == 1);
        items.map_or(value, |items| &items[0]).clone()
    }),
    (Defect::NumbersFromTexts, |value| {
        each_leaf(value, |leaf| leaf.as_str()?.parse::<Number>().ok().map(Value::Number))
    }),
    (Defect::RoundsFractions, |value| {
        each_leaf(value, |leaf| leaf.as_f64().map(|number| json!(whole(number))))
    }),
];

/// The nearest whole number.
pub(super) fn whole(number: f64) -> i64 {
    #[expect(clippy::cast_possible_truncation, reason = "a number that is no whole one saturates")]
    let whole = number.round() as i64;
    whole
}

/// The text with everything closed that is open at its end.
fn closed(text: &str) -> String {
    let (mut open, mut in_text, mut escaped) = (Vec::new(), false, false);
    for char in text.chars() {
        match char {
            _ if escaped => escaped = false,
            '\\' if in_text => escaped = true,
            '"' => in_text = !in_text,
            '{' if !in_text => open.push('}'),
            '[' if !in_text => open.push(']'),
            '}' | ']' if !in_text => drop(open.pop()),
            _ => {}
        }
    }
    let quote = if in_text { "\"" } else { "" };
    text.chars().chain(quote.chars()).chain(open.into_iter().rev()).collect()
}

/// The value with every leaf replaced for which there is a replacement.
pub(super) fn each_leaf(value: &Value, replace: fn(&Value) -> Option<Value>) -> Value {
    match value {
        Value::Array(items) => items.iter().map(|item| each_leaf(item, replace)).collect(),
        Value::Object(members) => {
            let members = members.iter().map(|(name, member)| (name.clone(), each_leaf(member, replace)));
            Value::Object(members.collect())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            replace(value).unwrap_or_else(|| value.clone())
        }
    }
}

/// The value without members that the schema does not name.
fn known_only(value: &Value, schema: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let known = members.iter().filter_map(|(name, member)| {
                let schema = schema.get("properties")?.get(name)?;
                Some((name.clone(), known_only(member, schema)))
            });
            Value::Object(known.collect::<Map<_, _>>())
        }
        Value::Array(items) => {
            let schema = schema.get("items").unwrap_or(&Value::Null);
            items.iter().map(|item| known_only(item, schema)).collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

fn in_order(value: &Value) -> bool {
    value.as_object().is_none_or(|members| members.keys().is_sorted())
}
