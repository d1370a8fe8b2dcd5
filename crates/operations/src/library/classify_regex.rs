//! `classify_regex`: the label of the first pattern that matches.

use serde_json::{Value, json};

use crate::built_in::{BuiltIn, Run, about};
use crate::fields::{Fields, expected_input};
use crate::pattern::{Pattern, PatternBudget};
use crate::{Example, OperationError, OperationLimits};

pub(super) fn operation(limits: &OperationLimits) -> BuiltIn {
    let about = about(
        "classify_regex",
        "Tries the `rules` in order on the text at `at` and returns the label of the first whose pattern matches \
         anywhere, with the index of that rule; `default` and a null index if none does. Without a `default`, that is \
         an error. Patterns are those of the Rust `regex` crate: linear time, no look-around, no back-references.",
        json!({
            "type": "object",
            "properties": {
                "at": {"type": "string", "format": "json-pointer", "default": "", "description": "The text in the input."},
                "rules": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "properties": {"pattern": {"type": "string", "format": "regex"}, "label": {"type": "string"}},
                        "required": ["pattern", "label"],
                        "additionalProperties": false
                    }
                },
                "ignore_case": {"type": "boolean", "default": false},
                "default": {"type": "string", "description": "The label where no rule matches."}
            },
            "required": ["rules"],
            "additionalProperties": false
        }),
        Example {
            args: json!({
                "at": "/text",
                "rules": [
                    {"pattern": "refund|money back", "label": "billing"},
                    {"pattern": "crash|error [0-9]+", "label": "technical"}
                ],
                "ignore_case": true,
                "default": "other"
            }),
            input: json!({"text": "It says Error 42"}),
            output: json!({"label": "technical", "rule": 1}),
        },
    );
    BuiltIn::new(about, prepare, limits)
}

fn prepare(fields: &Fields<'_>, limits: &OperationLimits) -> Result<Run, OperationError> {
    let at = fields.pointer("at")?.unwrap_or_default();
    let ignore_case = fields.flag("ignore_case")?;
    let default = fields.text("default")?.map(str::to_owned);
    let mut budget = PatternBudget::new(limits);
    let rules = fields
        .entries("rules", limits.max_entries)?
        .ok_or_else(|| fields.missing("rules"))?
        .into_iter()
        .map(|(place, rule)| {
            let rule = Fields::of(rule, place, &["pattern", "label"], &["pattern", "label"])?;
            let pattern = Pattern::parse(
                rule.required_text("pattern")?,
                ignore_case,
                || rule.place("pattern"),
                &mut budget,
            )?;
            Ok((pattern, rule.required_text("label")?.to_owned()))
        })
        .collect::<Result<Vec<_>, OperationError>>()?;
    Ok(Box::new(move |call, meter| {
        let found = at.find_input(call.input)?;
        let text = found.as_str().ok_or_else(|| expected_input(&at.to_string(), "a string", found))?;
        for (index, (pattern, label)) in rules.iter().enumerate() {
            if pattern.over(text, meter)?.is_match(text) {
                return Ok(reply(label, Value::from(index)));
            }
        }
        match &default {
            Some(label) => Ok(reply(label, Value::Null)),
            None => Err(OperationError::failed("no rule matches")
                .at(format!("/input{at}"))
                .mend("add a rule, or a `default`")),
        }
    }))
}

fn reply(label: &str, rule: Value) -> Value {
    json!({"label": label, "rule": rule})
}

#[cfg(test)]
mod tests {
    use crate::library::testing::{check, run_attempt, told};
    use crate::{Limit, OperationErrorKind};
    use serde_json::json;

    #[test]
    fn the_first_rule_that_matches_wins() {
        let rules = json!([{"pattern": "b", "label": "B"}, {"pattern": "a", "label": "A"}]);
        check("classify_regex", json!({"rules": rules}), json!("ab"), json!({"label": "B", "rule": 0}));
        check(
            "classify_regex",
            json!({"rules": rules, "default": "C"}),
            json!("c"),
            json!({"label": "C", "rule": null}),
        );
    }

    #[test]
    fn broken_rules_are_told_before_anything_runs() {
        insta::assert_snapshot!(told(
            "classify_regex",
            &[
                (json!({"rules": [{"pattern": "(", "label": "x"}]}), json!("")),
                (json!({"rules": [{"pattern": "(?=a)", "label": "x"}]}), json!("")),
                (json!({"rules": [{"pattern": "a"}]}), json!("")),
                (json!({"rules": [{"pattern": "a", "label": "x", "lable": 1}]}), json!("")),
                (json!({"rules": [{"pattern": "(?:\\pL{100}){100}", "label": "x"}]}), json!("")),
                (json!({"rules": [{"pattern": "a", "label": "x"}]}), json!("b")),
                (json!({"rules": [], "at": "/t"}), json!({"t": 1})),
            ]
        ));
    }

    #[test]
    fn a_pattern_too_slow_for_its_text_is_refused() {
        let args = json!({"rules": [{"pattern": "[ab]*a[ab]{3000}", "label": "x"}]});
        let error = run_attempt("classify_regex", &args, &json!("ab".repeat(4 << 20)), 0).unwrap_err();
        assert!(matches!(error.kind, OperationErrorKind::LimitExceeded { which: Limit::Steps, .. }));
    }
}
