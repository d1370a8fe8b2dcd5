//! An operation that checks its arguments before anything runs, and charges its work before doing it.
//!
//! `cargo run -p backend-local --example own_operation`. `docs/guides/register-operations.md` quotes it.

use std::error::Error;
use std::sync::Arc;

use operations::{
    Example, Meter, Operation, OperationCall, OperationError, OperationRegistry, PreparedOperation,
};
use serde_json::{Value, json};

/// `acme.redact`: replaces every occurrence of the given words in `text`.
#[derive(Debug)]
struct Redact {
    args_schema: Value,
    example: Example,
}

impl Redact {
    fn new() -> Self {
        Self {
            args_schema: json!({
                "type": "object",
                "properties": {"words": {"type": "array", "items": {"type": "string"},
                                         "description": "What to replace, written in the graph."}},
                "required": ["words"],
                "additionalProperties": false
            }),
            example: Example {
                args: json!({"words": ["Dana"]}),
                input: json!({"text": "Dana called."}),
                output: json!({"text": "█ called."}),
            },
        }
    }
}

impl Operation for Redact {
    fn name(&self) -> &str {
        "acme.redact"
    }

    fn summary(&self) -> &str {
        "Replaces every occurrence of `words` in `text`."
    }

    fn args_schema(&self) -> &Value {
        &self.args_schema
    }

    fn example(&self) -> &Example {
        &self.example
    }

    fn prepare(&self, args: &Value) -> Result<Arc<dyn PreparedOperation>, OperationError> {
        let Some(words) = args["words"].as_array() else {
            return Err(OperationError::invalid_args("/args/words", "expected an array of words")
                .mend("write the words literally"));
        };
        let words = words.iter().enumerate().map(|(index, word)| match word.as_str() {
            Some(word) if !word.is_empty() => Ok(word.to_owned()),
            _ => Err(OperationError::invalid_args(format!("/args/words/{index}"), "not a word")
                .mend("write a string that is not empty")),
        });
        Ok(Arc::new(Prepared { words: words.collect::<Result<_, _>>()? }))
    }
}

/// What need not be done again for each run.
#[derive(Debug)]
struct Prepared {
    words: Vec<String>,
}

impl PreparedOperation for Prepared {
    fn run(&self, call: &OperationCall<'_>, meter: &mut Meter) -> Result<Value, OperationError> {
        let text = call.input["text"].as_str();
        let mut text = text
            .ok_or_else(|| {
                OperationError::invalid_input("/input/text", "expected a string").mend("pass `text`")
            })?
            .to_owned();
        for word in &self.words {
            meter.build(text.len() as u64)?; // charged before it is done
            text = text.replace(word, "█");
        }
        Ok(json!({ "text": text }))
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut operations = OperationRegistry::standard();
    operations.register(Redact::new())?;

    // What a backend does: prepare once for a task, before anything runs; then run.
    let example = Redact::new().example;
    let prepared = operations.prepare("acme.redact", &example.args)?;
    let call = OperationCall { args: &example.args, input: &example.input, attempt: 0 };
    println!("{}", prepared.run(&call, &mut Meter::new(operations.limits()))?);

    if let Err(refused) = operations.prepare("acme.redact", &json!({"words": ["Dana", 7]})) {
        println!("refused: {refused}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn it_runs() {
        super::main().unwrap();
    }
}
