//! `verify` of Task IR 0.1: a schema that stays open, and rules that become part of it.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::fields::{Fields, Mapper};
use crate::schema::{deeper_than, open};
use crate::{SchemaError, ViolationCode};

impl Mapper<'_> {
    /// What a deterministic output must satisfy. Without a schema the runtime checks nothing, not even rules.
    pub(super) fn verify_deterministic(&mut self, task: &Fields, at: &str) -> Option<Value> {
        let (verify, schema) = self.verify(task, at)?;
        match schema {
            Some(schema) if !schema.is_empty() => {
                let schema_at = format!("{at}/verify/schema");
                self.trail.add(format!("{at}/schema"), schema_at.clone());
                self.with_rules(schema, &verify, false, at, &schema_at)
            }
            Some(_) | None => Some(json!(true)),
        }
    }

    /// What a model's output must satisfy: to the runtime it always is an object.
    pub(super) fn verify_model(&mut self, task: &Fields, spec: &Fields, at: &str) -> Option<Value> {
        let output_schema = self.object(spec, &format!("{at}/run/spec"), "output_schema");
        let (verify, schema) = self.verify(task, at)?;
        let (schema, schema_at) = match schema {
            Some(schema) => (schema, format!("{at}/verify/schema")),
            None => (output_schema?.clone(), format!("{at}/run/spec/output_schema")),
        };
        output_schema?;
        self.trail.add(format!("{at}/schema"), schema_at.clone());
        self.with_rules(schema, &verify, true, at, &schema_at)
    }

    /// `verify` and the schema in it.
    fn verify(&mut self, task: &Fields, at: &str) -> Option<(Fields, Option<Fields>)> {
        let verify = match task.get("verify") {
            None | Some(Value::Null) => return Some((Fields::new(), None)),
            Some(_) => self.object(task, at, "verify")?.clone(),
        };
        let schema = match verify.get("schema") {
            None | Some(Value::Null) => None,
            Some(_) => Some(self.object(&verify, &format!("{at}/verify"), "schema")?.clone()),
        };
        Some((verify, schema))
    }

    fn with_rules(
        &mut self,
        mut schema: Fields,
        verify: &Fields,
        is_object: bool,
        at: &str,
        schema_at: &str,
    ) -> Option<Value> {
        let rules_at = format!("{at}/verify/rules");
        let rules = if verify.contains_key("rules") {
            self.array(verify, &format!("{at}/verify"), "rules")?.to_vec()
        } else {
            Vec::new()
        };
        let mut all_of: Vec<Value> = Vec::new();
        if is_object && schema.get("type") != Some(&json!("object")) {
            all_of.push(json!({"type": "object"}));
        }
        for (nth, rule) in rules.iter().enumerate() {
            all_of.push(self.rule(rule, &format!("{rules_at}/{nth}"))?);
        }
        if rules.iter().any(|rule| rule["kind"] == "range") && schema.contains_key("unevaluatedProperties") {
            self.not_portable(
                &rules_at,
                "a range rule beside `unevaluatedProperties` would count its property as evaluated",
                "write the range into the schema",
            );
            return None;
        }
        if !all_of.is_empty() {
            let own = match schema.shift_remove("allOf") {
                None => Vec::new(),
                Some(Value::Array(own)) => own,
                // Not a schema; the reader says so, where it stands.
                Some(other) => {
                    schema.insert(String::from("allOf"), other);
                    return Some(Value::Object(schema));
                }
            };
            for nth in 0..all_of.len() {
                self.trail.add(format!("{at}/schema/allOf/{}", own.len() + nth), rules_at.clone());
            }
            schema.insert(String::from("allOf"), Value::Array(own.into_iter().chain(all_of).collect()));
        }
        let mut schema = Value::Object(schema);
        if deeper_than(&schema, crate::read::MAX_DEPTH) {
            self.add(
                ViolationCode::JsonTooDeep,
                schema_at,
                String::from("nested too deeply"),
                "flatten the schema",
            );
            return None;
        }
        // In 0.1 a schema is open unless it says otherwise. What is no schema is reported by the reader.
        match open(&mut schema) {
            Ok(()) => Some(schema),
            Err(SchemaError { code, pointer, message, help }) => {
                self.add(
                    code,
                    &format!("{schema_at}{pointer}"),
                    message,
                    help.as_deref().unwrap_or("mend the schema"),
                );
                None
            }
        }
    }

    fn rule(&mut self, rule: &Value, at: &str) -> Option<Value> {
        let Value::Object(fields) = rule else {
            self.wrong_type(at, "a rule, an object");
            return None;
        };
        match self.string(fields, at, "kind")? {
            "required" => {
                let paths = self.array(fields, at, "paths")?;
                if let Some(nth) = paths.iter().position(|path| !path.is_string()) {
                    self.wrong_type(&format!("{at}/paths/{nth}"), "the name of a property, a string");
                    return None;
                }
                // Each once: JSON Schema wants them unique, and the runtime does not care.
                let names: BTreeSet<&str> = paths.iter().filter_map(Value::as_str).collect();
                Some(json!({"required": names}))
            }
            "range" => {
                let path = self.string(fields, at, "path")?;
                let bound = |mapper: &mut Self, name: &str| match fields.get(name) {
                    Some(Value::Number(number)) => number.as_f64().map(|float| (number.clone(), float)),
                    found => {
                        let wrong = found.is_some();
                        mapper.add(
                            if wrong { ViolationCode::WrongType } else { ViolationCode::MissingField },
                            &if wrong { format!("{at}/{name}") } else { at.to_owned() },
                            format!("`{name}` is not a number"),
                            "a range has two numbers, `min` and `max`",
                        );
                        None
                    }
                };
                let (min, max) = (bound(self, "min"), bound(self, "max"));
                let ((min, lowest), (max, highest)) = (min?, max?);
                let mut admitted =
                    vec![json!({"type": "null"}), json!({"type": "number", "minimum": min, "maximum": max})];
                // To Python, `true` is 1 and `false` is 0.
                for (truth, number) in [(true, 1.0), (false, 0.0)] {
                    if lowest <= number && number <= highest {
                        admitted.push(json!({"const": truth}));
                    }
                }
                Some(json!({"properties": {path: {"anyOf": admitted}}}))
            }
            other => {
                let other = other.to_owned();
                self.unknown_kind(&other, "`required` or `range`", &format!("{at}/kind"));
                None
            }
        }
    }
}
