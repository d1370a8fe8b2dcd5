//! Payloads: JSON values, and templates with references to dependencies in them (S2).

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::{Map, Number, Value};

use super::fields::shorten;
use super::words::{MAX_EXACT, id_fault};
use super::{Kind, Read, Reader, ReferenceDraft, TemplateDraft};
use crate::ViolationCode;
use crate::pointer;
use crate::report::At;
use crate::shape::{Node, Shape};

/// Levels beyond which no limit of a caller goes: reading recurses, a stack is finite, and `serde_json` stops at 128.
pub(crate) const MAX_DEPTH: usize = 112;

/// A value, or a template if something inside it is a reference.
#[derive(Debug)]
pub(crate) enum Payload {
    Fixed(Value),
    Open(Node),
}

impl Payload {
    fn into_node(self) -> Node {
        match self {
            Self::Fixed(value) => Node::Fixed(value),
            Self::Open(node) => node,
        }
    }
}

impl<'s> Reader<'s, '_> {
    /// A payload that may refer to dependencies.
    pub(super) fn template(&mut self) -> Read<TemplateDraft> {
        let start = self.next_offset()?;
        let first = self.references.len();
        let payload = self.payload(true, 0)?;
        self.check_size(start, self.limits.max_input_bytes, ViolationCode::PayloadTooLarge);
        Ok(match payload {
            Payload::Fixed(value) => TemplateDraft::Fixed(Arc::new(value)),
            Payload::Open(node) => TemplateDraft::Open {
                shape: self.shared.shape(Shape { node, max_bytes: self.limits.max_input_bytes }),
                references: number(first)..number(self.references.len()),
            },
        })
    }

    /// A value in which `$from` means nothing.
    pub(crate) fn plain_value(&mut self) -> Read<Value> {
        Ok(match self.payload(false, 0)? {
            Payload::Fixed(value) => value,
            // Not reached: without references, nothing is open.
            Payload::Open(_) => Value::Null,
        })
    }

    /// Reports if the text since `start` is longer than it may be.
    pub(super) fn check_size(&mut self, start: usize, max: usize, code: ViolationCode) -> bool {
        let length = self.json.offset() - start;
        if length > max {
            self.report.add(
                code,
                At::Offset(start),
                format!("{length} bytes long"),
                format!("use at most {max} bytes"),
            );
        }
        length <= max
    }

    fn payload(&mut self, references: bool, depth: usize) -> Read<Payload> {
        let kind = self.json.peek()?;
        Ok(Payload::Fixed(match kind {
            Kind::Null => {
                self.json.null()?;
                Value::Null
            }
            Kind::Bool => Value::Bool(self.json.bool()?),
            Kind::Number => self.exact_number()?,
            Kind::String => Value::String(self.json.string()?.into_owned()),
            Kind::Array | Kind::Object if depth >= self.limits.max_json_depth.min(MAX_DEPTH) => {
                let offset = self.json.offset();
                self.report.add(
                    ViolationCode::JsonTooDeep,
                    At::Offset(offset),
                    format!("nested deeper than {} levels", self.limits.max_json_depth.min(MAX_DEPTH)),
                    String::from("flatten the value"),
                );
                self.json.skip()?;
                Value::Null
            }
            Kind::Array => return self.array(references, depth),
            Kind::Object => return self.object_payload(references, depth),
        }))
    }

    fn array(&mut self, references: bool, depth: usize) -> Read<Payload> {
        let mut items = Vec::new();
        let mut open: Option<Vec<Node>> = None;
        let mut more = self.json.enter_array()?;
        while more {
            match (self.payload(references, depth + 1)?, &mut open) {
                (Payload::Fixed(value), None) => items.push(value),
                (payload, Some(nodes)) => nodes.push(payload.into_node()),
                (Payload::Open(node), None) => {
                    let mut nodes: Vec<Node> = items.drain(..).map(Node::Fixed).collect();
                    nodes.push(node);
                    open = Some(nodes);
                }
            }
            more = self.json.next_element()?;
        }
        Ok(match open {
            None => Payload::Fixed(Value::Array(items)),
            Some(nodes) => Payload::Open(Node::Array(nodes.into())),
        })
    }

    fn object_payload(&mut self, references: bool, depth: usize) -> Read<Payload> {
        let offset = self.json.offset();
        let mut fields = Map::new();
        // In parallel to `fields`, once one of them is open: the map then holds the names only.
        let mut open: Vec<(usize, Node)> = Vec::new();
        let mut key = self.json.enter_object()?;
        while let Some(name) = key {
            let value = match self.payload(references, depth + 1)? {
                Payload::Fixed(value) => value,
                Payload::Open(node) => {
                    open.push((fields.len(), node));
                    Value::Null
                }
            };
            if fields.contains_key(&*name.text) {
                self.repeated_key(&name.text, name.offset);
                open.retain(|(at, _)| *at < fields.len());
            } else {
                fields.insert(name.text.into_owned(), value);
            }
            key = self.json.next_key()?;
        }
        if references && fields.contains_key("$from") {
            return Ok(self.reference(&fields, offset));
        }
        if open.is_empty() {
            return Ok(Payload::Fixed(Value::Object(fields)));
        }
        let mut open = open.into_iter().peekable();
        let nodes = fields.into_iter().enumerate().map(|(at, (name, value))| {
            let node = open.next_if(|(open_at, _)| *open_at == at);
            (self.shared.name(&name), node.map_or(Node::Fixed(value), |(_, node)| node))
        });
        Ok(Payload::Open(Node::Object(nodes.collect())))
    }

    /// `{"$from": id, "pointer": "/p"}`.
    fn reference(&mut self, fields: &Map<String, Value>, offset: usize) -> Payload {
        match self.reference_fields(fields, offset, &["$from", "pointer"]) {
            Some((_, pointer)) => Payload::Open(Node::Reference(self.shared.pointer(&pointer))),
            None => Payload::Fixed(Value::Null),
        }
    }

    /// The number of a new reference and its pointer, if `fields` are those of one.
    pub(super) fn reference_fields(
        &mut self,
        fields: &Map<String, Value>,
        offset: usize,
        allowed: &[&str],
    ) -> Option<(usize, String)> {
        let mut fault = |message: String, help: &str| {
            self.report.add(ViolationCode::InvalidReference, At::Offset(offset), message, help.to_owned());
        };
        const FORM: &str = "a reference is `{\"$from\": \"task\", \"pointer\": \"/path\"}`";
        if let Some(extra) = fields.keys().find(|name| !allowed.contains(&name.as_str())) {
            fault(format!("a reference with another field, `{}`", shorten(extra)), FORM);
            return None;
        }
        let from = match fields.get("$from") {
            Some(Value::String(from)) if id_fault(from, self.limits.max_id_bytes).is_none() => from.clone(),
            Some(Value::String(from)) => {
                fault(format!("`$from` names `{}`, which is no task id", shorten(from)), FORM);
                return None;
            }
            Some(_) => {
                fault(String::from("`$from` is not a string"), FORM);
                return None;
            }
            None => {
                fault(String::from("a reference without `$from`"), FORM);
                return None;
            }
        };
        let pointer = match fields.get("pointer") {
            None => String::new(),
            Some(Value::String(pointer)) => match pointer::fault(pointer) {
                None => pointer.clone(),
                Some(help) => {
                    let message = format!("`{}` is not a JSON pointer", shorten(pointer));
                    self.report.add(
                        ViolationCode::InvalidPointer,
                        At::Offset(offset),
                        message,
                        help.to_owned(),
                    );
                    return None;
                }
            },
            Some(_) => {
                fault(String::from("`pointer` is not a string"), FORM);
                return None;
            }
        };
        self.references.push(ReferenceDraft { from: Cow::Owned(from), offset });
        Some((self.references.len() - 1, pointer))
    }

    /// A number that survives RFC 8785: what every JSON reader takes it for.
    fn exact_number(&mut self) -> Read<Value> {
        let offset = self.json.offset();
        let text = self.json.number()?;
        let whole = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
        if whole && text != "-0" {
            if let Ok(number) = text.parse::<i64>()
                && number.unsigned_abs() <= MAX_EXACT
            {
                // As `serde_json` reads it: natural numbers are unsigned.
                let natural = u64::try_from(number).map(Number::from);
                return Ok(Value::Number(natural.unwrap_or_else(|_| Number::from(number))));
            }
            self.report.add(
                ViolationCode::NumberNotExact,
                At::Offset(offset),
                format!("`{}` is beyond ±(2^53 - 1), where JSON numbers stop being exact", shorten(text)),
                String::from("write it as a string"),
            );
            return Ok(Value::Null);
        }
        match text.parse::<f64>().ok().and_then(Number::from_f64) {
            Some(number) => Ok(Value::Number(number)),
            None => {
                self.report.add(
                    ViolationCode::NumberNotExact,
                    At::Offset(offset),
                    format!("`{}` is beyond the range of JSON numbers", shorten(text)),
                    String::from("write it as a string"),
                );
                Ok(Value::Null)
            }
        }
    }
}

/// A place in a list that the document makes: each entry takes more than one of its at most 2^32 - 1 bytes.
pub(super) fn number(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
}
