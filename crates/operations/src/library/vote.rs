//! `vote`: the value that most of several agree on.

use serde_json::{Value, json};

use crate::built_in::{BuiltIn, Run, about};
use crate::fields::Fields;
use crate::order::{compare, sort_by};
use crate::selection::Selection;
use crate::{Example, OperationError, OperationLimits};

/// Who wins among values with the same number of votes.
#[derive(Debug, Clone, Copy)]
enum TieBreak {
    Fail,
    First,
    Least,
}

pub(super) fn operation(limits: &OperationLimits) -> BuiltIn {
    let about = about(
        "vote",
        "Counts equal values and returns the one with the most votes, how many it has, and of how many. Values are equal \
         if they are the same JSON, whatever the order of members. `tie_break` says who wins a tie: nobody (`error`), \
         the value that was voted for `first`, or the `least` in the order of `sort`. With `majority`, a winner needs \
         more than half of the votes. Null is an abstention and does not count.",
        json!({
            "type": "object",
            "properties": {
                "at": {"type": "string", "format": "json-pointer", "default": "", "description": "An array of votes in the input."},
                "pointers": {"type": "array", "items": {"type": "string", "format": "json-pointer"}, "description": "Instead of `at`: the votes, in this order."},
                "tie_break": {"enum": ["error", "first", "least"], "default": "error"},
                "majority": {"type": "boolean", "default": false}
            },
            "additionalProperties": false
        }),
        Example {
            args: json!({"tie_break": "first"}),
            input: json!(["spam", "ham", null, "spam"]),
            output: json!({"winner": "spam", "votes": 2, "of": 3}),
        },
    );
    BuiltIn::new(about, prepare, limits)
}

fn prepare(fields: &Fields<'_>, limits: &OperationLimits) -> Result<Run, OperationError> {
    let selection = Selection::read(fields, limits)?;
    let tie_break = fields.choice(
        "tie_break",
        &[("error", TieBreak::Fail), ("first", TieBreak::First), ("least", TieBreak::Least)],
    )?;
    let majority = fields.flag("majority")?;
    Ok(Box::new(move |call, meter| {
        let mut votes: Vec<(usize, &Value)> = selection
            .of(call.input, meter)?
            .into_iter()
            .enumerate()
            .filter(|(_, vote)| !vote.is_null())
            .collect();
        let of = votes.len();
        // Stable, so each run of equal votes begins with the first of them.
        sort_by(&mut votes, |(_, vote)| vote, false, meter)?;
        let parties: Vec<&[(usize, &Value)]> =
            votes.chunk_by(|(_, a), (_, b)| compare(a, b).is_eq()).collect();
        let most = parties.iter().map(|party| party.len()).max().unwrap_or(0);
        let mut leaders = parties.into_iter().filter(|party| party.len() == most);
        let Some(least) = leaders.next() else {
            return Err(
                OperationError::failed("nobody voted").mend("pass at least one value that is not null")
            );
        };
        let winner = match (tie_break, leaders.next()) {
            (TieBreak::Fail, Some(other)) => {
                return Err(OperationError::failed(format!(
                    "a tie: several values have {most} of {of} votes"
                ))
                .at(format!("/input{}", selection.place(other[0].0)))
                .mend("say who wins with `tie_break`: `first` or `least`"));
            }
            (TieBreak::First, Some(other)) => {
                [least, other].into_iter().chain(leaders).min_by_key(|party| party[0].0).unwrap_or(least)
            }
            (TieBreak::Least, Some(_)) | (TieBreak::Fail | TieBreak::First | TieBreak::Least, None) => least,
        };
        if majority && most * 2 <= of {
            return Err(OperationError::failed(format!("no majority: the most votes are {most} of {of}"))
                .mend("ask more voters, or leave out `majority`"));
        }
        Ok(json!({"winner": meter.copy(winner[0].1)?, "votes": most, "of": of}))
    }))
}

#[cfg(test)]
mod tests {
    use crate::library::testing::{check, told};
    use serde_json::json;

    #[test]
    fn a_tie_is_broken_as_declared() {
        let votes = json!(["b", "a", "a", "b", "c"]);
        check(
            "vote",
            json!({"tie_break": "first"}),
            votes.clone(),
            json!({"winner": "b", "votes": 2, "of": 5}),
        );
        check(
            "vote",
            json!({"tie_break": "least"}),
            votes.clone(),
            json!({"winner": "a", "votes": 2, "of": 5}),
        );
        check(
            "vote",
            json!({"pointers": ["/x/label", "/y/label"]}),
            json!({"x": {"label": {"p": 1, "q": 2}}, "y": {"label": {"q": 2.0, "p": 1}}}),
            json!({"winner": {"p": 1, "q": 2}, "votes": 2, "of": 2}),
        );
        insta::assert_snapshot!(told(
            "vote",
            &[
                (json!({}), votes.clone()),
                (json!({"tie_break": "first", "majority": true}), votes),
                (json!({}), json!([])),
                (json!({}), json!([null])),
            ]
        ));
    }
}
