//! `extract_regex`: what a pattern's named groups match.

use regex::{Captures, Regex};
use serde_json::{Map, Value, json};

use crate::built_in::{BuiltIn, Run, about};
use crate::fields::{Fields, expected_input};
use crate::pattern::{Pattern, PatternBudget};
use crate::{Example, Limit, Meter, OperationError, OperationLimits};

pub(super) fn operation(limits: &OperationLimits) -> BuiltIn {
    let about = about(
        "extract_regex",
        "Matches `pattern` on the text at `at` and returns its named groups as an object; a group that takes no part in \
         the match is null. With `all`, returns an array of such objects, one for each match, none overlapping. \
         Without `all`, a text that does not match gives `default`, or else an error. Patterns are those of the Rust \
         `regex` crate: linear time, no look-around, no back-references.",
        json!({
            "type": "object",
            "properties": {
                "at": {"type": "string", "format": "json-pointer", "default": "", "description": "The text in the input."},
                "pattern": {"type": "string", "format": "regex", "description": "With at least one named group, `(?<name>…)`."},
                "ignore_case": {"type": "boolean", "default": false},
                "all": {"type": "boolean", "default": false},
                "default": {"description": "What to return where nothing matches; may hold references."}
            },
            "required": ["pattern"],
            "additionalProperties": false
        }),
        Example {
            args: json!({"pattern": "(?<amount>[0-9]+) (?<currency>EUR|USD)(?: per (?<unit>\\w+))?"}),
            input: json!("It costs 12 EUR."),
            output: json!({"amount": "12", "currency": "EUR", "unit": null}),
        },
    );
    BuiltIn::new(about, prepare, limits)
}

fn prepare(fields: &Fields<'_>, limits: &OperationLimits) -> Result<Run, OperationError> {
    let at = fields.pointer("at")?.unwrap_or_default();
    let all = fields.flag("all")?;
    let source = fields.required_text("pattern")?;
    let pattern = Pattern::parse(
        source,
        fields.flag("ignore_case")?,
        || fields.place("pattern"),
        &mut PatternBudget::new(limits),
    )?;
    if pattern.regex().capture_names().flatten().next().is_none() {
        return Err(OperationError::invalid_args(fields.place("pattern"), "the pattern has no named group")
            .mend("name what to extract, like `(?<year>[0-9]{4})`"));
    }
    if all && fields.data("default").is_some() {
        return Err(OperationError::invalid_args(
            fields.place("default"),
            "`default` and `all` exclude each other",
        )
        .mend("remove `default`: without a match, `all` gives an empty array"));
    }
    Ok(Box::new(move |call, meter| {
        let found = at.find_input(call.input)?;
        let text = found.as_str().ok_or_else(|| expected_input(&at.to_string(), "a string", found))?;
        let regex = pattern.over(text, meter)?;
        if all {
            return every(&pattern, regex, text, meter);
        }
        match (regex.captures(text), call.args.get("default")) {
            (Some(captures), _) => groups(regex, &captures, meter),
            (None, Some(default)) => meter.copy(default),
            (None, None) => Err(OperationError::failed("the pattern does not match")
                .at(format!("/input{at}"))
                .mend("add a `default`, or use `all`")),
        }
    }))
}

fn every(pattern: &Pattern, regex: &Regex, text: &str, meter: &mut Meter) -> Result<Value, OperationError> {
    let most = meter.limits().max_entries;
    let mut matches = Vec::new();
    for captures in regex.captures_iter(text) {
        if matches.len() as u64 == most {
            return Err(
                OperationError::limit(Limit::Entries, most).mend("match less often, or split the text")
            );
        }
        // One search through the whole text is paid for. In the worst case each match takes one of its own.
        let rest = captures.get(0).map_or(0, |whole| text.len() - whole.end());
        meter.steps(pattern.cost(rest) / 64)?;
        matches.push(groups(regex, &captures, meter)?);
    }
    Ok(Value::Array(matches))
}

fn groups(regex: &Regex, captures: &Captures<'_>, meter: &mut Meter) -> Result<Value, OperationError> {
    let mut found = Map::new();
    for name in regex.capture_names().flatten() {
        let group = captures.name(name).map(|group| group.as_str());
        meter.build(16 + name.len() as u64 + group.map_or(0, str::len) as u64)?;
        found.insert(name.to_owned(), group.map_or(Value::Null, Value::from));
    }
    Ok(Value::Object(found))
}

#[cfg(test)]
mod tests {
    use crate::library::testing::{check, run_attempt, told};
    use serde_json::json;

    #[test]
    fn all_matches_are_extracted_in_order() {
        check(
            "extract_regex",
            json!({"pattern": "(?<k>[a-z])=(?<v>[0-9]+)", "all": true, "at": "/t"}),
            json!({"t": "a=1 b=22 c"}),
            json!([{"k": "a", "v": "1"}, {"k": "b", "v": "22"}]),
        );
        check("extract_regex", json!({"pattern": "(?<k>x)", "all": true}), json!("abc"), json!([]));
        check("extract_regex", json!({"pattern": "(?<k>x)", "default": 0}), json!("abc"), json!(0));
    }

    #[test]
    fn what_cannot_be_extracted_is_told() {
        insta::assert_snapshot!(told(
            "extract_regex",
            &[
                (json!({"pattern": "([0-9]+)"}), json!("1")),
                (json!({"pattern": "(?<k>x)"}), json!("abc")),
                (json!({"pattern": "(?<k>x)", "all": true, "default": 1}), json!("abc")),
                (json!({"pattern": {"$from": "a"}}), json!("abc")),
                (json!({"pattern": "(?<k>x)\\1"}), json!("abc")),
            ]
        ));
    }

    #[test]
    fn more_matches_than_the_limit_are_refused() {
        let args = json!({"pattern": "(?<k>x)", "all": true});
        run_attempt("extract_regex", &args, &json!("x".repeat(10_000)), 0).unwrap();
        run_attempt("extract_regex", &args, &json!("x".repeat(10_001)), 0).unwrap_err();
    }
}
