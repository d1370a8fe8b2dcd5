//! `run` of Task IR 0.1: a handler becomes an operation, an adapter a model.

use serde_json::{Map, Value, json};

use super::fields::{Fields, Mapper};
use crate::ViolationCode;
use crate::read::shorten;

/// Handlers that exist as operations of the same meaning.
const HANDLERS: [&str; 3] = ["echo", "classify_simple", "flaky_once"];

/// What KORA's adapter tells a model beside the input; it asks for nothing that the schema does not enforce.
const SYSTEM: &str =
    "You answer with one JSON value that is valid under the given schema, and with nothing else.";
const REQUIREMENTS: &str = "Answer with JSON only, without any prose around it.";

impl Mapper<'_> {
    pub(super) fn deterministic(
        &mut self,
        task: &Fields,
        spec: &Fields,
        id: &str,
        at: &str,
    ) -> Option<Fields> {
        let spec_at = format!("{at}/run/spec");
        let handler = self.string(spec, &spec_at, "handler")?;
        let input = self.optional_object(task, at, "in")?;
        let args = self.optional_object(spec, &spec_at, "args")?;
        if !HANDLERS.contains(&handler) {
            self.not_portable(
                &format!("{spec_at}/handler"),
                &format!("the handler `{}` is code of KORA's runtime", shorten(handler)),
                "port it: an operation of Task IR 1.0 says the same as data",
            );
            return None;
        }
        let mut mapped = json!({"task_id": id});
        match handler {
            "echo" => mapped["message"] = self.echoed(&input, &args, at)?,
            "classify_simple" => mapped["text"] = self.classified(&input, &args, at)?,
            _ => {}
        }
        let input = Value::Object(input);
        self.refuse_references(&input, &format!("{at}/in"));
        self.trail.add(format!("{at}/input"), format!("{at}/in"));
        self.trail.add(format!("{at}/run/operation"), format!("{spec_at}/handler"));
        self.trail.add(format!("{at}/run/args"), spec_at);
        let schema = self.verify_deterministic(task, at)?;
        Some(object(json!({
            "type": "deterministic",
            "input": input,
            "run": {"operation": format!("kora.{handler}"), "args": mapped},
            "schema": schema,
        })))
    }

    /// `in.message`, or `args.message` if that is missing or null.
    fn echoed(&mut self, input: &Fields, args: &Fields, at: &str) -> Option<Value> {
        let (message, pointer) = match input.get("message") {
            Some(message) if !message.is_null() => (message.clone(), format!("{at}/in/message")),
            _ => (args.get("message").cloned().unwrap_or(Value::Null), format!("{at}/run/spec/args/message")),
        };
        self.refuse_references(&message, &pointer);
        Some(message)
    }

    /// `in.text`, or `args.text` if that is missing or null, or nothing.
    fn classified(&mut self, input: &Fields, args: &Fields, at: &str) -> Option<Value> {
        let (text, pointer) = match input.get("text") {
            Some(text) if !text.is_null() => (text.clone(), format!("{at}/in/text")),
            _ => (args.get("text").cloned().unwrap_or_else(|| json!("")), format!("{at}/run/spec/args/text")),
        };
        if text.is_string() {
            return Some(text);
        }
        self.not_portable(
            &pointer,
            "the runtime would classify Python's rendering of this value",
            "write the text as a string",
        );
        None
    }

    pub(super) fn model(
        &mut self,
        task: &Fields,
        spec: &Fields,
        id: &str,
        dependencies: &[&str],
        at: &str,
    ) -> Option<Fields> {
        let spec_at = format!("{at}/run/spec");
        // Read for its type only: the runtime gives a model what stands in `run.spec.input`.
        let _ = self.optional_object(task, at, "in")?;
        let adapter = self.string(spec, &spec_at, "adapter")?;
        let mut input = self.optional_object(spec, &spec_at, "input")?;
        let skip_if = input.shift_remove("skip_if");
        let input = Value::Object(input);
        self.refuse_references(&input, &format!("{spec_at}/input"));
        self.trail.add(format!("{at}/input"), format!("{spec_at}/input"));
        self.trail.add(format!("{at}/input/input"), format!("{spec_at}/input"));
        self.trail.add(format!("{at}/run/model"), format!("{spec_at}/adapter"));
        self.trail.add(format!("{at}/run/messages"), spec_at.clone());
        self.trail.add(format!("{at}/skip_when"), format!("{spec_at}/input/skip_if"));
        let schema = self.verify_model(task, spec, at);
        let skip_when = match skip_if {
            Some(Value::Object(skip_if)) => {
                self.skip_when(&skip_if, id, dependencies, &format!("{spec_at}/input/skip_if"))?
            }
            // The runtime does not look at anything else.
            Some(_) | None => None,
        };
        let mut mapped = object(json!({
            "type": "model",
            "input": {"task_id": id, "input": input, "requirements": REQUIREMENTS},
            "run": {
                "model": adapter,
                "messages": [{"role": "system", "content": SYSTEM}, {"role": "user", "content": "{{}}"}],
            },
            "schema": schema?,
        }));
        mapped.extend(skip_when.map(|skip_when| (String::from("skip_when"), skip_when)));
        Some(mapped)
    }

    pub(super) fn unknown_kind(&mut self, kind: &str, known: &str, pointer: &str) {
        let message = format!("`{}` is not one of {known}", shorten(kind));
        self.add(ViolationCode::UnknownWord, pointer, message, "use one of them");
    }
}

pub(super) fn object(value: Value) -> Fields {
    match value {
        Value::Object(fields) => fields,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Map::new(),
    }
}
