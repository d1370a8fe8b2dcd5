//! An expression, checked: every name resolved, every constant made.

use crate::pattern::Pattern;

use super::function::Function;
use super::operator::Binary;

/// An expression, checked.
#[derive(Debug)]
pub(super) enum Node {
    Null,
    Bool(bool),
    Int(i64),
    Double(f64),
    Text(Box<str>),
    /// A variable, by its place on the stack.
    Variable(usize),
    Field(Box<Node>, Box<str>),
    Has(Box<Node>, Box<str>),
    Index(Box<[Node; 2]>),
    List(Box<[Node]>),
    Map(Box<[(Node, Node)]>),
    Not(Box<Node>),
    Negate(Box<Node>),
    And(Box<[Node; 2]>),
    Or(Box<[Node; 2]>),
    /// Condition, then, otherwise.
    If(Box<[Node; 3]>),
    Binary(Binary, Box<[Node; 2]>),
    Call(Function, Box<[Node]>),
    Matches(Box<Node>, Box<Pattern>),
    Loop(Box<Loop>),
}

/// One of the macros that visit the items of a list or the keys of a map; the variable is pushed on the stack.
#[derive(Debug)]
pub(super) struct Loop {
    pub(super) range: Node,
    pub(super) body: Body,
}

/// What a loop does with its variable.
#[derive(Debug)]
pub(super) enum Body {
    All(Node),
    Exists(Node),
    ExistsOne(Node),
    /// `map` and `filter`.
    Collect {
        guard: Option<Node>,
        item: Node,
    },
}
