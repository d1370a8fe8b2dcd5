//! Evaluation, every visit to a node charged.

use std::collections::BTreeMap;
use std::rc::Rc;

use serde_json::Value;

use super::node::{Body, Loop, Node};
use super::value::Val;
use crate::number::Num;
use crate::registry::{closest, excerpt};
use crate::{Meter, OperationError, OperationErrorKind};

/// Evaluates an expression to JSON.
pub(super) fn evaluate<'v>(
    node: &'v Node,
    input: &'v Value,
    values: &'v Value,
    meter: &mut Meter,
) -> Result<Value, OperationError> {
    let mut run = Run { stack: vec![Val::of(input), Val::of(values)], meter };
    let result = run.node(node)?;
    result.into_value(meter)
}

struct Run<'v, 'm> {
    /// The variables, each at the place that lowering gave it.
    stack: Vec<Val<'v>>,
    meter: &'m mut Meter,
}

/// Whether `&&`, `||`, `all` or `exists` may go on to an operand that decides all the same.
fn absorbable(error: &OperationError) -> bool {
    matches!(error.kind, OperationErrorKind::Failed)
}

impl<'v> Run<'v, '_> {
    fn node(&mut self, node: &'v Node) -> Result<Val<'v>, OperationError> {
        self.meter.step()?;
        match node {
            Node::Null => Ok(Val::Null),
            Node::Bool(flag) => Ok(Val::Bool(*flag)),
            Node::Int(whole) => Ok(Val::Int(*whole)),
            Node::Double(real) => Ok(Val::Double(*real)),
            Node::Text(text) => Ok(Val::Text(text)),
            Node::Variable(place) => Ok(self.stack[*place].clone()),
            Node::Field(operand, field) => {
                let operand = self.node(operand)?;
                self.field(&operand, field)
            }
            Node::Has(operand, field) => {
                let operand = self.node(operand)?;
                match operand.members() {
                    Some(_) => Ok(Val::Bool(operand.member(field).is_some())),
                    None => Err(no_members(&operand, field)),
                }
            }
            Node::Index(operands) => {
                let [operand, index] = &**operands;
                let (operand, index) = (self.node(operand)?, self.node(index)?);
                self.index(&operand, &index)
            }
            Node::List(items) => {
                self.meter.build(32 * items.len() as u64)?;
                let items = items.iter().map(|item| self.node(item)).collect::<Result<Vec<_>, _>>()?;
                Ok(Val::List(items.into()))
            }
            Node::Map(entries) => self.map(entries),
            Node::Not(operand) => self.bool(operand, "!").map(|flag| Val::Bool(!flag)),
            Node::Negate(operand) => {
                let operand = self.node(operand)?;
                match operand.as_num() {
                    Some(Num::Whole(whole)) => whole.checked_neg().map(Val::Int).ok_or_else(|| {
                        OperationError::failed("the negation overflows 64 bits").mend("use doubles")
                    }),
                    Some(Num::Real(real)) => Ok(Val::Double(-real)),
                    None => Err(OperationError::failed(format!("there is no `-{}`", operand.type_name()))
                        .mend("negate a number")),
                }
            }
            Node::And(operands) => self.logic(operands, false),
            Node::Or(operands) => self.logic(operands, true),
            Node::If(operands) => {
                let [condition, then, otherwise] = &**operands;
                let branch = if self.bool(condition, "? :")? { then } else { otherwise };
                self.node(branch)
            }
            Node::Binary(operator, operands) => {
                let [a, b] = &**operands;
                let (a, b) = (self.node(a)?, self.node(b)?);
                operator.apply(a, b, self.meter)
            }
            Node::Call(function, args) => {
                let args = args.iter().map(|arg| self.node(arg)).collect::<Result<Vec<_>, _>>()?;
                function.apply(&args, self.meter)
            }
            Node::Matches(text, pattern) => {
                let text = self.node(text)?;
                let text = text.as_text().ok_or_else(|| {
                    OperationError::failed(format!("`matches` takes a string, not {}", text.type_name()))
                        .mend("convert it with `string`")
                })?;
                Ok(Val::Bool(pattern.over(text, self.meter)?.is_match(text)))
            }
            Node::Loop(looped) => self.looped(looped),
        }
    }

    fn field(&mut self, operand: &Val<'v>, field: &str) -> Result<Val<'v>, OperationError> {
        if operand.members().is_none() {
            return Err(no_members(operand, field));
        }
        operand.member(field).ok_or_else(|| {
            let keys = operand.keys().unwrap_or_default();
            let error = OperationError::failed(format!("there is no member `{}`", excerpt(field)));
            match closest(field, keys.iter().take(100).filter_map(Val::as_text)) {
                Some(closest) => {
                    error.mend(format!("did you mean `{}`? Or test it with `has`", excerpt(closest)))
                }
                None => error.mend("test it with `has` first"),
            }
        })
    }

    fn index(&mut self, operand: &Val<'v>, index: &Val<'v>) -> Result<Val<'v>, OperationError> {
        match (operand.items(), index) {
            (Some(items), Val::Int(whole)) => {
                usize::try_from(*whole).ok().and_then(|index| operand.item(index)).ok_or_else(|| {
                    OperationError::failed(format!("index {whole} is outside a list of {items} items"))
                        .mend("test its `size` first")
                })
            }
            (None, key) if operand.members().is_some() && key.as_text().is_some() => {
                self.field(operand, key.as_text().unwrap_or_default())
            }
            _ => Err(OperationError::failed(format!(
                "there is no `{}[{}]`",
                operand.type_name(),
                index.type_name()
            ))
            .mend("index a list by an int, or a map by a string")),
        }
    }

    fn map(&mut self, entries: &'v [(Node, Node)]) -> Result<Val<'v>, OperationError> {
        let mut members = BTreeMap::new();
        for (key, member) in entries {
            let key = self.node(key)?;
            let Some(text) = key.as_text() else {
                return Err(OperationError::failed(format!("a key is {}, not a string", key.type_name()))
                    .mend("convert it with `string`"));
            };
            self.meter.build(64 + text.len() as u64)?;
            let text: Rc<str> = text.into();
            let member = self.node(member)?;
            if members.insert(Rc::clone(&text), member).is_some() {
                return Err(OperationError::failed("two keys of a map are equal").mend("write each key once"));
            }
        }
        Ok(Val::Map(Rc::new(members)))
    }

    fn bool(&mut self, node: &'v Node, sign: &str) -> Result<bool, OperationError> {
        let found = self.node(node)?;
        if let Val::Bool(flag) = found {
            return Ok(flag);
        }
        Err(OperationError::failed(format!("`{sign}` takes a bool, not {}", found.type_name()))
            .mend("compare it with something"))
    }

    /// `&&` and `||`: an operand that decides does so even if the other fails, whichever comes first.
    fn logic(&mut self, operands: &'v [Node; 2], decisive: bool) -> Result<Val<'v>, OperationError> {
        let sign = if decisive { "||" } else { "&&" };
        let [a, b] = operands;
        match self.bool(a, sign) {
            Ok(flag) if flag == decisive => Ok(Val::Bool(decisive)),
            Ok(_) => self.bool(b, sign).map(Val::Bool),
            Err(error) if absorbable(&error) => match self.bool(b, sign) {
                Ok(flag) if flag == decisive => Ok(Val::Bool(decisive)),
                Err(later) if !absorbable(&later) => Err(later),
                Ok(_) | Err(_) => Err(error),
            },
            Err(error) => Err(error),
        }
    }

    fn looped(&mut self, looped: &'v Loop) -> Result<Val<'v>, OperationError> {
        let range = self.node(&looped.range)?;
        let range = match (range.items(), range.members()) {
            (Some(_), _) => range,
            (None, Some(members)) => {
                self.meter.build(32 * members as u64)?;
                self.meter.steps(members as u64)?;
                Val::List(range.keys().unwrap_or_default().into())
            }
            (None, None) => {
                return Err(OperationError::failed(format!("a loop over {}", range.type_name()))
                    .mend("loop over a list or a map"));
            }
        };
        let depth = self.stack.len();
        let result = match &looped.body {
            Body::All(test) => self.quantified(&range, test, false),
            Body::Exists(test) => self.quantified(&range, test, true),
            Body::ExistsOne(test) => self.exists_one(&range, test),
            Body::Collect { guard, item } => self.collect(&range, guard.as_ref(), item),
        };
        // An absorbed failure inside the body must not leave its variables behind.
        self.stack.truncate(depth);
        result
    }

    fn each<T>(&mut self, item: Val<'v>, visit: impl FnOnce(&mut Self) -> T) -> T {
        let depth = self.stack.len();
        self.stack.push(item);
        let result = visit(self);
        self.stack.truncate(depth);
        result
    }

    fn quantified(
        &mut self,
        range: &Val<'v>,
        test: &'v Node,
        decisive: bool,
    ) -> Result<Val<'v>, OperationError> {
        let mut failure = None;
        let mut index = 0;
        while let Some(item) = range.item(index) {
            index += 1;
            match self.each(item, |run| run.bool(test, if decisive { "exists" } else { "all" })) {
                Ok(flag) if flag == decisive => return Ok(Val::Bool(decisive)),
                Ok(_) => {}
                Err(error) if absorbable(&error) => failure = failure.or(Some(error)),
                Err(error) => return Err(error),
            }
        }
        failure.map_or(Ok(Val::Bool(!decisive)), Err)
    }

    fn exists_one(&mut self, range: &Val<'v>, test: &'v Node) -> Result<Val<'v>, OperationError> {
        let mut found = 0_usize;
        let mut index = 0;
        while let Some(item) = range.item(index) {
            index += 1;
            found += usize::from(self.each(item, |run| run.bool(test, "exists_one"))?);
        }
        Ok(Val::Bool(found == 1))
    }

    fn collect(
        &mut self,
        range: &Val<'v>,
        guard: Option<&'v Node>,
        item: &'v Node,
    ) -> Result<Val<'v>, OperationError> {
        let mut collected = Vec::new();
        let mut index = 0;
        while let Some(visited) = range.item(index) {
            index += 1;
            let made = self.each(visited, |run| match guard {
                Some(guard) if !run.bool(guard, "filter")? => Ok(None),
                Some(_) | None => run.node(item).map(Some),
            })?;
            if let Some(made) = made {
                self.meter.build(32)?;
                collected.push(made);
            }
        }
        Ok(Val::List(collected.into()))
    }
}

fn no_members(operand: &Val<'_>, field: &str) -> OperationError {
    OperationError::failed(format!("`.{}` of {}, which has no members", excerpt(field), operand.type_name()))
        .mend("select from a map")
}
