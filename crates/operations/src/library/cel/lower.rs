//! From the parser's tree to ours: names resolved, functions and patterns checked, depth bounded.

use cel::common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedExpr, LiteralValue, operators};

use super::function::{self, Function};
use super::node::{Body, Loop, Node};
use super::operator::Binary;
use crate::pattern::{Pattern, PatternBudget};
use crate::registry::{closest, excerpt, list};
use crate::{Limit, OperationError, OperationLimits};

/// Checks a parsed expression.
pub(super) fn lower(parsed: &IdedExpr, limits: &OperationLimits) -> Result<Node, OperationError> {
    let mut lowering = Lowering {
        variables: vec!["input".to_owned(), "values".to_owned()],
        depth: limits.max_expression_depth,
        patterns: PatternBudget::new(limits),
        limits,
    };
    lowering.node(parsed)
}

struct Lowering<'l> {
    /// The variables in scope; their index is their place on the stack.
    variables: Vec<String>,
    depth: u64,
    patterns: PatternBudget,
    limits: &'l OperationLimits,
}

fn refused(message: impl Into<String>, help: impl Into<String>) -> OperationError {
    OperationError::invalid_args("", message).mend(help)
}

impl Lowering<'_> {
    fn node(&mut self, parsed: &IdedExpr) -> Result<Node, OperationError> {
        self.depth = self
            .depth
            .checked_sub(1)
            .ok_or_else(|| OperationError::limit(Limit::ExpressionDepth, self.limits.max_expression_depth))?;
        let node = match &parsed.expr {
            Expr::Literal(literal) => literal_node(literal)?,
            Expr::Ident(name) => self.variable(name)?,
            Expr::Select(select) => {
                let operand = Box::new(self.node(&select.operand)?);
                let field = select.field.as_str().into();
                if select.test { Node::Has(operand, field) } else { Node::Field(operand, field) }
            }
            Expr::List(list) => Node::List(self.nodes(&list.elements)?.into()),
            Expr::Map(map) => Node::Map(
                map.entries
                    .iter()
                    .map(|entry| match &entry.expr {
                        EntryExpr::MapEntry(entry) => Ok((self.node(&entry.key)?, self.node(&entry.value)?)),
                        EntryExpr::StructField(_) => Err(no_messages()),
                    })
                    .collect::<Result<_, _>>()?,
            ),
            Expr::Call(call) => self.call(call)?,
            Expr::Comprehension(comprehension) => self.comprehension(comprehension)?,
            Expr::Struct(_) => return Err(no_messages()),
            Expr::Unspecified => return Err(refused("the expression is incomplete", "complete it")),
        };
        self.depth += 1;
        Ok(node)
    }

    fn nodes(&mut self, parsed: &[IdedExpr]) -> Result<Vec<Node>, OperationError> {
        parsed.iter().map(|parsed| self.node(parsed)).collect()
    }

    fn variable(&self, name: &str) -> Result<Node, OperationError> {
        match self.variables.iter().rposition(|variable| variable == name) {
            Some(place) => Ok(Node::Variable(place)),
            None => Err(refused(
                format!("there is no variable `{}`", excerpt(name)),
                format!("the variables here are {}", list(self.variables.iter().map(String::as_str))),
            )),
        }
    }

    fn call(&mut self, call: &CallExpr) -> Result<Node, OperationError> {
        // `math.abs(x)` is written like a method of a variable `math`.
        if let Some(target) = &call.target {
            return if matches!(&target.expr, Expr::Ident(name) if name == "math" && !self.variables.contains(name))
            {
                self.function(&format!("math.{}", call.func_name), None, &call.args)
            } else {
                self.function(&call.func_name, Some(target), &call.args)
            };
        }
        let name = call.func_name.as_str();
        match (name, call.args.as_slice()) {
            (operators::CONDITIONAL, [condition, then, otherwise]) => {
                Ok(Node::If(Box::new([self.node(condition)?, self.node(then)?, self.node(otherwise)?])))
            }
            (operators::LOGICAL_AND, [a, b]) => Ok(Node::And(self.pair(a, b)?)),
            (operators::LOGICAL_OR, [a, b]) => Ok(Node::Or(self.pair(a, b)?)),
            (operators::LOGICAL_NOT, [a]) => Ok(Node::Not(Box::new(self.node(a)?))),
            (operators::NEGATE, [a]) => Ok(Node::Negate(Box::new(self.node(a)?))),
            (operators::INDEX, [a, b]) => Ok(Node::Index(self.pair(a, b)?)),
            (name, [a, b]) if Binary::named(name).is_some() => {
                let operator =
                    Binary::named(name).ok_or_else(|| refused("no such operator", "use another"))?;
                Ok(Node::Binary(operator, self.pair(a, b)?))
            }
            (name, args) => self.function(name, None, args),
        }
    }

    fn pair(&mut self, a: &IdedExpr, b: &IdedExpr) -> Result<Box<[Node; 2]>, OperationError> {
        Ok(Box::new([self.node(a)?, self.node(b)?]))
    }

    fn function(
        &mut self,
        name: &str,
        target: Option<&IdedExpr>,
        args: &[IdedExpr],
    ) -> Result<Node, OperationError> {
        let all: Vec<&IdedExpr> = target.into_iter().chain(args).collect();
        if name == "matches" {
            return self.matches(&all);
        }
        let Some(function) = Function::named(name, target.is_some()) else {
            let names = function::names();
            let help = match closest(name, names.iter().copied()) {
                Some(closest) if closest == name => {
                    format!("`{name}` is called in the other style, as a method or not")
                }
                Some(closest) => format!("did you mean `{closest}`?"),
                None => format!("the functions are {}", list(names.iter().copied())),
            };
            return Err(refused(format!("there is no function `{}` of this form", excerpt(name)), help));
        };
        let (least, most) = function.arity();
        if !(least..=most).contains(&all.len()) {
            return Err(refused(
                format!(
                    "`{name}` takes {least} to {most} values, its target included, and got {}",
                    all.len()
                ),
                "correct the call",
            ));
        }
        let args = all.into_iter().map(|arg| self.node(arg)).collect::<Result<Vec<_>, _>>()?;
        Ok(Node::Call(function, args.into()))
    }

    fn matches(&mut self, args: &[&IdedExpr]) -> Result<Node, OperationError> {
        let [text, pattern] = args else {
            return Err(refused("`matches` takes a text and a pattern", "write `text.matches('pattern')`"));
        };
        let Expr::Literal(LiteralValue::String(source)) = &pattern.expr else {
            return Err(refused(
                "the pattern of `matches` is not a literal string",
                "write the pattern in the expression: it is checked before anything runs",
            ));
        };
        let pattern = Pattern::parse(source.inner(), false, String::new, &mut self.patterns)?;
        Ok(Node::Matches(Box::new(self.node(text)?), Box::new(pattern)))
    }

    /// Recognises what the parser makes of each macro by its first accumulator, which no source can write.
    fn comprehension(&mut self, parsed: &ComprehensionExpr) -> Result<Node, OperationError> {
        let range = self.node(&parsed.iter_range)?;
        let Expr::Call(step) = &parsed.loop_step.expr else { return Err(unknown_macro()) };
        self.variables.push(parsed.iter_var.clone());
        let body = match (&parsed.accu_init.expr, step.func_name.as_str(), step.args.as_slice()) {
            (Expr::Literal(LiteralValue::Boolean(_)), operators::LOGICAL_AND, [_, test]) => {
                Body::All(self.node(test)?)
            }
            (Expr::Literal(LiteralValue::Boolean(_)), operators::LOGICAL_OR, [_, test]) => {
                Body::Exists(self.node(test)?)
            }
            (Expr::Literal(LiteralValue::Int(_)), operators::CONDITIONAL, [test, ..]) => {
                Body::ExistsOne(self.node(test)?)
            }
            (Expr::List(_), operators::CONDITIONAL, [guard, append, _]) => {
                let guard = self.node(guard)?;
                Body::Collect { guard: Some(guard), item: self.appended(append)? }
            }
            (Expr::List(_), operators::ADD, _) => {
                Body::Collect { guard: None, item: self.appended(&parsed.loop_step)? }
            }
            _ => return Err(unknown_macro()),
        };
        self.variables.pop();
        Ok(Node::Loop(Box::new(Loop { range, body })))
    }

    /// The `item` of `accumulator + [item]`.
    fn appended(&mut self, append: &IdedExpr) -> Result<Node, OperationError> {
        if let Expr::Call(CallExpr { func_name, args, .. }) = &append.expr
            && let (operators::ADD, [_, items]) = (func_name.as_str(), args.as_slice())
            && let Expr::List(items) = &items.expr
            && let [item] = items.elements.as_slice()
        {
            return self.node(item);
        }
        Err(unknown_macro())
    }
}

fn literal_node(literal: &LiteralValue) -> Result<Node, OperationError> {
    Ok(match literal {
        LiteralValue::Null => Node::Null,
        LiteralValue::Boolean(flag) => Node::Bool(*flag.inner()),
        LiteralValue::Int(whole) => Node::Int(*whole.inner()),
        LiteralValue::Double(real) => Node::Double(*real.inner()),
        LiteralValue::String(text) => Node::Text(text.inner().into()),
        LiteralValue::UInt(_) => {
            return Err(refused(
                "there are no unsigned numbers here",
                "leave out the `u`: JSON has one kind of number",
            ));
        }
        LiteralValue::Bytes(_) => return Err(refused("there are no bytes here", "use a string")),
    })
}

fn no_messages() -> OperationError {
    refused("there are no messages here", "write a map, such as `{'name': value}`")
}

fn unknown_macro() -> OperationError {
    refused("this macro is not supported", "use `all`, `exists`, `exists_one`, `map` or `filter`")
}
