//! `skip_when` and `escalation`: KORA's conditions (S9).

use super::fields::{Field, Object, fields};
use super::words::MAX_EXACT;
use super::{ConditionDraft, EdgeDraft, Kind, Read, Reader, SkipDraft};
use crate::report::At;
use crate::{EscalationCondition, ViolationCode, pointer};

fields! { SkipField { AnyOf = "any_of", Output = "output", Schema = "schema" } }
fields! { ConditionField { From = "$from", Pointer = "pointer", Equals = "equals" } }
fields! { EdgeField {
    On = "on",
    To = "to",
    Pointer = "pointer",
    Threshold = "threshold",
    MinTokens = "min_tokens",
}}

const MAX_CONDITIONS: usize = 10_000;

#[derive(Clone, Copy)]
enum On {
    Failure,
    SchemaMismatch,
    Confidence,
    Budget,
}

const CONDITIONS: [(&str, On); 4] = [
    ("failure", On::Failure),
    ("schema_mismatch", On::SchemaMismatch),
    ("confidence_below_threshold", On::Confidence),
    ("budget_remaining", On::Budget),
];

impl<'s> Reader<'s, '_> {
    pub(super) fn skip_when(&mut self) -> Read<Option<Box<SkipDraft>>> {
        let Some(mut object) = self.object("`skip_when`")? else { return Ok(None) };
        let (mut any_of, mut output, mut schema) = (None, None, None);
        while let Some(field) = self.next_field(&mut object)? {
            match field {
                SkipField::AnyOf => any_of = self.skip_conditions()?,
                SkipField::Output => output = Some(self.template()?),
                SkipField::Schema => schema = self.schema()?,
            }
        }
        self.require(&object, &[SkipField::AnyOf, SkipField::Output], "");
        Ok(any_of.zip(output).map(|(any_of, output)| Box::new(SkipDraft { any_of, output, schema })))
    }

    fn skip_conditions(&mut self) -> Read<Option<Vec<ConditionDraft>>> {
        if self.json.peek()? != Kind::Array {
            self.wrong_type("an array of conditions")?;
            return Ok(None);
        }
        let offset = self.json.offset();
        let (mut conditions, mut count) = (Vec::new(), 0);
        let mut more = self.json.enter_array()?;
        while more {
            count += 1;
            if count > MAX_CONDITIONS {
                self.json.skip_next()?;
            } else if let Some(condition) = self.skip_condition()? {
                conditions.push(condition);
            }
            more = self.json.next_element()?;
        }
        if count == 0 || count > MAX_CONDITIONS {
            self.report.add(
                ViolationCode::InvalidSkip,
                At::Offset(offset),
                format!("{count} conditions"),
                format!("write 1 to {MAX_CONDITIONS}"),
            );
        }
        Ok(Some(conditions))
    }

    fn skip_condition(&mut self) -> Read<Option<ConditionDraft>> {
        let Some(mut object) = self.object("a condition")? else { return Ok(None) };
        let (mut reference, mut pointer, mut equals) = (serde_json::Map::new(), None, None);
        while let Some(field) = self.next_field(&mut object)? {
            match field {
                ConditionField::From => {
                    let from = self.plain_value()?;
                    reference.insert(String::from("$from"), from);
                }
                ConditionField::Pointer => pointer = Some(self.plain_value()?),
                ConditionField::Equals => equals = Some(self.plain_value()?),
            }
        }
        self.require(&object, &[ConditionField::From, ConditionField::Equals], "");
        if !object.has(ConditionField::From) {
            return Ok(None);
        }
        reference.extend(pointer.map(|pointer| (String::from("pointer"), pointer)));
        let reference = self.reference_fields(&reference, object.offset, &["$from", "pointer"]);
        Ok(reference.zip(equals).map(|((reference, pointer), equals)| ConditionDraft {
            reference,
            pointer,
            equals,
        }))
    }

    pub(super) fn escalation(&mut self) -> Read<Vec<EdgeDraft<'s>>> {
        let mut edges = Vec::new();
        if self.json.peek()? != Kind::Array {
            self.wrong_type("an array of escalation edges")?;
            return Ok(edges);
        }
        let offset = self.json.offset();
        let mut count = 0;
        let mut more = self.json.enter_array()?;
        while more {
            count += 1;
            if count > self.limits.max_escalation_edges {
                self.json.skip_next()?;
            } else if let Some(edge) = self.edge()? {
                edges.push(edge);
            }
            more = self.json.next_element()?;
        }
        if count > self.limits.max_escalation_edges {
            self.report.add(
                ViolationCode::TooManyEscalationEdges,
                At::Offset(offset),
                format!("{count} escalation edges"),
                format!("declare at most {}", self.limits.max_escalation_edges),
            );
        }
        Ok(edges)
    }

    fn edge(&mut self) -> Read<Option<EdgeDraft<'s>>> {
        let Some(mut object) = self.object("an escalation edge")? else { return Ok(None) };
        let (mut on, mut to, mut pointer, mut threshold, mut min_tokens) = (None, None, None, None, None);
        while let Some(field) = self.next_field(&mut object)? {
            match field {
                EdgeField::On => on = self.word(&CONDITIONS)?,
                EdgeField::To => to = self.id()?,
                EdgeField::Pointer => pointer = self.edge_pointer()?,
                EdgeField::Threshold => {
                    threshold = self.real(ViolationCode::InvalidEscalation, "a finite number", |_| true)?;
                }
                EdgeField::MinTokens => {
                    min_tokens = self.whole(MAX_EXACT, ViolationCode::InvalidEscalation)?;
                }
            }
        }
        self.require(&object, &[EdgeField::On, EdgeField::To], "");
        let Some(on) = on else { return Ok(None) };
        self.edge_fields(&object, on);
        let on = match on {
            On::Failure => Some(EscalationCondition::Failure),
            On::SchemaMismatch => Some(EscalationCondition::SchemaMismatch),
            On::Confidence => threshold.map(|threshold| EscalationCondition::ConfidenceBelowThreshold {
                pointer: pointer.unwrap_or_else(|| String::from("/confidence")),
                threshold,
            }),
            On::Budget => min_tokens.map(|min_tokens| EscalationCondition::BudgetRemaining { min_tokens }),
        };
        Ok(on.zip(to).map(|(on, to)| EdgeDraft { on, to, offset: object.offset }))
    }

    fn edge_pointer(&mut self) -> Read<Option<String>> {
        let offset = self.next_offset()?;
        let Some(text) = self.string()? else { return Ok(None) };
        match pointer::fault(&text) {
            None => Ok(Some(text.into_owned())),
            Some(help) => {
                let message = format!("`{}` is not a JSON pointer", super::fields::shorten(&text));
                self.report.add(ViolationCode::InvalidPointer, At::Offset(offset), message, help.to_owned());
                Ok(None)
            }
        }
    }

    /// Each condition has fields of its own, and no others.
    fn edge_fields(&mut self, object: &Object, on: On) {
        let (required, allowed): (&[EdgeField], &[EdgeField]) = match on {
            On::Failure | On::SchemaMismatch => (&[], &[]),
            On::Confidence => (&[EdgeField::Threshold], &[EdgeField::Pointer, EdgeField::Threshold]),
            On::Budget => (&[EdgeField::MinTokens], &[EdgeField::MinTokens]),
        };
        self.require(object, required, "");
        for field in [EdgeField::Pointer, EdgeField::Threshold, EdgeField::MinTokens] {
            let allowed = allowed.iter().any(|allowed| allowed.ordinal() == field.ordinal());
            if object.has(field) && !allowed {
                let name = EdgeField::NAMES[field.ordinal()];
                let condition = CONDITIONS[on as usize].0;
                self.report.add(
                    ViolationCode::InvalidEscalation,
                    At::Offset(object.offset),
                    format!("`{name}` means nothing on `{condition}`"),
                    format!("leave `{name}` out"),
                );
            }
        }
    }
}
