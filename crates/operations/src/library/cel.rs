//! `cel`: an expression over the input.
//!
//! The `cel` crate parses; evaluation is ours, because the crate's has no bound on its work and iterates maps in an
//! order that differs from run to run.

mod eval; // then what it needs
mod function;
mod lower;
mod node;
mod operator;
mod value;

use std::panic::catch_unwind;

use ::cel::IdedExpr;
use ::cel::parser::PrattParser;
use serde_json::{Value, json};

use self::eval::evaluate;
use self::lower::lower;
use crate::built_in::{BuiltIn, Run, about};
use crate::fields::{Fields, expected_arg, holds_reference};
use crate::registry::excerpt;
use crate::{Example, Limit, OperationError, OperationLimits};

/// Of each of `?`, `.`, `!` and `-` in one source. The parser recurses on conditionals and on signs, and drops its tree
/// recursively on dots; unoptimised, some thousand of them exhaust a stack of 2 MiB.
const MAX_CHAINED: usize = 500;

/// Levels of brackets that the parser descends into.
const MAX_BRACKETS: u16 = 48;

pub(super) fn operation(limits: &OperationLimits) -> BuiltIn {
    let about = about(
        "cel",
        "Evaluates an expression in the [Common Expression Language](https://cel.dev) over `input`, the task's input, \
         and `values`, an argument. There are its operators, `has`, `all`, `exists`, `exists_one`, `map` and `filter`; \
         `size`, `contains`, `startsWith`, `endsWith`, `matches` (of a literal pattern), `int`, `double`, `string`, \
         `bool` and `dyn`; of its extensions `lowerAscii`, `upperAscii`, `trim`, `replace`, `split`, `join`, \
         `substring`, `indexOf`, and `math.` `abs`, `ceil`, `floor`, `round`, `greatest`, `least`.\n\n\
         Three things follow from JSON having one kind of number. A number is an int if it is whole, however it is \
         written, and a double otherwise; arithmetic that mixes them gives a double, and `int / int` truncates, so \
         write `double(a) / b` for a quotient. There are no unsigned numbers, bytes, times or durations. A result \
         beyond ±(2^53 − 1) is an error. The keys of a map are strings, and a comprehension visits them in order.",
        json!({
            "type": "object",
            "properties": {
                "expression": {"type": "string", "description": "The source, written in the graph."},
                "values": {"type": "object", "description": "More values for the expression; may hold references."}
            },
            "required": ["expression"],
            "additionalProperties": false
        }),
        Example {
            args: json!({
                "expression": "{'total': input.lines.map(l, l.price * l.count), 'big': input.lines.exists(l, l.count > values.limit)}",
                "values": {"limit": 10}
            }),
            input: json!({"lines": [{"price": 1.5, "count": 2}, {"price": 4, "count": 20}]}),
            output: json!({"total": [3, 80], "big": true}),
        },
    );
    BuiltIn::new(about, prepare, limits)
}

fn prepare(fields: &Fields<'_>, limits: &OperationLimits) -> Result<Run, OperationError> {
    let source = fields.required_text("expression")?;
    let place = fields.place("expression");
    if let Some(values) =
        fields.data("values").filter(|values| !values.is_object() && !holds_reference(values))
    {
        return Err(expected_arg(fields.place("values"), "an object", values));
    }
    let program =
        parse(source, limits).and_then(|parsed| lower(&parsed, limits)).map_err(|error| error.at(place))?;
    Ok(Box::new(move |call, meter| {
        static NONE: Value = Value::Null;
        let values = call.args.get("values").unwrap_or(&NONE);
        evaluate(&program, call.input, values, meter)
    }))
}

fn parse(source: &str, limits: &OperationLimits) -> Result<IdedExpr, OperationError> {
    if source.len() as u64 > limits.max_expression_bytes {
        return Err(OperationError::limit(Limit::ExpressionBytes, limits.max_expression_bytes));
    }
    for chained in ['?', '.', '!', '-'] {
        if source.matches(chained).count() > MAX_CHAINED {
            return Err(OperationError::limit(Limit::ExpressionDepth, limits.max_expression_depth));
        }
    }
    let parser =
        || PrattParser::new().max_recursion_depth(MAX_BRACKETS).error_recovery_limit(1).parse(source);
    let broken = |message: String| {
        OperationError::invalid_args("", message)
            .mend("see the operations page for what an expression may hold")
    };
    match catch_unwind(parser) {
        Ok(Ok(parsed)) => Ok(parsed),
        Ok(Err(errors)) => Err(match errors.errors.into_iter().next() {
            Some(error) if error.pos.0 > 0 => broken(format!(
                "the expression cannot be read: {} (line {}, column {})",
                excerpt(&error.msg),
                error.pos.0,
                error.pos.1
            )),
            Some(error) => broken(format!("the expression cannot be read: {}", excerpt(&error.msg))),
            None => broken("the expression cannot be read".to_owned()),
        }),
        // The parser is not ours, and this is the one place where a graph's text reaches it.
        Err(_) => Err(broken("the expression cannot be read".to_owned())),
    }
}

#[cfg(test)]
mod tests;
